import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Prisma, Session } from '../../db/client.ts'
import { closing } from '../../lib/async.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Page } from '../../lib/paging.ts'
import { type Delivery, type Feed, fromWire, type Since, type StoredState } from '../../realtime/feed.ts'
import { type MessagePageArgs, readMessagePage } from '../messages/page.ts'
import type { Sessions } from '../sessions/service.ts'

/** What a snapshot carries: the session and its last messages, as of one moment. */
export type SessionState = StoredState & { session: Session; messages: Message[] }

/** A piece of one reply. `status` is STREAMING until the last piece, which tells how it ended. */
export type ReplyPiece = {
  cursor: string
  messageId: string
  offset: number
  text: string
  status: Message['status']
  finishReason: Message['finishReason']
}

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
  /** The live feed of a session that the viewer may see. */
  follow(
    viewer: Viewer,
    sessionId: string,
    after?: string | null,
  ): Promise<AsyncIterableIterator<Delivery<SessionState>>>
  /** New messages from now on. */
  followMessages(viewer: Viewer, sessionId: string): Promise<AsyncIterableIterator<Message>>
  /** The text of one reply: what is there, then what comes; ends with the reply. */
  followReply(
    viewer: Viewer,
    messageId: string,
    after?: string | null,
  ): Promise<AsyncIterableIterator<ReplyPiece>>
}

/** Messages in a snapshot: enough for a screen, whatever the length of the session. */
const snapshotMessages = 50

const textOf = (messages: readonly Message[]) =>
  new Map(
    messages.filter(({ status }) => status === 'STREAMING').map(({ id, content }) => [id, content ?? '']),
  )

/** The messages with the text that the feed has announced beyond what is stored. */
const withText = <Row extends Message>(messages: readonly Row[], text: ReadonlyMap<string, string>): Row[] =>
  messages.map((message) => ({ ...message, content: text.get(message.id) ?? message.content }))

export function createLive({ feed, sessions }: { feed: Feed; sessions: Sessions }): Live {
  const observed = new WeakMap<Session, ObservedSession>()

  const readState = (viewer: Viewer, sessionId: string) => async (): Promise<SessionState> =>
    viewer.db.snapshot(async (prisma) => {
      const key = { tenantId: viewer.tenantId, id: sessionId }
      const session = await prisma.session.findFirst({ where: { ...key, deletedAt: null } })
      if (!session) throw new NotFoundError('session')
      const { rows: messages } = await readMessagePage(prisma, key, { last: snapshotMessages })
      return { revision: session.revision, text: textOf(messages), session, messages }
    })

  const follow: Live['follow'] = async (viewer, sessionId, after) => {
    await sessions.require(viewer, sessionId, 'VIEWER')
    return feed.follow(sessionId, { after, read: readState(viewer, sessionId) })
  }

  return {
    async observe(viewer, sessionId, readSession, pages) {
      const read = async () =>
        viewer.db.snapshot(async (prisma) => {
          const session = await readSession(prisma)
          if (!session) return { revision: 0, text: new Map<string, string>(), session, pages: [] }
          const read = []
          for (const args of pages) read.push({ args, page: await readMessagePage(prisma, session, args) })
          return {
            revision: session.revision,
            text: textOf(read.flatMap(({ page }) => page.rows)),
            session,
            pages: read,
          }
        })
      const { state, text, cursor } = await feed.observe(sessionId, read)
      if (!state.session) return null
      const complete = state.pages.map(
        ({ args, page }) => [pageKey(args), { ...page, rows: withText(page.rows, text) }] as const,
      )
      observed.set(state.session, { cursor, pages: new Map(complete) })
      return state.session
    },
    observedPage: (session, args) => observed.get(session)?.pages.get(pageKey(args)),
    async cursorOf(session) {
      const known = observed.get(session)
      if (known) return known.cursor
      return feed.cursorAt(session.id, session.revision)
    },
    follow,
    async followMessages(viewer, sessionId) {
      const deliveries = await follow(viewer, sessionId)
      return closing(newMessages(deliveries), () => void deliveries.return?.())
    },
    async followReply(viewer, messageId, after) {
      const where = { tenantId: viewer.tenantId, id: messageId }
      const found = await viewer.db.prisma.message.findFirst({ where, select: { sessionId: true } })
      if (!found) throw new NotFoundError('message')
      const deliveries = await follow(viewer, found.sessionId, after)
      const stop = () => void deliveries.return?.()
      try {
        // Read after attaching: a reply that is over ends here, and the end of any other one is still to be told.
        const message = await viewer.db.prisma.message.findFirstOrThrow({ where })
        if (message.status === 'STREAMING') return closing(pieces(deliveries, message), stop)
        stop()
        const since = after ? await feed.since(found.sessionId, after) : null
        return lastPiece(message, since)
      } catch (error) {
        stop()
        throw error
      }
    },
  }
}

const pageKey = ({ first, after, last, before, offset, role, status }: MessagePageArgs) =>
  JSON.stringify([first, after, last, before, offset, role, status].map((value) => value ?? null))

async function* newMessages(deliveries: AsyncIterable<Delivery<SessionState>>): AsyncGenerator<Message> {
  let lastSeq = 0
  for await (const delivery of deliveries) {
    if ('snapshot' in delivery) {
      const { session, messages } = delivery.snapshot.state
      if (delivery.reason === 'GAP') yield* messages.filter(({ seq }) => seq > lastSeq)
      lastSeq = session.lastSeq
    } else if (delivery.event.type === 'MessageAdded') {
      const message = fromWire<Message>(delivery.event.message)
      lastSeq = message.seq
      yield message
    }
  }
}

/** What is left of a reply that is over, for a reader that has seen the feed up to `since`; all of it where that is unknown. */
async function* lastPiece(message: Message, since: Since | null): AsyncGenerator<ReplyPiece> {
  const content = message.content ?? ''
  const missed = since?.events.find((event) => event.type === 'TextDelta' && event.messageId === message.id)
  const offset = since === null ? 0 : missed?.type === 'TextDelta' ? missed.offset : content.length
  const { id: messageId, status, finishReason } = message
  yield { cursor: since?.cursor ?? '', messageId, offset, text: content.slice(offset), status, finishReason }
}

async function* pieces(
  deliveries: AsyncIterable<Delivery<SessionState>>,
  message: Message,
): AsyncGenerator<ReplyPiece> {
  const messageId = message.id
  const streaming = { messageId, status: 'STREAMING', finishReason: null } as const
  for await (const delivery of deliveries) {
    const { cursor } = delivery
    if ('snapshot' in delivery) {
      const { status, finishReason, content } =
        delivery.snapshot.state.messages.find(({ id }) => id === messageId) ?? message
      const text = delivery.snapshot.text.get(messageId) ?? content ?? ''
      yield { cursor, messageId, offset: 0, text, status, finishReason }
      if (status !== 'STREAMING') return
    } else if (delivery.event.type === 'TextDelta' && delivery.event.messageId === messageId) {
      const { offset, text } = delivery.event
      yield { ...streaming, cursor, offset, text }
    } else if (delivery.event.type === 'MessageUpdated' && delivery.event.message.id === messageId) {
      const { status, finishReason, content } = fromWire<Message>(delivery.event.message)
      if (status === 'STREAMING') continue
      // All of the text was told before its end was.
      yield { cursor, messageId, offset: (content ?? '').length, text: '', status, finishReason }
      return
    }
  }
}
