import { randomInt } from 'node:crypto'

/** More text of a reply, as events of subscriptions have it. */
export type Word = {
  type: 'TextDelta'
  cursor: string
  at: Date
  messageId: string
  offset: number
  text: string
}

export const isWord = (event: unknown): event is Word => (event as Partial<Word> | null)?.type === 'TextDelta'

const slots = ['cursor', 'at', 'offset', 'text'] as const
type Slot = (typeof slots)[number]

/**
 * The JSON of the words of one reply, which differ in nothing but four values: `pieces` stand around the values of `filled`.
 * Almost all events are words, and to put one together takes a fraction of what executing the operation does.
 */
export class WordTemplate {
  private readonly pieces: readonly string[]
  private readonly filled: readonly Slot[]

  constructor(pieces: readonly string[], filled: readonly Slot[]) {
    this.pieces = pieces
    this.filled = filled
  }

  jsonOf(word: Word): string {
    const { pieces, filled } = this
    let json = pieces[0] ?? ''
    for (let at = 0; at < filled.length; at += 1)
      json += JSON.stringify(word[filled[at] as Slot]) + pieces[at + 1]
    return json
  }
}

/**
 * Finds the template of a reply's words from what `execute` makes of a made-up one, by where its values come to stand. A
 * second one, of other values, proves it: null where that comes out otherwise, or where `execute` gives null.
 */
export function wordTemplateOf(
  messageId: string,
  execute: (word: Word) => string | null,
): WordTemplate | null {
  const [one, other] = [madeUpWord(messageId), madeUpWord(messageId)]
  const [json, otherJson] = [execute(one), execute(other)]
  if (json === null) return null
  const slotOf = new Map(slots.map((slot) => [JSON.stringify(one[slot]), slot]))
  // None of the values has a character that means something else in a pattern, but for dots, which fit themselves.
  const parts = json.split(new RegExp(`(${[...slotOf.keys()].join('|')})`))
  const pieces = parts.filter((_, index) => index % 2 === 0)
  const filled = parts.flatMap((part) => slotOf.get(part) ?? [])
  const template = new WordTemplate(pieces, filled)
  return template.jsonOf(other) === otherJson ? template : null
}

/** Of values that stand nowhere else, being by chance. */
const madeUpWord = (messageId: string): Word => ({
  type: 'TextDelta',
  cursor: `cursor-${randomInt(2 ** 47)}`,
  at: new Date(randomInt(2 ** 40)),
  messageId,
  offset: randomInt(10 ** 9, 2 ** 31),
  text: `text-${randomInt(2 ** 47)}`,
})
