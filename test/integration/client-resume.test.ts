import type { ParleyOptions, Session } from '@parley/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNetwork, type Network } from '../faults/network.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openClient, textOf } from '../support/client.ts'
import { createRandom } from '../support/session-reader.ts'

// Every token is an event of its own, so that there are many places to be cut at.
const env = { RUN_COALESCE_MS: '0', SENDS_PER_MINUTE: '0' }
let app: TestApp
let network: Network
beforeAll(async () => {
  app = await startTestApp({ env })
  network = await createNetwork(() => Number(new URL(app.url).port))
})
afterAll(() => network.close())

const open = (transport: ParleyOptions['transport']) =>
  openClient(app, { url: `http://127.0.0.1:${network.port}/graphql`, transport })

/** Each costs the time of a new connection, and a little more. */
const cutsAtMost = 20

/** Cuts a connection now and then, chosen by the numbers that follow from the seed. */
function createCutter(seed: number) {
  const random = createRandom(seed)
  let cuts = 0
  return {
    get cuts() {
      return cuts
    },
    mayCut() {
      if (cuts === cutsAtMost || random() > 0.15) return
      network.cut(Math.floor(random() * 100), random() < 0.5 ? 'fin' : 'rst')
      cuts += 1
    },
  }
}

/** Follows the feed until this many runs have ended; fails where a word is missing, doubled or out of its place. */
async function readFeed(session: Session, runs: number, cutter: ReturnType<typeof createCutter>) {
  const texts = new Map<string, string>()
  const seqs: number[] = []
  let ended = 0
  for await (const event of session.events()) {
    cutter.mayCut()
    if (event.__typename === 'SessionSnapshot') {
      expect(event.reason).toBe('START')
      for (const { id, seq, content } of event.messages) {
        seqs.push(seq)
        texts.set(id, content ?? '')
      }
    }
    if (event.__typename === 'MessageAdded') seqs.push(event.message.seq)
    if (event.__typename === 'TextDelta') {
      const text = texts.get(event.messageId) ?? ''
      expect(event.offset).toBe(text.length)
      texts.set(event.messageId, text + event.text)
    }
    if (event.__typename === 'RunFinished' && ++ended === runs) break
  }
  expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  return texts
}

/** Follows the state until so many runs have ended; fails where a text that was there is not any more. */
async function readStates(session: Session, messages: number, cutter?: ReturnType<typeof createCutter>) {
  const texts = new Map<string, string>()
  for await (const state of session.watch()) {
    cutter?.mayCut()
    for (const { id, content } of state.messages) {
      expect((content ?? '').startsWith(texts.get(id) ?? '')).toBe(true)
      texts.set(id, content ?? '')
    }
    const isWriting = state.messages.some(({ status }) => status === 'STREAMING')
    if (!isWriting && state.runs.length === 0 && state.messages.length === messages) return state.messages
  }
  return expect.fail('The feed ended.')
}

describe.each([
  ['websocket', 71],
  ['sse', 72],
] as const)('a client over %s that is cut off again and again', (transport, seed) => {
  it('gets every word once, in feed, state and reply', async () => {
    await using parley = open(transport)
    const session = await parley.createSession()
    const cutter = createCutter(seed)
    const feed = readFeed(session, 3, cutter)
    const states = readStates(session, 6, cutter)
    const questions = ['/pace 400 /long 90', '/unicode /pace 40 /long 60', '/repeat 👩‍👩‍👧‍👦 e\u0301 𝒳']
    const replies = questions.map((question) => session.send(question))
    const texts = await Promise.all(replies.map(textOf))
    const finished = await Promise.all(replies.map(({ done }) => done))
    const stored = (await session.read()).messages
    expect(await states).toEqual(stored)
    const told = await feed
    for (const [index, { message }] of finished.entries()) {
      expect(message.content).toBe(texts[index])
      expect(told.get(message.id)).toBe(texts[index])
    }
    expect(
      stored
        .filter(({ role }) => role === 'USER')
        .map(({ content }) => content)
        .sort(),
    ).toEqual(questions.sort())
    expect(cutter.cuts).toBeGreaterThan(5)
  })
})

