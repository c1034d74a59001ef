import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Run } from '../../db/client.ts'
import { closing } from '../../lib/async.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Delivery, StoredState } from '../../realtime/feed-deliveries.ts'
import type { FeedEvent } from '../../realtime/feed-events.ts'
import { type ToldEvent, told, withText } from './events.ts'
import type { LostChanges } from './lost-changes.ts'

/** `messages` are those of the run, oldest first; a streaming one has all of its text so far. */
export type RunSnapshot = {
  cursor: string
  at: Date
  reason: 'START' | 'GAP'
  run: Run
  messages: Message[]
}

export type RunEvent = RunSnapshot | { cursor: string; at: Date; event: ToldEvent }

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
    const deliveries = await feed.follow(sessionId, { after, read: () => read(viewer, runId) })
    const stop = () => deliveries.close()
    try {
      lostChanges.watch(viewer.tenantId, sessionId)
      // Read after attaching: whatever comes now is told, and of what has ended nothing comes.
      const now = await read(viewer, runId)
      const known = new Set(now.messages.map(({ id }) => id))
      if (after && now.run.finishedAt !== null && (await hasSeenEnd(after, now.run))) {
        stop()
        return nothing()
      }
      const mayRead = async () => (await read(viewer, runId)) !== null
      return closing(eventsOf(deliveries, { runId, known, userId: viewer.userId, mayRead }), stop)
    } catch (error) {
      stop()
      throw error
    }
  }

  /** Whether the reader had the end already, so that nothing is left to be told. */
  async function hasSeenEnd(after: string, { id, sessionId }: Run): Promise<boolean> {
    const since = await feed.since(sessionId, after)
    return since !== null && !since.events.some((event) => isEndOf(event, id))
  }
}

async function* nothing(): AsyncGenerator<RunEvent> {}

const isEndOf = (event: FeedEvent, runId: string) => event.type === 'RunFinished' && event.run.id === runId

type Followed = { runId: string; known: Set<string>; userId: string; mayRead: () => Promise<boolean> }

async function* eventsOf(
  deliveries: AsyncIterable<Delivery<RunState>>,
  { runId, known, userId, mayRead }: Followed,
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
    // Throws where the reader may not see the run any more.
    if (event.type === 'ParticipantRemoved' && event.userId === userId) await mayRead()
    if (event.type === 'ParticipantRemoved' || event.type === 'Lost') continue
    if (!isOfRun(event, runId, known)) continue
    yield { cursor, at, event: told(event) }
    if (isEndOf(event, runId)) return
  }
}

function isOfRun(event: FeedEvent, runId: string, known: Set<string>): boolean {
  if ('run' in event) return event.run.id === runId
  if ('messageId' in event) return known.has(event.messageId)
  if (!('message' in event)) return false
  if (event.message.runId === runId) known.add(event.message.id)
  return known.has(event.message.id)
}
