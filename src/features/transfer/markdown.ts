import type { HistoryMessage, HistorySession } from './history.ts'

type ToolCall = { id: string; name: string; arguments: unknown }

/** The conversation as people read it, piece by piece: without what was replaced. */
export async function* toMarkdown(
  session: HistorySession,
  pages: AsyncIterable<readonly HistoryMessage[]>,
): AsyncGenerator<string> {
  yield headOf(session)
  // Results follow the reply that asked for them, so the calls of the latest one tell their names.
  let calls: readonly ToolCall[] = []
  for await (const page of pages) {
    let text = ''
    for (const message of page) {
      if (message.replacedAt !== null) continue
      const own = message.toolCalls as ToolCall[]
      if (own.length > 0) calls = own
      const blocks = [headingOf(message, calls), bodyOf(message), ...own.map(callOf), noteOf(message)]
      text += `\n${blocks.filter(Boolean).join('\n\n')}\n`
    }
    yield text
  }
}

function headOf({ title, user, agent, model, createdAt }: HistorySession): string {
  const facts = [
    `Started ${minuteOf(createdAt)}`,
    `by ${escaped(user.name ?? user.externalId)}`,
    agent && `agent \`${agent.key}\``,
    model && `model \`${model}\``,
  ]
  return `# ${escaped(title ?? 'Untitled')}\n\n${facts.filter(Boolean).join(' · ')}\n`
}

function headingOf(message: HistoryMessage, calls: readonly ToolCall[]): string {
  return `## ${speakerOf(message, calls)} · ${minuteOf(message.createdAt)}`
}

function speakerOf(message: HistoryMessage, calls: readonly ToolCall[]): string {
  if (message.role === 'SYSTEM') return 'System'
  if (message.role === 'USER') return escaped(message.authorName ?? message.authorKey ?? 'User')
  if (message.role === 'ASSISTANT')
    return ['Assistant', message.model && `(${message.model})`].filter(Boolean).join(' ')
  const call = calls.find(({ id }) => id === message.toolCallId)
  return `Result of ${call ? `\`${call.name}\`` : 'a tool'}`
}

const bodyOf = ({ role, content }: HistoryMessage): string =>
  role === 'TOOL' ? fenced(content ?? '', '') : closeFence(content ?? '').trim()

const callOf = ({ name, arguments: values }: ToolCall): string =>
  `Calls \`${name}\`:\n\n${fenced(JSON.stringify(values, null, 2), 'json')}`

const notes: Partial<Record<HistoryMessage['status'], string>> = {
  STREAMING: '*(still being written)*',
  CANCELLED: '*(stopped)*',
  FAILED: '*(failed)*',
  INTERRUPTED: '*(broken off)*',
}
const noteOf = ({ status }: HistoryMessage) => notes[status]

/** In a fence that is longer than any inside. */
function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`{3,}/g), ([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text}\n${fence}`
}

/** A reply that broke off inside a code block would swallow all that follows it. */
function closeFence(text: string): string {
  let open = ''
  for (const [, fence = '', rest = ''] of text.matchAll(/^ {0,3}(`{3,}|~{3,})(.*)$/gm)) {
    if (open === '') open = fence
    else if (fence[0] === open[0] && fence.length >= open.length && rest.trim() === '') open = ''
  }
  return open === '' ? text : `${text}\n${open}`
}

/** On one line, and without a meaning in Markdown. */
const escaped = (text: string) => text.replace(/\s+/gu, ' ').replace(/[\\`*_[\]<>#|]/g, '\\$&')

const minuteOf = (date: Date) => `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`
