import { readFile } from 'node:fs/promises'

/** A conversation as it is written down in conversations.md, which says how to read it. */
export type Conversation = {
  title: string
  owner: string
  agent: string
  daysAgo: number
  tags: string[]
  participants: { user: string; role: 'EDITOR' | 'VIEWER' }[]
  /** How many of its last messages the owner has not seen. */
  unread: number
  isDeleted: boolean
  turns: Turn[]
}

export type Turn =
  | { role: 'USER'; author: string; content: string }
  | { role: 'ASSISTANT'; content: string }
  | { role: 'ASSISTANT'; content: null; call: { id: string; name: string; arguments: object } }
  | { role: 'TOOL'; content: string; answers: string }

/** All conversations, in the order in which they are written down. */
export async function readConversations(): Promise<Conversation[]> {
  const read = (name: string) => readFile(new URL(name, import.meta.url), 'utf8')
  const words = await read('italian.tsv')
  const [, ...sections] = (await read('conversations.md')).split(/^## /m)
  return sections.map((section) => parse(section, words))
}

function parse(section: string, words: string): Conversation {
  const [title = '', head = '', ...lines] = section.split('\n')
  const [owner = '', agent = '', ...settings] = head.split(', ')
  const valuesOf = (name: string) =>
    settings.map((setting) => setting.split(' ')).filter(([first]) => first === name)
  return {
    title,
    owner,
    agent,
    daysAgo: Number(valuesOf('days')[0]?.[1]),
    tags: valuesOf('tags').flatMap(([, ...tags]) => tags),
    participants: valuesOf('with').map(([, user = '', role]) => ({
      user,
      role: role === 'editor' ? 'EDITOR' : 'VIEWER',
    })),
    unread: Number(valuesOf('unread')[0]?.[1] ?? 0),
    isDeleted: settings.includes('deleted'),
    turns: settings.includes('practice') ? practise(owner, words) : parseTurns(lines, owner),
  }
}

function parseTurns(lines: readonly string[], owner: string): Turn[] {
  const turns: Turn[] = []
  let reply: string[] = []
  const endReply = () => {
    const content = reply.join('\n').trim()
    if (content) turns.push({ role: 'ASSISTANT', content })
    reply = []
  }
  for (const line of lines) {
    const [, mark, rest = ''] = /^([>!=]) (.*)$/.exec(line) ?? []
    if (mark === undefined) {
      reply.push(line)
      continue
    }
    endReply()
    const last = `call_${turns.length - 1}`
    if (mark === '=') turns.push({ role: 'TOOL', content: rest, answers: last })
    else if (mark === '!') turns.push(callOf(rest, `call_${turns.length}`))
    else turns.push(questionOf(rest, owner))
  }
  endReply()
  return turns
}

function questionOf(text: string, owner: string): Turn {
  const [, author = owner, content = text] = /^([a-z]+): (.*)$/.exec(text) ?? []
  return { role: 'USER', author, content }
}

function callOf(text: string, id: string): Turn {
  const space = text.indexOf(' ')
  const call = { id, name: text.slice(0, space), arguments: JSON.parse(text.slice(space)) as object }
  return { role: 'ASSISTANT', content: null, call }
}

/** Ten messages for each word. */
function practise(author: string, words: string): Turn[] {
  return words
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [english = '', one = '', many = '', sentence = '', meaning = ''] = line.split('\t')
      const exchanges = [
        [`What is "${english}" in Italian?`, `${one}.`],
        ['And more than one?', `${many}.`],
        ['Use it in a sentence.', sentence],
        ['Which means?', meaning],
        [`${sentence} I said it aloud three times.`, `Good. Tomorrow once more: ${one}, ${many}.`],
      ] as const
      return exchanges.flatMap(([question, answer]): Turn[] => [
        { role: 'USER', author, content: question },
        { role: 'ASSISTANT', content: answer },
      ])
    })
}
