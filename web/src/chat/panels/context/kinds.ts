/** The parts of a context by where they come from, in the order of the bar. */
export const kinds = [
  { kind: 'SYSTEM_PROMPT', name: 'System prompt' },
  { kind: 'TOOLS', name: 'Tools' },
  { kind: 'MEMORY', name: 'Memory' },
  { kind: 'SUMMARY', name: 'Summary' },
  { kind: 'PASSAGE', name: 'Passage' },
  { kind: 'MESSAGE', name: 'Message' },
  { kind: 'QUESTION', name: 'Question' },
] as const

export type Kind = (typeof kinds)[number]['kind']

export const nameOfKind = (kind: Kind): string => kinds.find((each) => each.kind === kind)?.name ?? kind

/** What each kind takes; kinds that there is nothing of are left out. */
export const tokensByKind = (parts: readonly { kind: Kind; tokens: number }[]) =>
  kinds
    .map(({ kind, name }) => ({
      kind,
      name,
      tokens: parts.filter((part) => part.kind === kind).reduce((sum, part) => sum + part.tokens, 0),
    }))
    .filter(({ tokens }) => tokens > 0)
