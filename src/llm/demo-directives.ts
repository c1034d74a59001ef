import type { ProviderErrorKind } from './provider.ts'

/** What the directives of a message ask the demo model to do. */
export type DemoScript = {
  help?: true
  unicode?: true
  /** Said back exactly, in place of a reply. */
  repeat?: string
  /** The reply is stretched to this many words at least. */
  words?: number
  /** Absolute, or a share of the configured pace. */
  pace?: { tokensPerSecond: number } | { share: number }
  /** After 0 words: before anything is sent. */
  failure?: { kind: ProviderErrorKind; afterWords: number }
  stall?: { afterWords: number }
  toolCalls: { name: string; arguments: Record<string, unknown> }[]
  /** Directives whose arguments could not be read. */
  misread: string[]
}

type Directive = {
  forms: readonly string[]
  meaning: string
  /** Reads the arguments at the head of `rest`; returns how many characters they are, or undefined. */
  read(rest: string, script: DemoScript): number | undefined
}

const failures = ['overloaded', 'rate-limited', 'unauthorized', 'invalid', 'connection'] as const
const failurePattern = new RegExp(
  `^(?:(${failures.join('|')})(?!\\S)[ \\t]*)?(?:before(?!\\S)|after (\\d+)(?!\\S))?`,
)
const wordCount = (digits = '0') => Math.min(Number(digits), 100_000)

/** The one table of directives: the reader follows it and `/help` prints it. */
const directives: Readonly<Record<string, Directive>> = {
  help: {
    forms: ['/help'],
    meaning: 'Prints this table.',
    read: bare((script) => {
      script.help = true
    }),
  },
  slow: {
    forms: ['/slow'],
    meaning: 'Answers at a tenth of the pace.',
    read: bare((script) => {
      script.pace = { share: 0.1 }
    }),
  },
  pace: {
    forms: ['/pace 5'],
    meaning: 'Answers with so many tokens per second.',
    read: matching(/^0*([1-9]\d{0,5})(?!\S)/, (script, rate) => {
      script.pace = { tokensPerSecond: Number(rate) }
    }),
  },
  long: {
    forms: ['/long 500'],
    meaning: 'Answers with about so many words.',
    read: matching(/^(\d+)(?!\S)/, (script, words) => {
      script.words = wordCount(words)
    }),
  },
  fail: {
    forms: ['/fail', '/fail after 20', '/fail rate-limited', '/fail connection after 20'],
    meaning: `Fails before any text, or after so many words. Kinds: ${failures.join(', ')}.`,
    read: matching(failurePattern, (script, given, words) => {
      const kind = failures.find((known) => known === given) ?? 'overloaded'
      script.failure = { kind, afterWords: wordCount(words) }
    }),
  },
  stall: {
    forms: ['/stall', '/stall after 10'],
    meaning: 'Falls silent at once, or after so many words, until it is stopped.',
    read: matching(/^(?:after (\d+)(?!\S))?/, (script, words) => {
      script.stall = { afterWords: wordCount(words) }
    }),
  },
  tool: {
    forms: ['/tool get_weather {"city": "Oslo"}'],
    meaning:
      'Calls the tool with these arguments, and waits for its result where the agent of the session has it. Several calls ' +
      'may stand in one message.',
    read: readToolCall,
  },
  unicode: {
    forms: ['/unicode'],
    meaning: 'Answers with emoji, combining marks and right-to-left text.',
    read: bare((script) => {
      script.unicode = true
    }),
  },
  repeat: {
    forms: ['/repeat some text'],
    meaning: 'Says back exactly what follows, to the end of the message.',
    read: matching(/^(.*)$/s, (script, text) => {
      script.repeat = text
    }),
  },
}

/** Reads the directives of one message, wherever they stand in it; lines quoted with `>` are passed over. */
export function readDirectives(message: string): DemoScript {
  const script: DemoScript = { toolCalls: [], misread: [] }
  const unquoted = message.replace(/^>.*$/gm, (line) => ' '.repeat(line.length))
  const name = /(?<!\S)\/([a-z]+)(?:[ \t]|(?!\S))/g
  for (let match = name.exec(unquoted); match; match = name.exec(unquoted)) {
    const [, word = ''] = match
    if (!Object.hasOwn(directives, word)) continue
    const length = directives[word]?.read(message.slice(name.lastIndex), script)
    if (length === undefined) script.misread.push(`/${word}`)
    else name.lastIndex += length
  }
  return script
}

/** The table of directives as Markdown. */
export function directiveTable(): string {
  const rows = Object.values(directives).map(
    ({ forms, meaning }) => `| ${forms.map((form) => `\`${form}\``).join(', ')} | ${meaning} |`,
  )
  return ['| In a message | What I do |', '|---|---|', ...rows].join('\n')
}

function bare(apply: (script: DemoScript) => void): Directive['read'] {
  return (_rest, script) => {
    apply(script)
    return 0
  }
}

function matching(
  pattern: RegExp,
  apply: (script: DemoScript, first?: string, second?: string) => void,
): Directive['read'] {
  return (rest, script) => {
    const match = pattern.exec(rest)
    if (!match) return undefined
    apply(script, match[1], match[2])
    return match[0].length
  }
}

function readToolCall(rest: string, script: DemoScript): number | undefined {
  const [head, name] = /^([\w-]{1,64})(?!\S)[ \t]*/.exec(rest) ?? []
  if (head === undefined || name === undefined) return undefined
  const json = leadingObject(rest.slice(head.length))
  try {
    script.toolCalls.push({ name, arguments: JSON.parse(json || '{}') })
    return head.length + json.length
  } catch {
    return undefined
  }
}

/** The text from an opening brace to the one that closes it; empty where there is no opening brace. */
function leadingObject(text: string): string {
  if (!text.startsWith('{')) return ''
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') depth += 1
    if (token === '}') depth -= 1
    if (depth === 0) return text.slice(0, index + 1)
  }
  return text
}
