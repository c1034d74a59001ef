import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Prisma, Session } from '../../db/client.ts'
import { createRounds } from '../../lib/async.ts'
import { digestOf } from '../../lib/digest.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Page } from '../../lib/paging.ts'
import type { FanOut, Shareable } from '../../realtime/fan-out.ts'
import type { Feed } from '../../realtime/feed.ts'
import { parseCursor } from '../../realtime/feed-cursor.ts'
import type { MessagePageArgs } from '../messages/page.ts'
import type { Messages } from '../messages/service.ts'
import type { LostChanges } from '../sessions/lost-changes.ts'
import type { Sessions } from '../sessions/service.ts'
import { type SessionEvent, type SessionState, withText } from './events.ts'
import { newMessagesOf } from './new-messages.ts'
import type { Presence } from './presence.ts'
import { lastPiece, type ReplyPiece, replyOf } from './reply.ts'
import { createRunFeed, type RunEvent } from './run-events.ts'
import { type SessionHome, SessionSource } from './session-source.ts'
import { createShareable } from './shared.ts'

/** A session as read by a query together with the pages of messages that were asked for and the cursor that fits. */
type ObservedSession = { cursor: string; pages: ReadonlyMap<string, Page<Message>> }

export type Live = {
  /**
   * Reads a session, pages of its messages and the feed's cursor so that they fit: who follows from the cursor misses
   * nothing and sees nothing twice. Gives what `readSession` gave; the pages and the cursor are found by it.
   */
  observe<Row extends Session>(
    viewer: Viewer,
    sessionId: string,
    readSession: (prisma: Prisma.TransactionClient) => Promise<Row | null>,
    pages: readonly MessagePageArgs[],
  ): Promise<Row | null>
  /** The page that was read together with this session, if it was. */
  observedPage(session: Session, args: MessagePageArgs): Page<Message> | undefined
  /** The feed's place that matches this read of the session. */
  cursorOf(session: Session): Promise<string>
  /** The live feed of a session that the viewer may see; one execution of its events can serve many readers. */
  share(viewer: Viewer, sessionId: string, after?: string | null): Promise<Shareable<SessionEvent>>
  /** New messages from now on. */
  followMessages(viewer: Viewer, sessionId: string): Promise<Shareable<Message>>
  /** The live feed of one run that the viewer may see; ends with the run. */
  followRun(viewer: Viewer, runId: string, after?: string | null): Promise<AsyncIterableIterator<RunEvent>>
  /** The text of one reply: what is there, then what comes; ends with the reply. */
  followReply(viewer: Viewer, messageId: string, after?: string | null): Promise<AsyncIterable<ReplyPiece>>
}

/** Messages in a snapshot: enough for a screen, whatever the length of the session. */
const snapshotMessages = 50

/**
 * The replies that are still to end and the one that is asked for, over or not, and the text of the one that is being
 * written: no other text grows.
 */
async function readReplies(
  prisma: Prisma.TransactionClient,
  tenantId: string,
  sessionId: string,
  replyId: string | null = null,
) {
  const runs = await prisma.run.findMany({
    where: { tenantId, sessionId, status: { in: ['QUEUED', 'RUNNING', 'REQUIRES_ACTION'] } },
    select: { status: true, assistantMessage: true },
  })
  const growing = runs.filter(({ status }) => status === 'RUNNING')
  const replies = runs.map(({ assistantMessage }) => assistantMessage)
  const isMissing = replyId !== null && replies.every(({ id }) => id !== replyId)
  const asked = isMissing && (await prisma.message.findFirst({ where: { tenantId, sessionId, id: replyId } }))
  return {
    replies: asked ? [...replies, asked] : replies,
    text: new Map(growing.map(({ assistantMessage: { id, content } }) => [id, content ?? ''])),
  }
}

type Dependencies = {
  feed: Feed
  fanOut: FanOut
  sessions: Sessions
  messages: Pick<Messages, 'pageIn'>
  lostChanges: LostChanges
  presence: Presence
}

