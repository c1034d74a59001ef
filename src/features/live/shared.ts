import { visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import { closing } from '../../lib/async.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { iteratePolled, type Polled } from '../../lib/polled.ts'
import type { FanOut, Shareable } from '../../realtime/fan-out.ts'
import { everybody, type Source, type Step } from '../../realtime/fan-out-source.ts'
import type { Delivery } from '../../realtime/feed-deliveries.ts'
import { type SessionEvent, type SessionState, toSessionEvent } from './events.ts'

/** Text that is joined stays below this many UTF-16 units in one event. */
export const joinedMaxLength = 16_384

/** What one viewer follows; without a place it begins at the start. */
export type LiveSource<Item, Value> = Omit<Source<Item, Value>, 'follow'> & {
  follow(after: string | null): Promise<Polled<Item>>
}

export type SessionSource = LiveSource<Delivery<SessionState>, SessionEvent>

/** What a session's live feed is to one viewer; without a cursor it begins with a snapshot. `heard` gets what it reads. */
export function createSessionSource(
  viewer: Viewer,
  sessionId: string,
  follow: SessionSource['follow'],
  heard: (delivery: Delivery<SessionState>) => void,
): SessionSource {
  return {
    userId: viewer.userId,
    follow,
    stepOf(delivery) {
      heard(delivery)
      return stepOf(delivery)
    },
    // Somebody may have been let in again since, or see the session for another reason.
    async mayRead() {
      const where = { tenantId: viewer.tenantId, id: sessionId, ...visibleSessions(viewer) }
      return (await viewer.db.prisma.session.count({ where })) > 0
    },
    joined,
  }
}

/**
 * A part of what a session's feed tells. `begin` is given the place to go on from, and gives the cursor of the feed that
 * is in it and what becomes of each step from there; a place must say all that this depends on.
 */
export function narrowed<Value>(
  source: SessionSource,
  begin: (after: string | null) => {
    cursor: string | null
    narrow: (step: Step<SessionEvent>) => readonly Step<Value>[]
  },
  join: (first: Value, second: Value) => Value | null,
): LiveSource<Step<Value>, Value> {
  return {
    userId: source.userId,
    mayRead: source.mayRead,
    stepOf: (step) => step,
    joined: join,
    async follow(after) {
      const { cursor, narrow } = begin(after)
      const deliveries = await source.follow(cursor)
      let waiting: Step<Value>[] = []
      return {
        poll(wake) {
          for (;;) {
            const step = waiting.shift()
            if (step) return { value: step }
            const next = deliveries.poll(wake)
            if (next === null || next.done) return next
            waiting = [...narrow(source.stepOf(next.value))]
          }
        },
        close: () => deliveries.close(),
        [Symbol.asyncIterator]: iteratePolled,
      }
    },
  }
}

/** A feed that this viewer may follow from `start` on. */
export function createShareable<Item, Value>(
  fanOut: FanOut,
  topic: string,
  source: LiveSource<Item, Value>,
  start: { after: string } | { opened: Polled<Item> },
): Shareable<Value> {
  // Let go of once it is used: who follows keeps this, and a feed that was opened and left behind would stay with it.
  let opening: typeof start | null = start
  let alone: AsyncIterableIterator<Value> | null = null
  let isClosed = false
  const take = () => {
    if (opening === null) throw new Error('A feed is followed once.')
    const taken = opening
    opening = null
    return taken
  }
  const close = () => {
    isClosed = true
    if (opening !== null && 'opened' in opening) opening.opened.close()
    void alone?.return?.()
  }
  async function* iterateAlone() {
    const from = take()
    const items = 'opened' in from ? from.opened : await source.follow(from.after)
    alone = closing(untilGone(valuesOf(source, items)), () => items.close())
    if (isClosed) close()
    yield* alone
  }
  return {
    topic,
    join: (sharing, reader) => fanOut.join(sharing, source, take(), reader),
    close,
    [Symbol.asyncIterator]: () => closing(iterateAlone(), close),
  }
}

/** What the source tells its one reader alone. */
async function* valuesOf<Item, Value>(
  source: LiveSource<Item, Value>,
  items: Polled<Item>,
): AsyncGenerator<Value> {
  for await (const item of items) {
    const { value, recheck, isLast } = source.stepOf(item)
    if (recheck === source.userId && !(await source.mayRead())) return
    if (value !== undefined) yield value
    if (isLast) return
  }
}

/** Ends, and does not fail, where what is followed is gone or not the reader's to see any more. */
export async function* untilGone<Value>(values: AsyncIterable<Value>): AsyncGenerator<Value> {
  try {
    yield* values
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
  }
}

function stepOf(delivery: Delivery<SessionState>): Step<SessionEvent> {
  const { cursor } = delivery
  if ('event' in delivery && delivery.event.type === 'ParticipantRemoved')
    return { cursor, recheck: delivery.event.userId }
  const value = toSessionEvent(delivery)
  if (value === null) return { cursor }
  // Who was removed may have been told in the gap.
  if ('reason' in value)
    return value.reason === 'GAP' ? { cursor, value, recheck: everybody } : { cursor, value }
  return { cursor, value, isLast: value.type === 'SessionDeleted' }
}

/** Text of one reply, or arguments of one tool call, that go on where the first left off. */
function joined(a: SessionEvent, b: SessionEvent): SessionEvent | null {
  if ('reason' in a || 'reason' in b) return null
  if (a.type === 'ToolCallDelta' && b.type === 'ToolCallDelta') {
    const text = a.text + b.text
    const isOfOne = a.messageId === b.messageId && a.toolCallId === b.toolCallId
    return isOfOne && text.length <= joinedMaxLength ? { ...b, text } : null
  }
  if (a.type !== 'TextDelta' || b.type !== 'TextDelta' || a.messageId !== b.messageId) return null
  const text = a.text + b.text
  if (a.offset + a.text.length !== b.offset || text.length > joinedMaxLength) return null
  return { ...b, offset: a.offset, text }
}
