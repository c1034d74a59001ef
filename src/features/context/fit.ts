import type { ModelMessage } from '../../llm/provider.ts'

/** One message as the model gets it, and where it comes from. */
export type Part = {
  kind: 'SYSTEM_PROMPT' | 'MEMORY' | 'SUMMARY' | 'PASSAGE' | 'MESSAGE' | 'QUESTION'
  message: ModelMessage
  /** The stored message that it is, or is taken from. */
  messageId: string | null
}

export type Fitting = {
  /** Always there. */
  system: readonly Part[]
  current: readonly Part[]
  /** Taken in this order as far as they fit into half of what `system` and `current` leave. */
  extras: readonly Part[]
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

/** Chooses what is sent. The order of what is said never changes, and no turn is cut. */
export function fitParts(asked: Fitting, count: (text: string) => number): Fitted {
  const { system, current, extras, turns, budget, reserved, maxMessages } = asked
  const fixed = reserved + sizeOf(count, [...system, ...current])
  let left = budget - fixed
  const chosen: Part[] = []
  let share = left / 2
  for (const part of extras) {
    const size = sizeOf(count, [part])
    if (size > share) continue
    share -= size
    left -= size
    chosen.push(part)
  }
  let messages = maxMessages
  let first = turns.length
  while (first > 0) {
    const turn = turns[first - 1] ?? []
    const size = sizeOf(count, turn)
    if (size > left || turn.length > messages) break
    left -= size
    messages -= turn.length
    first -= 1
  }
  return {
    parts: [...system, ...chosen, ...turns.slice(first).flat(), ...current],
    dropped: turns.slice(0, first),
    excess: fixed > budget ? fixed : null,
  }
}

/** No tokenizer makes more tokens of a text than it has bytes: where those fit, nothing needs to be counted. */
export const upperBound = (text: string): number => Buffer.byteLength(text)
