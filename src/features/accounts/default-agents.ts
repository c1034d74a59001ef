/** The agents that every new tenant starts with; an admin may change or replace them. */
export const defaultAgents = [
  {
    key: 'primary',
    name: 'Primary',
    description: 'Answers everyday questions.',
    systemPrompt: 'You are a helpful assistant. Answer clearly and briefly, and say so when you do not know.',
  },
  {
    key: 'log_analysis',
    name: 'Log analysis',
    description: 'Reads log excerpts and finds what went wrong.',
    systemPrompt:
      'You analyse log excerpts. Name the first failure and its likely cause, quote the lines that show it, and suggest the next check.',
  },
  {
    key: 'research',
    name: 'Research',
    description: 'Works through a question and weighs the evidence.',
    systemPrompt:
      'You research questions. Separate what is established from what is assumed, give both sides where they differ, and end with a short answer.',
  },
  {
    key: 'router',
    name: 'Router',
    description: 'Decides which agent a request belongs to.',
    systemPrompt:
      'You decide which agent should handle a request: primary, log_analysis or research. Answer with the name of one of them and one sentence why.',
  },
] as const
