import type { ModelMessage } from '../../llm/provider.ts'
import type { Passage } from '../documents/retrieval.ts'

/** One message as the model gets it, and where it comes from. */
export type Part = {
  kind: 'SYSTEM_PROMPT' | 'MEMORY' | 'SUMMARY' | 'PASSAGE' | 'MESSAGE' | 'QUESTION'
  message: ModelMessage
  /** The stored message that it is, or is taken from. */
  messageId: string | null
  /** The passages of documents that stand in it, in the order of their numbers. */
  cited?: readonly Passage[]
}

/** A part that goes along beside the conversation, made of as many of its pieces as there is room for. */
export type Extra = {
  /** Those that matter most come first. */
  pieces: readonly string[]
  /** Of the pieces at these places. */
  toPart(places: readonly number[]): Part
}

export type Fitting = {
  /** Always there. */
  system: readonly Part[]
  current: readonly Part[]
  /** Taken in this order, piece by piece, as far as they fit into half of what `system` and `current` leave. */
  extras: readonly Extra[]
  /** Oldest first. Taken whole from the newest on, until one does not fit. */
  turns: readonly (readonly Part[])[]
  /** Tokens, of all together; what `reserved` has is spent already. */
  budget: number
  reserved: number
  /** How many messages the turns may have together. */
  maxMessages: number
}

export type Fitted = {
  parts: Part[]
  dropped: readonly (readonly Part[])[]
  /** What the newest of those that are dropped passed; null where none is. */
  reason: 'MESSAGES' | 'ROOM' | null
  /** What is always there has this many tokens, where that alone passes the budget. */
  excess: number | null
}

/** What providers add to each message. */
const perMessage = 4

export const textOf = (message: ModelMessage): string =>
  message.role === 'assistant' && message.toolCalls.length > 0
    ? message.content + JSON.stringify(message.toolCalls)
    : message.content

export const sizeOf = (count: (text: string) => number, parts: readonly Part[]): number =>
  parts.reduce((sum, { message }) => sum + count(textOf(message)) + perMessage, 0)

export const wholeOf = ({ pieces, toPart }: Extra): Part => toPart(pieces.map((_, place) => place))

/** What may stand between two pieces. */
const perPiece = 1

/** The part with all the pieces that fit, or null where none does. */
function partWithin(extra: Extra, room: number, count: (text: string) => number): Part | null {
  const fits = (part: Part) => sizeOf(count, [part]) <= room
  const whole = wholeOf(extra)
  if (fits(whole)) return whole
  const places: number[] = []
  let left = room - sizeOf(count, [extra.toPart([])])
  for (const [place, piece] of extra.pieces.entries()) {
    const size = count(piece) + perPiece
    if (size > left) continue
    left -= size
    places.push(place)
  }
  // Counted one by one, pieces can have fewer tokens than together.
  for (; places.length > 0; places.pop()) {
    const part = extra.toPart(places)
    if (fits(part)) return part
  }
  return null
}

/**
 * Chooses what is sent. The order of what is said never changes, no turn is cut, and there is no passage of a message that
 * goes along whole.
 */
export function fitParts(asked: Fitting, count: (text: string) => number): Fitted {
  const fitted = fitOnce(asked, count)
  const sent = new Set(fitted.parts.flatMap(({ kind, messageId }) => (kind === 'MESSAGE' ? messageId : [])))
  const extras = asked.extras.filter((extra) => {
    const { messageId } = wholeOf(extra)
    return messageId === null || !sent.has(messageId)
  })
  // More room keeps all turns that were kept.
  return extras.length === asked.extras.length ? fitted : fitParts({ ...asked, extras }, count)
}

function fitOnce(asked: Fitting, count: (text: string) => number): Fitted {
  const { system, current, extras, turns, budget, reserved, maxMessages } = asked
  const fixed = reserved + sizeOf(count, [...system, ...current])
  let left = budget - fixed
  const chosen: Part[] = []
  let share = left / 2
  for (const extra of extras) {
    const part = partWithin(extra, share, count)
    if (!part) continue
    const size = sizeOf(count, [part])
    share -= size
    left -= size
    chosen.push(part)
  }
  let messages = maxMessages
  let reason: Fitted['reason'] = null
  let first = turns.length
  while (first > 0) {
    const turn = turns[first - 1] ?? []
    const size = sizeOf(count, turn)
    if (turn.length > messages) reason = 'MESSAGES'
    else if (size > left) reason = 'ROOM'
    if (reason) break
    left -= size
    messages -= turn.length
    first -= 1
  }
  return {
    parts: [...system, ...chosen, ...turns.slice(first).flat(), ...current],
    dropped: turns.slice(0, first),
    reason,
    excess: fixed > budget ? fixed : null,
  }
}

/** No tokenizer makes more tokens of a text than it has bytes: where those fit, nothing needs to be counted. */
export const upperBound = (text: string): number => Buffer.byteLength(text)

/** Models take one system message, as the first. */
export function messagesOf(parts: readonly Part[]): ModelMessage[] {
  const [system, rest] = [true, false].map((isSystem) =>
    parts.flatMap(({ message }) => ((message.role === 'system') === isSystem ? [message] : [])),
  ) as [ModelMessage[], ModelMessage[]]
  if (system.length === 0) return rest
  return [{ role: 'system', content: system.map(({ content }) => content).join('\n\n') }, ...rest]
}
