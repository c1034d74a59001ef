import type { Entry, Position, Tail } from './broker.ts'
import type { FeedEvent } from './feed-events.ts'
import { textMark } from './feed-marks.ts'

export const eventOf = (entry: Entry) => entry.data as FeedEvent

export const isNewerThan = (event: FeedEvent, revision: number) =>
  'revision' in event && event.revision > revision

/**
 * Completes stored texts by the deltas of a tail, up to the first event after `from` that the state does not hold.
 * A commit that the state has not seen was announced after the read began, hence after `from`.
 *
 * `isWhole` is false where something is missing or cannot be known to be there, `isProven` where a text met no delta:
 * then the ones that it lacks may stand before the tail.
 */
export function fold(
  tail: Tail,
  from: Position,
  state: { revision: number; text: ReadonlyMap<string, string> },
) {
  const text = new Map(state.text)
  const unmet = new Set(text.keys())
  const [oldest] = tail.entries
  let isWhole = from.epoch !== tail.position.epoch || !oldest || oldest.offset <= from.offset + 1
  let { offset } = tail.position
  for (const entry of tail.entries) {
    const event = eventOf(entry)
    const isNew = entry.offset > from.offset || from.epoch !== tail.position.epoch
    if (isNew && isNewerThan(event, state.revision)) {
      offset = entry.offset - 1
      break
    }
    if (event.type !== 'TextDelta') continue
    const known = text.get(event.messageId)
    if (known === undefined) continue
    unmet.delete(event.messageId)
    if (event.offset > known.length) isWhole = false
    else text.set(event.messageId, known.slice(0, event.offset) + event.text)
  }
  for (const messageId of unmet) {
    // What follows must go on where the text ends; where nothing does, the text must be all that was told. A log that
    // does not know how much that is learns it with the next heartbeat of the run.
    const next = tail.entries.map(eventOf).find((event) => isDeltaOf(event, messageId))
    const due = next?.type === 'TextDelta' ? next.offset : tail.marks[textMark(messageId)]
    const known = text.get(messageId) ?? ''
    if (due === undefined || due > known.length) isWhole = false
    // Stored already, but still to be told.
    else text.set(messageId, known.slice(0, due))
  }
  return { text, isWhole, isProven: unmet.size === 0, offset }
}

const isDeltaOf = (event: FeedEvent, messageId: string) =>
  event.type === 'TextDelta' && event.messageId === messageId
