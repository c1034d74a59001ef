import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Run } from '../../db/client.ts'
import { closing } from '../../lib/async.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Feed } from '../../realtime/feed.ts'
import { parseCursor } from '../../realtime/feed-cursor.ts'
import type { Delivery, StoredState } from '../../realtime/feed-deliveries.ts'
import type { FeedEvent } from '../../realtime/feed-events.ts'
import type { LostChanges } from '../sessions/lost-changes.ts'
import { type Placed, placed, type ToldEvent, withText } from './events.ts'
import { untilGone } from './shared.ts'

/** `messages` are those of the run, oldest first; a streaming one has all of its text so far. */
export type RunSnapshot = {
  cursor: string
  at: Date
  reason: 'START' | 'GAP'
  run: Run
  messages: Message[]
}

export type RunEvent = RunSnapshot | Placed<ToldEvent>

type RunState = StoredState & { run: Run; messages: Message[] }

/** Messages in a snapshot. */
const snapshotMessages = 200

/** Gives the events of one run from the feed of its place, in the form and with the guarantees of that feed, up to its end. */
export function createRunFeed({ feed, lostChanges }: { feed: Feed; lostChanges: LostChanges }) {
  const read = (viewer: Viewer, runId: string): Promise<RunState> =>
    viewer.db.snapshot(async (prisma) => {
      const { tenantId } = viewer
      const where = { tenantId, id: runId, ...onVisibleSession(viewer) }
      const found = await prisma.run.findFirst({
        where,
        include: { session: { select: { revision: true } }, userMessage: true },
      })
      if (!found) throw new NotFoundError('run')
      const { session, userMessage, ...run } = found
      const own = await prisma.message.findMany({
        where: { tenantId, runId },
        orderBy: { seq: 'desc' },
        take: snapshotMessages,
      })
      // A question that is answered anew belongs to the run that answered it first.
      const messages = [
        ...(own.some(({ id }) => id === userMessage.id) ? [] : [userMessage]),
        ...own.reverse(),
      ]
      const growing = messages.filter(({ id }) => run.status === 'RUNNING' && id === run.assistantMessageId)
      const text = new Map(growing.map(({ id, content }) => [id, content ?? '']))
      return { revision: session.revision, text, run, messages }
    })

  return async (
    viewer: Viewer,
    runId: string,
    after?: string | null,
  ): Promise<AsyncIterableIterator<RunEvent>> => {
    const { run } = await read(viewer, runId)
    const { sessionId } = run
    const deliveries = await feed.follow(sessionId, { read: () => read(viewer, runId) }, after)
    const stop = () => deliveries.close()
    try {
      lostChanges.watch(viewer.tenantId, sessionId)
      // Read after attaching: whatever comes now is told, and of what has ended nothing comes.
      const now = await read(viewer, runId)
      const known = new Set(now.messages.map(({ id }) => id))
      const endedBy = now.run.finishedAt === null ? Number.POSITIVE_INFINITY : now.revision
      if (after && endedBy < Number.POSITIVE_INFINITY && (await hasSeenEnd(after, now.run, endedBy))) {
        stop()
        return nothing()
      }
      const where = { tenantId: viewer.tenantId, id: runId, ...onVisibleSession(viewer) }
      const mayRead = async () => (await viewer.db.prisma.run.count({ where })) > 0
      const events = eventsOf(deliveries, { runId, known, userId: viewer.userId, endedBy, mayRead })
      return closing(untilGone(events), stop)
    } catch (error) {
      stop()
      throw error
    }
  }

  /**
   * Whether the reader had the end already, so that nothing is left to be told. An end that was committed may be
   * announced only later, or never: what tells is the revision that the log has come to.
   */
  async function hasSeenEnd(after: string, { id, sessionId }: Run, endedBy: number): Promise<boolean> {
    const since = await feed.since(sessionId, after)
    if (since === null || since.events.some((event) => isEndOf(event, id))) return false
    return parseCursor(since.cursor).revision >= endedBy
  }
}

async function* nothing(): AsyncGenerator<RunEvent> {}

const isEndOf = (event: FeedEvent, runId: string) => event.type === 'RunFinished' && event.run.id === runId

type Followed = {
  runId: string
  known: Set<string>
  userId: string
  /** A revision by which the run had ended: who was told all up to it waits for nothing more. */
  endedBy: number
  mayRead: () => Promise<boolean>
}

async function* eventsOf(
  deliveries: AsyncIterable<Delivery<RunState>>,
  { runId, known, userId, endedBy, mayRead }: Followed,
): AsyncGenerator<RunEvent> {
  for await (const delivery of deliveries) {
    const { cursor, at } = delivery
    if ('snapshot' in delivery) {
      const { state, text } = delivery.snapshot
      for (const { id } of state.messages) known.add(id)
      const { run, messages } = state
      yield { cursor, at, reason: delivery.reason, run, messages: withText(messages, text) }
      if (run.finishedAt !== null) return
      continue
    }
    const { event } = delivery
    if (event.type === 'ParticipantRemoved' && event.userId === userId && !(await mayRead())) return
    if (event.type !== 'ParticipantRemoved' && event.type !== 'Lost' && isOfRun(event, runId, known))
      yield placed(event, cursor, at)
    if (isEndOf(event, runId) || parseCursor(cursor).revision >= endedBy) return
  }
}

function isOfRun(event: FeedEvent, runId: string, known: Set<string>): boolean {
  if ('run' in event) return event.run.id === runId
  if ('messageId' in event) return known.has(event.messageId)
  if (!('message' in event)) return false
  if (event.message.runId === runId) known.add(event.message.id)
  return known.has(event.message.id)
}
