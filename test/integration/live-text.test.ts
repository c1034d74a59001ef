import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createRandom } from '../support/session-reader.ts'
import type { Watch } from '../support/watch.ts'

const tokenStream = `subscription ($messageId: ID!, $after: Cursor) {
  tokenStream(messageId: $messageId, after: $after) { cursor messageId offset text status finishReason }
}`
const messageAdded = `subscription ($sessionId: ID!) {
  messageAdded(sessionId: $sessionId) { seq role status content }
}`

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { RUN_COALESCE_MS: '0' } })
  // The first of each kind pays for what is made once; a reply would be over by then.
  await watch((await send('hello')).messageId).ended
})

type Piece = { cursor: string; messageId: string; offset: number; text: string; status: string }

/** What a client has that puts each piece where it says; a piece that leaves a hole or overlaps is a fault. */
function put(text: string, piece: Piece): string {
  if (piece.offset === 0) return piece.text
  expect(piece.offset).toBe(text.length)
  return text + piece.text
}
const textOf = (pieces: readonly Piece[]) => pieces.reduce(put, '')

async function send(content: string) {
  const alice = app.api()
  const sessionId = await alice.createSession()
  const { assistantMessage } = await alice.sendMessage({ sessionId, content })
  return { sessionId, messageId: assistantMessage.id as string }
}

const stored = async (id: string) => {
  const { message } = await app.api().run('query ($id: ID!) { message(id: $id) { content status } }', { id })
  return message
}

const watch = (messageId: string, after: string | null = null): Watch =>
  app.socket().watch(tokenStream, { messageId, after })

