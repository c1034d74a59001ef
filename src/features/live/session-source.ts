import { visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import { iteratePolled, type Polled } from '../../lib/polled.ts'
import { everybody, type Step } from '../../realtime/fan-out-source.ts'
import type { Delivery } from '../../realtime/feed-deliveries.ts'
import { type SessionEvent, type SessionState, toSessionEvent } from './events.ts'
import { joinedMaxLength, type LiveSource } from './shared.ts'

/** What sources ask of the service that they are of; one for all of them. */
export type SessionHome = {
  /** The state of the session, where the viewer may see it. */
  read(source: SessionSource): Promise<SessionState>
  follow(source: SessionSource, after: string | null): Promise<Polled<Delivery<SessionState>>>
  /** What is read of the feed. */
  heard(source: SessionSource, delivery: Delivery<SessionState>): void
  /** The viewer looks at the session, and does not any more. */
  enter(source: SessionSource): void
  leave(source: SessionSource): void
}

/**
 * What a session's live feed is to one viewer; without a cursor it begins with a snapshot. `replyId` names a reply that
 * the snapshot has for as long as it is there, however many came after it; the right is that to the reply then.
 *
 * Whoever follows all of it is present in the session; who follows a part of it (`narrowed`) is not. A class, since there
 * is one for each reader that waits.
 */
export class SessionSource implements LiveSource<Delivery<SessionState>, SessionEvent> {
  readonly viewer: Viewer
  readonly sessionId: string
  readonly replyId: string | null
  private readonly home: SessionHome

  constructor(home: SessionHome, viewer: Viewer, sessionId: string, replyId: string | null = null) {
    this.home = home
    this.viewer = viewer
    this.sessionId = sessionId
    this.replyId = replyId
  }

  get userId(): string {
    return this.viewer.userId
  }

  read(): Promise<SessionState> {
    return this.home.read(this)
  }

  follow(after: string | null): Promise<Polled<Delivery<SessionState>>> {
    return this.home.follow(this, after)
  }

  /** Somebody may have been let in again since, or see the session for another reason. */
  async mayRead(): Promise<boolean> {
    const { viewer, sessionId } = this
    const where = { tenantId: viewer.tenantId, id: sessionId, ...visibleSessions(viewer) }
    return (await viewer.db.prisma.session.count({ where })) > 0
  }

  stepOf(delivery: Delivery<SessionState>): Step<SessionEvent> {
    this.home.heard(this, delivery)
    return stepOf(delivery)
  }

  joined(first: SessionEvent, second: SessionEvent): SessionEvent | null {
    return joined(first, second)
  }

  entered(): void {
    this.home.enter(this)
  }

  left(): void {
    this.home.leave(this)
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
    mayRead: () => source.mayRead(),
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
export function joined(a: SessionEvent, b: SessionEvent): SessionEvent | null {
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
