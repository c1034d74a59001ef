import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import {
  bySeq,
  createRandom,
  createSessionReader,
  readSession,
  type SessionReader,
  storedMessages,
  watchSession,
} from '../support/session-reader.ts'

const everyTokenTold = { RUN_COALESCE_MS: '0' }

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: everyTokenTold })
})

const addMessages = `mutation ($input: AddMessagesInput!) {
  addMessages(input: $input) { ... on AddMessagesPayload { messages { id } } ... on Error { message } }
}`
const setTitle = `mutation ($sessionId: ID!, $title: String!) {
  updateSession(input: { sessionId: $sessionId, title: $title }) { __typename }
}`

const notes = (count: number, label: string) =>
  Array.from({ length: count }, (_, index) => ({ role: 'USER', content: `${label} ${index}` }))

const isDone = (event: { __typename: string; session?: { title: string } }) =>
  event.__typename === 'SessionUpdated' && event.session?.title === 'done'

/** Replies, other people's messages and titles, all at once; the last event is the title `done`. */
async function write(sessionId: string) {
  const alice = app.api()
  for (const words of [160, 120, 80])
    await alice.change('sendMessage', { sessionId, content: `/pace 100 /unicode /long ${words}` })
  const watch = app.socket().watch(watchSession, { sessionId })
  let isOver = false
  let runs = 0
  const over = watch
    .until(({ __typename }) => __typename === 'RunFinished' && ++runs === 3)
    .then(() => {
      isOver = true
    })
  for (let round = 0; !isOver; round += 1) {
    await alice.run(addMessages, { input: { sessionId, messages: notes(1 + (round % 3), `note ${round}`) } })
    await alice.run(setTitle, { sessionId, title: `title ${round}` })
    await Promise.race([over, watch.at(watch.events.length + 10)])
  }
  await alice.run(setTitle, { sessionId, title: 'done' })
}

describe('a read session and its cursor', () => {
  it('fit, at whatever moment they are read and whoever writes', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const writing = write(sessionId)
    const pacer = app.socket().watch(watchSession, { sessionId })
    const random = createRandom(4_711)
    const readers: Promise<SessionReader>[] = []
    let next = 0
    for (let index = 0; index < 24; index += 1) {
      // Under load several words come as one event, so that there are fewer of them.
      next += 1 + Math.floor(random() * 8)
      await Promise.race([pacer.at(next), writing])
      readers.push(index % 3 === 0 ? startFromSnapshot(sessionId) : startFromRead(sessionId))
    }
    await writing
    const stored = await storedMessages(app, sessionId)
    const read = await Promise.all(readers)
    expect(read.map(({ title }) => title)).toEqual(Array(24).fill('done'))
    for (const { messages, names } of read) {
      // A snapshot has the last 50 messages; of those before it tells nothing.
      expect(bySeq(messages.values())).toEqual(stored.slice(-messages.size))
      expect(names).not.toContain('GAP')
    }
    // The moments were such that there was something to go wrong: texts in the middle.
    expect(read.filter(({ names }) => names.includes('TextDelta')).length).toBeGreaterThan(12)
  })

  async function startFromRead(sessionId: string) {
    const reader = createSessionReader()
    const { session } = await app.api().run(readSession, { id: sessionId })
    reader.start(session)
    const watch = app.socket().watch(watchSession, { sessionId, after: session.cursor })
    await reader.takeUntil(watch, isDone)
    watch.stop()
    return reader
  }

  async function startFromSnapshot(sessionId: string) {
    const reader = createSessionReader()
    const watch = app.socket().watch(watchSession, { sessionId })
    await reader.takeUntil(watch, isDone)
    watch.stop()
    expect(reader.names[0]).toBe('START')
    return reader
  }
})

describe('a snapshot', () => {
  it('has the reply that is being written, however many messages came after it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const socket = app.socket()
    const { assistantMessage } = await alice.sendMessage({ sessionId, content: '/pace 50 /long 120' })
    const witness = socket.watch(watchSession, { sessionId })
    await alice.run(addMessages, { input: { sessionId, messages: notes(60, 'note') } })
    await witness.until(({ __typename }) => __typename === 'TextDelta')

    const reader = createSessionReader()
    const late = socket.watch(watchSession, { sessionId })
    const text = socket.watch(
      `subscription ($messageId: ID!) { tokenStream(messageId: $messageId) { offset text status } }`,
      { messageId: assistantMessage.id },
    )
    await reader.takeUntil(late, ({ __typename }) => __typename === 'RunFinished')
    await text.ended
    const stored = (await storedMessages(app, sessionId)).find(({ id }) => id === assistantMessage.id)
    expect(reader.names).toContain('TextDelta')
    expect(reader.messages.get(assistantMessage.id)).toEqual(stored)
    expect(text.events.map((piece) => piece.text).join('')).toBe(stored?.content)
  })

  it('tells a gap once, with the whole text so far, where the cursor is of another life of the feed', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await alice.change('sendMessage', { sessionId, content: '/pace 50 /long 100' })
    const witness = app.socket().watch(watchSession, { sessionId })
    const { cursor } = await witness.until(({ __typename }) => __typename === 'TextDelta')
    const [, offset, revision] = cursor.split(':')

    const cursors = [`other:${offset}:${revision}`, cursor.replace(/:\d+:/, ':999999:')]
    const readers = cursors.map(async (after: string) => {
      const reader = createSessionReader()
      const watch = app.socket().watch(watchSession, { sessionId, after })
      await reader.takeUntil(watch, ({ __typename }) => __typename === 'RunFinished')
      return reader
    })
    for (const { names, messages } of await Promise.all(readers)) {
      expect(names[0]).toBe('GAP')
      expect(names.slice(1)).not.toContain('GAP')
      expect(names).toContain('TextDelta')
      expect(bySeq(messages.values())).toEqual(await storedMessages(app, sessionId))
    }
  })

  it('is told where history is too short, and all that follows is exact', async () => {
    const env = { ...everyTokenTold, FEED_HISTORY_EVENTS: '10', RUN_CHECKPOINT_MS: '300' }
    const short = await startTestApp({ env })
    const alice = short.api()
    const sessionId = await alice.createSession()
    const witness = short.socket().watch(watchSession, { sessionId })
    const { cursor } = await witness.at(0)
    await alice.change('sendMessage', { sessionId, content: '/pace 60 /long 120' })
    const reader = createSessionReader()
    reader.take(await witness.at(0))
    await witness.at(40)
    // Ten entries hold less than what is told between two checkpoints.
    const watch = short.socket().watch(watchSession, { sessionId, after: cursor })
    await reader.takeUntil(watch, ({ __typename }) => __typename === 'RunFinished')
    expect(reader.names.slice(0, 2)).toEqual(['START', 'GAP'])
    expect(reader.names).toContain('TextDelta')
    expect(bySeq(reader.messages.values())).toEqual(await storedMessages(short, sessionId))
  })

  it('is not made for a cursor that is none', async () => {
    const sessionId = await app.api().createSession()
    for (const after of ['', 'x', 'a:b:c', '1:2', 'a:1:1:1', 'é:1:1', `${'a'.repeat(41)}:1:1`]) {
      const { errors } = await app.socket().run(watchSession, { sessionId, after })
      expect(errors?.[0]?.extensions, after).toMatchObject({ code: 'BAD_USER_INPUT' })
    }
  })
})
