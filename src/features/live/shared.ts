import { visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import { closing } from '../../lib/async.ts'
import type { FanOut, Shareable } from '../../realtime/fan-out.ts'
import { everybody, type Source, type Start, type Step } from '../../realtime/fan-out-source.ts'
import type { Delivery, Feed } from '../../realtime/feed.ts'
import { type SessionEvent, type SessionState, sessionEvents, toSessionEvent } from './events.ts'

/** Text that is joined for a reader that has fallen behind stays below this many UTF-16 units in one event. */
const joinedMaxLength = 16_384

/** What a session's live feed is to one viewer. */
export type SessionSource = Source<Delivery<SessionState>, SessionEvent>

export function createSessionSource(
  feed: Feed,
  viewer: Viewer,
  sessionId: string,
  read: () => Promise<SessionState>,
): SessionSource {
  return {
    userId: viewer.userId,
    follow: (after) => feed.follow(sessionId, { after, read }),
    stepOf,
    async mayRead() {
      const where = { tenantId: viewer.tenantId, id: sessionId, deletedAt: null, ...visibleSessions(viewer) }
      return (await viewer.db.prisma.session.count({ where })) > 0
    },
    joined,
  }
}

/** A feed that this viewer may follow from `start` on. */
export function createShareable(
  fanOut: FanOut,
  topic: string,
  source: SessionSource,
  start: Start<Delivery<SessionState>>,
): Shareable<SessionEvent> {
  const isStillVisible = async (removedUserId: string) =>
    removedUserId !== source.userId || (await source.mayRead())
  async function* alone() {
    const deliveries = 'opened' in start ? start.opened : await source.follow(start.after)
    const iterable = { [Symbol.asyncIterator]: () => deliveries }
    yield* closing(sessionEvents(iterable, isStillVisible), () => void deliveries.return?.())
  }
  const close = () => {
    if ('opened' in start) void start.opened.return?.()
  }
  return {
    topic,
    join: (sharing, reader) => fanOut.join(sharing, source, start, reader),
    close,
    [Symbol.asyncIterator]: () => closing(alone(), close),
  }
}

function stepOf(delivery: Delivery<SessionState>): Step<SessionEvent> {
  const { cursor } = delivery
  if (!('event' in delivery)) {
    const value = toSessionEvent(delivery)
    // Who was removed may have been told in the gap.
    return delivery.reason === 'GAP' ? { cursor, value, recheck: everybody } : { cursor, value }
  }
  const { event } = delivery
  if (event.type === 'ParticipantRemoved') return { cursor, recheck: event.userId }
  const value = toSessionEvent(delivery)
  return value ? { cursor, value, isLast: event.type === 'SessionDeleted' } : { cursor }
}

/** Text of one reply that goes on where the first left off. */
function joined(first: SessionEvent, second: SessionEvent): SessionEvent | null {
  if ('reason' in first || 'reason' in second) return null
  const [a, b] = [first.event, second.event]
  if (a.type !== 'TextDelta' || b.type !== 'TextDelta' || a.messageId !== b.messageId) return null
  const text = a.text + b.text
  if (a.offset + a.text.length !== b.offset || text.length > joinedMaxLength) return null
  return { ...second, event: { ...a, text } }
}