describe('tokenStream', () => {
  it('gives the whole text of a reply, to whoever comes when, and ends with it', async () => {
    const { messageId } = await send('/unicode /pace 30 /long 90')
    const early = watch(messageId)
    await early.until(({ offset }) => offset > 100)
    const late = watch(messageId)
    await Promise.all([early.ended, late.ended])
    const { content } = await stored(messageId)
    for (const { events } of [early, late]) {
      expect(textOf(events)).toBe(content)
      expect(events.map(({ messageId }) => messageId)).toEqual(Array(events.length).fill(messageId))
      expect(events.slice(0, -1).map(({ status }) => status)).toEqual(
        Array(events.length - 1).fill('STREAMING'),
      )
      expect(events.at(-1)).toMatchObject({ status: 'COMPLETE', finishReason: 'STOP' })
    }
    expect(early.events.length).toBeGreaterThan(5)
    expect(late.events[0].offset).toBe(0)
    expect(late.events[0].text.length).toBeGreaterThan(100)
  })

  it('goes on after a cursor, cut as often as you like', async () => {
    const { messageId } = await send('/pace 80 /long 130')
    const random = createRandom(99)
    const socket = app.socket()
    let text = ''
    let last: Piece | undefined
    let cuts = 0
    while (last?.status !== 'COMPLETE') {
      const one: Watch = socket.watch(tokenStream, { messageId, after: last?.cursor })
      const wanted = 1 + Math.floor(random() * 8)
      for (let index = 0; index < wanted && last?.status !== 'COMPLETE'; index += 1) {
        const piece: Piece = await one.at(index)
        // With a cursor nothing is said again.
        if (last) expect(piece.offset).toBe(text.length)
        text = put(text, piece)
        last = piece
      }
      socket.cut()
      await one.ended
      cuts += 1
    }
    expect(cuts).toBeGreaterThan(5)
    expect(text).toBe((await stored(messageId)).content)
  })

  it('tells a reply that is over: all of it, or what a cursor lacks', async () => {
    const { messageId } = await send('/pace 500 /long 40')
    const live = watch(messageId)
    await live.ended
    const { content } = await stored(messageId)

    const whole = watch(messageId)
    await whole.ended
    expect(whole.events).toMatchObject([
      { offset: 0, text: content, status: 'COMPLETE', finishReason: 'STOP' },
    ])

    for (const index of [0, 7, live.events.length - 2, live.events.length - 1]) {
      const seen = live.events.slice(0, index + 1)
      const rest = watch(messageId, seen.at(-1).cursor)
      await rest.ended
      expect(rest.events).toMatchObject([{ offset: textOf(seen).length, status: 'COMPLETE' }])
      expect(textOf([...seen, ...rest.events])).toBe(content)
    }

    const replaced = watch(messageId, 'other:7:1')
    await replaced.ended
    expect(replaced.events).toMatchObject([{ offset: 0, text: content, status: 'COMPLETE' }])
  })

  it('replaces the text where history does not reach back', async () => {
    const { messageId } = await send('/pace 50 /long 80')
    const first = watch(messageId)
    await first.until(({ offset }) => offset > 60)
    const later = watch(messageId, 'other:7:1')
    await later.ended
    expect(later.events.length).toBeGreaterThan(2)
    expect(later.events[0].offset).toBe(0)
    expect(later.events[0].text.length).toBeGreaterThan(60)
    expect(textOf(later.events)).toBe((await stored(messageId)).content)
  })

  it('ends with a reply that is stopped or fails', async () => {
    const failing = watch((await send('/fail after 10 /pace 300')).messageId)
    await failing.ended
    expect(failing.events.at(-1)).toMatchObject({ status: 'FAILED', finishReason: 'ERROR' })
    expect(textOf(failing.events).split(/\s+/).length).toBeGreaterThan(5)
  })

  it('ends with a reply whose end was never told, however many messages came since', async () => {
    const { sessionId, messageId } = await send('/pace 20 /long 900')
    const live = watch(messageId)
    await live.at(0)
    // As a node leaves it that dies between the commit and its announcement.
    const end = `WITH over AS (UPDATE messages SET status = 'COMPLETE', finish_reason = 'STOP', content = 'the end'
        WHERE id = $1 RETURNING run_id, session_id),
      run AS (UPDATE runs r SET status = 'COMPLETED', finished_at = now(), lease_until = NULL FROM over WHERE r.id = over.run_id)
      UPDATE sessions s SET revision = revision + 1 FROM over WHERE s.id = over.session_id`
    await query(app.databaseUrl, end, { values: [decodeId(messageId).uuid] })
    const messages = Array.from({ length: 60 }, (_, index) => ({ role: 'USER', content: `note ${index}` }))
    await app.api().change('addMessages', { sessionId, messages })
    await live.ended
    expect(live.failure).toBeUndefined()
    expect(live.events.at(-1)).toMatchObject({ offset: 0, text: 'the end', status: 'COMPLETE' })
  })

  it('ends where the reply is taken back', async () => {
    const { sessionId, messageId } = await send('/pace 20 /long 900')
    const live = watch(messageId)
    await live.at(0)
    await app.api().change('sendMessage', { sessionId, content: 'instead', onBusy: 'ROLLBACK' })
    await live.ended
    expect([live.failure, live.events.at(-1).status]).toEqual([undefined, 'STREAMING'])
  })

  it('is not for strangers', async () => {
    const { messageId, sessionId } = await send('hello')
    const mallory = app.socket({ user: 'mallory' })
    for (const result of [
      await mallory.run(tokenStream, { messageId }),
      await mallory.run(messageAdded, { sessionId }),
    ])
      expect(result.errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('messageAdded', () => {
  it('gives each new message once and in order, and none that was there', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await alice.change('sendMessage', { sessionId, content: 'before', wait: true })
    const added = app.socket().watch(messageAdded, { sessionId })
    await attached(sessionId, added)
    await alice.change('sendMessage', { sessionId, content: 'after', wait: true })
    await added.until(({ role }) => role === 'ASSISTANT')
    const [{ seq: first }] = added.events
    expect(first).toBeGreaterThan(2)
    expect(added.events.map(({ seq }) => seq)).toEqual(added.events.map((_, index) => first + index))
    expect(added.events.at(-2)).toMatchObject({ role: 'USER', content: 'after' })
    expect(added.events.at(-1)).toMatchObject({ role: 'ASSISTANT', status: 'STREAMING' })
  })

  /** Stores notes until the subscription tells one: from then on it is attached. */
  async function attached(sessionId: string, added: Watch) {
    const store = `mutation ($input: AddMessagesInput!) { addMessages(input: $input) { __typename } }`
    const told = added.at(0)
    for (let isTold = false; !isTold; ) {
      await app.api().run(store, { input: { sessionId, messages: [{ role: 'USER', content: 'note' }] } })
      isTold = await Promise.race([told.then(() => true), new Promise<false>((r) => setImmediate(r, false))])
    }
  }
})
