import { visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import { closing } from '../../lib/async.ts'
import type { Polled } from '../../lib/polled.ts'
import type { FanOut, Shareable } from '../../realtime/fan-out.ts'
import { everybody, type Source, type Step } from '../../realtime/fan-out-source.ts'
import type { Delivery } from '../../realtime/feed-deliveries.ts'
import { type SessionEvent, type SessionState, sessionEvents, toSessionEvent } from './events.ts'

/** Text that is joined stays below this many UTF-16 units in one event. */
const joinedMaxLength = 16_384

/** What a session's live feed is to one viewer; without a cursor it begins with a snapshot. */
export type SessionSource = Omit<Source<Delivery<SessionState>, SessionEvent>, 'follow'> & {
  follow(after: string | null): Promise<Opened>
}

export function createSessionSource(
  viewer: Viewer,
  sessionId: string,
  follow: SessionSource['follow'],
): SessionSource {
  return {
    userId: viewer.userId,
    follow,
    stepOf,
    // Somebody may have been let in again since, or see the session for another reason.
    async mayRead() {
      const where = { tenantId: viewer.tenantId, id: sessionId, ...visibleSessions(viewer) }
      return (await viewer.db.prisma.session.count({ where })) > 0
    },
    joined,
  }
}

type Opened = Polled<Delivery<SessionState>>

/** A feed that this viewer may follow from `start` on. */
export function createShareable(
  fanOut: FanOut,
  topic: string,
  source: SessionSource,
  start: { after: string } | { opened: Opened },
): Shareable<SessionEvent> {
  // Let go of once it is used: who follows keeps this, and a feed that was opened and left behind would stay with it.
  let opening: typeof start | null = start
  let alone: AsyncIterableIterator<SessionEvent> | null = null
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
    alone = iterate(source, 'opened' in from ? from.opened : await source.follow(from.after))
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

/** The feed for its one reader alone. */
export function iterate(source: SessionSource, deliveries: Opened): AsyncIterableIterator<SessionEvent> {
  const isStillVisible = async (removedUserId: string) =>
    removedUserId !== source.userId || (await source.mayRead())
  return closing(sessionEvents(deliveries, isStillVisible), () => deliveries.close())
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
  return { cursor, value, isLast: value.event.type === 'SessionDeleted' }
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