export function createLive({ feed, fanOut, sessions, messages, lostChanges, presence }: Dependencies): Live {
  const observed = new WeakMap<Session, ObservedSession>()

  const rounds = createRounds<SessionState>()

  /** `replyId` names a reply that is among the messages for as long as it is there, however many came after it. */
  const readStored = (viewer: Viewer, sessionId: string, replyId: string | null): Promise<SessionState> =>
    viewer.db.snapshot(async (prisma) => {
      const where = { tenantId: viewer.tenantId, id: sessionId, deletedAt: null }
      const session = await prisma.session.findFirst({ where })
      if (!session) throw new NotFoundError('session')
      const { replies, text } = await readReplies(prisma, viewer.tenantId, sessionId, replyId)
      const page = { last: snapshotMessages }
      const { rows } = await messages.pageIn(prisma, viewer, sessionId, page)
      const shown = new Set(rows.map(({ id }) => id))
      const earlier = replies.filter(({ id }) => !shown.has(id)).sort((a, b) => a.seq - b.seq)
      return { revision: session.revision, text, session, messages: [...earlier, ...rows] }
    })

  const home: SessionHome = {
    /** The state is read once for all who ask for it at the same time; the right to it is each one's own. */
    async read({ viewer, sessionId, replyId }) {
      const requireRight = replyId === null ? sessions.require : sessions.requirePlace
      // Before the read, so that what others have costs no more than what is not there.
      const { revision } = await requireRight(viewer, sessionId, 'VIEWER')
      const round = `${viewer.tenantId}:${sessionId}:${replyId ?? ''}`
      const state = await rounds(round, () => readStored(viewer, sessionId, replyId))
      // A removal meanwhile is not told after a state that holds it already.
      if (state.revision !== revision) await requireRight(viewer, sessionId, 'VIEWER')
      return state
    },
    /** A snapshot, where the feed begins with one, decides the right by what it reads. */
    async follow(source, after) {
      const deliveries = await feed.follow(source.sessionId, source, after)
      lostChanges.watch(source.viewer.tenantId, source.sessionId)
      return deliveries
    },
    heard({ viewer, sessionId }, delivery) {
      if ('event' in delivery) presence.heard(viewer.tenantId, sessionId, delivery.event)
    },
    enter: ({ viewer, sessionId }) => presence.enter(viewer, sessionId),
    leave: ({ viewer, sessionId }) => presence.leave(viewer, sessionId),
  }

  return {
    async observe(viewer, sessionId, readSession, pages) {
      const read = async () =>
        viewer.db.snapshot(async (prisma) => {
          const session = await readSession(prisma)
          if (!session) return { revision: 0, text: new Map<string, string>(), session, pages: [] }
          const read = []
          for (const args of pages)
            read.push({ args, page: await messages.pageIn(prisma, viewer, sessionId, args) })
          const { text } = await readReplies(prisma, viewer.tenantId, sessionId)
          return { revision: session.revision, text, session, pages: read }
        })
      const { state, text, cursor } = await feed.observe(sessionId, read)
      if (!state.session) return null
      const complete = state.pages.map(
        ({ args, page }) => [digestOf(args), { ...page, rows: withText(page.rows, text) }] as const,
      )
      observed.set(state.session, { cursor, pages: new Map(complete) })
      return state.session
    },
    observedPage: (session, args) => observed.get(session)?.pages.get(digestOf(args)),
    async cursorOf(session) {
      const known = observed.get(session)
      if (known) return known.cursor
      return feed.cursorAt(session.id, session.revision)
    },
    async share(viewer, sessionId, after) {
      if (after != null) parseCursor(after)
      // Before it is followed, since the log keeps a place for whatever is.
      await sessions.require(viewer, sessionId, 'VIEWER')
      const source = new SessionSource(home, viewer, sessionId)
      const start = after == null ? { opened: await source.follow(null) } : { after }
      return createShareable(fanOut, `${viewer.tenantId}:${sessionId}`, source, start)
    },
    async followMessages(viewer, sessionId) {
      await sessions.require(viewer, sessionId, 'VIEWER')
      const source = newMessagesOf(new SessionSource(home, viewer, sessionId))
      const opened = await source.follow(null)
      return createShareable(fanOut, `messages:${viewer.tenantId}:${sessionId}`, source, { opened })
    },
    followRun: createRunFeed({ feed, lostChanges }),
    async followReply(viewer, messageId, after) {
      const where = { tenantId: viewer.tenantId, id: messageId, ...onVisibleSession(viewer) }
      const { prisma } = viewer.db
      const found = await prisma.message.findFirst({ where })
      if (!found) throw new NotFoundError('message')
      if (after != null) parseCursor(after)
      const mayRead = async () => (await prisma.message.count({ where })) > 0
      const session = new SessionSource(home, viewer, found.sessionId, found.id)
      const source = { ...replyOf(session, found), mayRead }
      const opened = after == null && found.status === 'STREAMING' ? await source.follow(null) : null
      try {
        // Read after attaching: a reply that is over ends here, and the end of any other one is still to be told.
        const message = opened ? await prisma.message.findFirstOrThrow({ where }) : found
        if (message.status === 'STREAMING') {
          const start = opened ? { opened } : { after: after ?? '' }
          return createShareable(fanOut, `reply:${viewer.tenantId}:${messageId}`, source, start)
        }
        opened?.close()
        const since = after ? await feed.since(found.sessionId, after) : null
        return lastPiece(message, since, since?.cursor ?? (await feed.cursorAt(found.sessionId, 0)))
      } catch (error) {
        opened?.close()
        throw error
      }
    },
  }
}
