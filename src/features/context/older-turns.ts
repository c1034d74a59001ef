import type { Said, Turn } from './conversation.ts'
import { textOf } from './fit.ts'
import { defaultKeepLast } from './room.ts'

/** The turns that no summary tells of; the first so many of them have no room. */
type Open = { turns: readonly Turn[]; withoutRoom: number }

/** `unfinished` is the `seq` of the first message that may still change; `room` are the tokens of one request. */
type Step = {
  keepLast: number | null | undefined
  unfinished: number
  room: number
  count: (text: string) => number
}

/**
 * What comes before the last messages, and what there is no room for, up to what is unfinished: whole turns, as many as one
 * step takes.
 */
export function olderTurns({ turns, withoutRoom }: Open, step: Step): Said[] {
  const { keepLast, unfinished, room, count: countTokens } = step
  let kept = keepLast ?? defaultKeepLast
  let end = turns.length
  while (end > withoutRoom && kept > 0) {
    kept -= turns[end - 1]?.length ?? 0
    end -= 1
  }
  const open = turns.findIndex((turn) => lastSeqOf(turn) >= unfinished)
  if (open >= 0) end = Math.min(end, open)
  let count = 0
  let size = 0
  for (const turn of turns.slice(0, end)) {
    size += turn.reduce((sum, { message }) => sum + countTokens(textOf(message)), 0)
    if (count > 0 && size > room) break
    count += 1
  }
  // A summary ends at a `seq`, and a turn in which tools were called can end after one that began later.
  const isBefore = (step: Turn, rest: readonly Turn[]) =>
    rest.every((turn) => lastSeqOf(turn) > lastSeqOf(step))
  while (count > 0 && !isBefore(turns.slice(0, count).flat(), turns.slice(count))) count -= 1
  return turns.slice(0, count).flat()
}

export const lastSeqOf = (turn: Turn): number => Math.max(...turn.map(({ seq }) => seq))
