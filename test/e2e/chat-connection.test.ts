import { beforeAll, expect, it, vi } from 'vitest'
import { useBrowser } from '../support/browser.ts'
import { createServerProcess, type ServerProcess } from '../support/server-process.ts'
import { type ChatPage, openChat, waiting } from './chat.harness.ts'

const port = String(10_000 + Math.floor(Math.random() * 20_000))
let server: ServerProcess
beforeAll(async () => {
  server = await createServerProcess({ PORT: port, DEMO_TOKENS_PER_SECOND: '40' })
  await server.start()
})

const browser = useBrowser()

async function open() {
  const { context } = await browser.openProfile()
  const { url, token } = server.address()
  return { ...(await openChat(context, url, token ?? '')), context }
}

/** What is stored of the last message; undefined until it has ended. */
async function stored(sessionId: string) {
  const { session } = await server
    .api()
    .run(`query ($id: ID!) { session(id: $id) { messages { totalCount nodes { role content status } } } }`, {
      id: sessionId,
    })
  const last = session.messages.nodes.at(-1)
  return last.status === 'STREAMING' ? undefined : { ...last, count: session.messages.totalCount }
}

/** The page shows what is stored: the whole text, no word of it twice, no message twice. */
async function expectInStep(chat: ChatPage, sessionId: string) {
  await chat.untilDone()
  await vi.waitFor(async () => {
    const last = await stored(sessionId)
    expect(last).toBeDefined()
    expect(wordsOf(await chat.replyText())).toEqual(wordsOf(last.content))
    expect(await chat.messages.getByRole('article').count()).toBe(last.count)
  }, waiting)
}

/** How many words the server has of the first reply by now. */
async function writtenWords(sessionId: string) {
  const { session } = await server.api().run(firstReply, { id: sessionId })
  return wordsIn(session.messages.nodes[0].content)
}

/** From which cursors the page follows feeds of sessions, and what it is told, in order. */
async function recordFeed({ page }: ChatPage) {
  const cursors: string[] = []
  const asked: (string | null)[] = []
  const snapshots: string[] = []
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => {
      const { type, payload: operation } = JSON.parse(String(payload))
      if (type === 'subscribe' && operation.query.includes('sessionEvents'))
        asked.push(operation.variables.after ?? null)
    })
    socket.on('framereceived', ({ payload }) => {
      const event = JSON.parse(String(payload)).payload?.data?.sessionEvents
      if (event) cursors.push(event.cursor)
      if (event?.__typename === 'SessionSnapshot') snapshots.push(event.reason)
    })
  })
  // The socket that is open already is not told of.
  await page.reload()
  return { cursors, asked, snapshots }
}

const firstReply = `query ($id: ID!) { session(id: $id) { messages(role: ASSISTANT, first: 1) { nodes { content } } } }`
const wordsIn = (text: string) => wordsOf(text)?.length ?? 0

/** Without the marks of Markdown and the quotation marks that come of them. */
const wordsOf = (text: string) => text.match(/[\p{L}\p{N}]+/gu)

it('keeps the text whole when the server is killed in mid-reply and comes back', async () => {
  const chat = await open()
  const feed = await recordFeed(chat)
  await chat.say('/long 1500 Tell me of the tides.')
  const sessionId = await chat.sessionId()
  await chat.untilReply(/A long reply/)
  await vi.waitFor(() => expect(feed.cursors.length).toBeGreaterThan(3), waiting)
  await server.end('SIGKILL')
  await chat.page.getByText('Connection lost. Trying again…').waitFor()
  // Not before: what came last may be told here later than the end of the server.
  const last = feed.cursors.slice(-3)
  feed.asked.length = 0
  await chat.say('And what of the moon?')
  // It is tried for some seconds, and again once there is a connection.
  await chat.page.getByRole('alert').getByText('Not sent.').waitFor()
  await server.start()
  await chat.page.getByText('Connection lost. Trying again…').waitFor({ state: 'detached' })
  await chat.messages.getByText('The server stopped while it was answering').waitFor()
  await vi.waitFor(async () => expect(await chat.replies.count()).toBe(2), waiting)
  await expectInStep(chat, sessionId)
  // It came back with its cursor, of a log that died with the server: one snapshot for what was missed.
  expect(last).toContain(feed.asked[0])
  expect(feed.snapshots).toEqual(['GAP'])
})

it('goes on where it was when the network comes back, with what was written meanwhile', async () => {
  const chat = await open()
  const feed = await recordFeed(chat)
  await chat.say('/long 5000 Tell me of the tides.')
  const sessionId = await chat.sessionId()
  await chat.untilReply(/A long reply/)
  await chat.context.setOffline(true)
  await chat.page.getByText('You are offline').waitFor()
  const last = feed.cursors.slice(-3)
  feed.asked.length = 0
  const before = await chat.replyText()
  await chat.say('Said without a network')
  await chat.messages.getByText('Said without a network').waitFor()
  // For ten seconds, which are 400 words at the pace of this server.
  await vi.waitFor(
    async () => expect(await writtenWords(sessionId)).toBeGreaterThan(wordsIn(before) + 400),
    waiting,
  )
  await chat.context.setOffline(false)
  await chat.page.getByText('You are offline').waitFor({ state: 'detached' })
  // It is sent now, and waits for the reply that is still being written.
  await chat.page.getByRole('region', { name: 'Waiting for this reply' }).waitFor()
  const during = await vi.waitFor(async () => {
    const text = await chat.replyText()
    expect(text.length).toBeGreaterThan(before.length)
    return text
  }, waiting)
  // It came back with its cursor, and was told all that it had missed, none of it as a snapshot.
  expect(last).toContain(feed.asked[0])
  expect(feed.snapshots).toEqual([])
  await chat.field.press('Escape')
  await vi.waitFor(async () => expect(await chat.replies.count()).toBe(2), waiting)
  await expectInStep(chat, sessionId)
  // What stood there in between was the reply as far as it had come; its last word may have been cut.
  const { session } = await server.api().run(firstReply, { id: sessionId })
  const seen = wordsOf(during)?.slice(0, -1) ?? []
  expect(wordsOf(session.messages.nodes[0].content)?.slice(0, seen.length)).toEqual(seen)
})