it('goes on where event streams end by their age, word by word', async () => {
  const brief = await startTestApp({ env: { ...env, EVENT_STREAM_MAX_AGE_MS: '1000' } })
  await using parley = openClient(brief, { transport: 'sse' })
  let ends = 0
  parley.onStatus(({ state }) => {
    if (state === 'reconnecting') ends += 1
  })
  const session = await parley.createSession()
  const feed = readFeed(session, 1, { cuts: 0, mayCut() {} })
  const { message } = await session.send('/pace 50 /long 150').done
  expect((await feed).get(message.id)).toBe(message.content)
  expect(ends).toBeGreaterThan(0)
})

/** A network that says everything twice: each frame again after the next, so that what comes again is also out of its order. */
class EchoingSocket extends WebSocket {
  override set onmessage(listener: ((event: MessageEvent) => void) | null) {
    let last: MessageEvent | undefined
    super.onmessage = (event: MessageEvent) => {
      listener?.(event)
      if (last) listener?.(last)
      last = String(event.data).includes('"type":"next"') ? event : undefined
    }
  }
}

/** The same over SSE. */
const echoingFetch: typeof fetch = async (...request) => {
  const response = await fetch(...request)
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response
  let rest = ''
  let last = ''
  const echo = new TransformStream<string, string>({
    transform(chunk, stream) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        stream.enqueue(`${block}\n\n${last}`)
        last = block.includes('event: next') ? `${block}\n\n` : ''
      }
    },
  })
  const body = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(echo)
  return new Response(body?.pipeThrough(new TextEncoderStream()) ?? null, response)
}

it.each(['websocket', 'sse'] as const)('gives no event twice that comes twice over %s', async (transport) => {
  await using parley = openClient(app, { transport, webSocket: EchoingSocket, fetch: echoingFetch })
  const session = await parley.createSession()
  const cursors: string[] = []
  let text = ''
  for await (const event of session.events()) {
    if (event.__typename === 'SessionSnapshot') await session.send('/long 30').sent
    if (event.__typename === 'TextDelta') text += event.text
    cursors.push(event.cursor)
    if (event.__typename === 'RunFinished') break
  }
  expect(cursors.length).toBeGreaterThan(20)
  expect(cursors).toEqual([...new Set(cursors)])
  expect((await session.read()).messages[1]?.content).toBe(text)
})

it('lets a reader that is slow take its time: what it cannot hold is left at the server', async () => {
  let asked = 0
  class CountingSocket extends WebSocket {
    override send(data: string) {
      if (data.includes('"type":"subscribe"')) asked++
      super.send(data)
    }
  }
  await using parley = openClient(app, { webSocket: CountingSocket })
  const session = await parley.createSession()
  let text = ''
  for await (const event of session.events()) {
    // All of it is written before the first word of it is read.
    if (event.__typename === 'SessionSnapshot')
      await app
        .api()
        .change('sendMessage', { sessionId: session.id, content: '/pace 2000 /long 2500', wait: true })
    if (event.__typename === 'TextDelta') text += event.text
    if (event.__typename === 'RunFinished') break
  }
  expect((await session.read()).messages[1]?.content).toBe(text)
  expect(asked).toBeGreaterThan(1)
})

describe('a client whose server stops', () => {
  it('goes on with the next one: a text is whole, a send arrives once', async () => {
    await using parley = open('websocket')
    const session = await parley.createSession()
    const reply = session.send('/pace 50 /long 400')
    const states = readStates(session, 4)
    for await (const piece of reply) if (piece) break
    await app.stop(0)
    const sentMeanwhile = session.send('Are you back?')
    app = await startTestApp({ env, databaseUrl: app.databaseUrl })
    const { message, run } = await reply.done
    expect(run.status).toBe('INTERRUPTED')
    expect(message).toMatchObject({ status: 'INTERRUPTED', content: reply.text })
    const next = await sentMeanwhile.done
    expect(next.run.status).toBe('COMPLETED')
    const messages = await states
    expect(messages).toEqual((await session.read()).messages)
    expect(messages[1]).toEqual(message)
    expect(messages.filter(({ content }) => content === 'Are you back?')).toHaveLength(1)
  })
})
