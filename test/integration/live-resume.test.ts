import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import {
  bySeq,
  createRandom,
  createSessionReader,
  type SessionReader,
  storedMessages,
  watchSession,
} from '../support/session-reader.ts'
import { openEventStream, readBlock } from '../support/sse.ts'
import type { Watch } from '../support/watch.ts'

let app: TestApp
beforeAll(async () => {
  // Every token is an event of its own, so that there are many places to be cut at.
  app = await startTestApp({ env: { RUN_COALESCE_MS: '0' } })
})
besideNeighbour(() => app)

type Connection = { watch: Watch; cut(): void }
type Connect = (sessionId: string, after: string | null) => Connection

const overWebSocket = (): Connect => {
  const socket = app.socket()
  return (sessionId, after) => ({
    watch: socket.watch(watchSession, { sessionId, after }),
    cut: () => socket.cut(),
  })
}
const overSse = (): Connect => (sessionId, after) => {
  const stream = openEventStream(app.url, app.token(), watchSession, { sessionId, after })
  return { watch: stream, cut: stream.cut }
}

/** Reads, is cut after 1 to 6 events and comes back, until so many runs have ended. Gives the number of cuts. */
async function readWithCuts(
  reader: SessionReader,
  sessionId: string,
  connect: Connect,
  runs: number,
  seed: number,
) {
  const random = createRandom(seed)
  const ended = () => reader.names.filter((name) => name === 'RunFinished').length
  let cuts = 0
  while (ended() < runs) {
    const { watch, cut } = connect(sessionId, reader.cursor)
    const wanted = 1 + Math.floor(random() * 6)
    for (let index = 0; index < wanted && ended() < runs; index += 1) {
      const event = await watch.at(index)
      expect(event, String(watch.failure)).not.toBeNull()
      reader.take(event)
    }
    cut()
    await watch.ended
    cuts += 1
  }
  return cuts
}

const replies = [
  '/pace 400 /long 90',
  '/unicode /pace 40 /long 90',
  '/long 120 /pace 500',
  '/repeat 👩‍👩‍👧‍👦 e\u0301 𝒳',
]

describe.each([
  ['WebSocket', overWebSocket, 20_261],
  ['SSE', overSse, 20_262],
])('a reader over %s that is cut again and again', (_door, open, seed) => {
  it('gets every word once and in order', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const connect = open()
    const reader = createSessionReader()
    const first = connect(sessionId, null)
    reader.take(await first.watch.at(0))
    expect(reader.names).toEqual(['START'])
    first.cut()
    await first.watch.ended

    for (const content of replies) await alice.change('sendMessage', { sessionId, content })
    const cuts = await readWithCuts(reader, sessionId, connect, replies.length, seed)

    expect(cuts).toBeGreaterThan(20)
    expect(reader.names.filter((name) => name === 'GAP' || name === 'START')).toEqual(['START'])
    const stored = await storedMessages(app, sessionId)
    expect(stored.map(({ status }) => status)).toEqual(Array(8).fill('COMPLETE'))
    expect(bySeq(reader.messages.values())).toEqual(stored)
    expect(stored.at(-1)?.content).toBe('👩‍👩‍👧‍👦 e\u0301 𝒳')
  })
})

describe('curl', () => {
  it('reads the feed as server-sent events and comes back by its cursor', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { assistantMessage } = await alice.sendMessage({ sessionId, content: '/pace 40 /long 90' })
    const reader = createSessionReader()

    const first = await curl(sessionId, null, (name) => name === 'TextDelta')
    for (const event of first) reader.take(event)
    expect(reader.messages.get(assistantMessage.id)?.status).toBe('STREAMING')
    const second = await curl(sessionId, reader.cursor, (name) => name === 'RunFinished')
    for (const event of second) reader.take(event)

    expect(reader.names[0]).toBe('START')
    expect(reader.names).not.toContain('GAP')
    expect(bySeq(reader.messages.values())).toEqual(await storedMessages(app, sessionId))
  })
})

/** The events up to the first that is `last`; then curl is killed. */
async function curl(sessionId: string, after: string | null, isLast: (name: string) => boolean) {
  const body = JSON.stringify({ query: watchSession, variables: { sessionId, after } })
  const headers = [
    'accept: text/event-stream',
    'content-type: application/json',
    `authorization: Bearer ${app.token()}`,
  ]
  const child = spawn('curl', [
    '-sN',
    ...headers.flatMap((header) => ['-H', header]),
    ...['-d', body, `${app.url}/graphql`],
  ])
  const closed = once(child, 'close')
  const events: { __typename: string }[] = []
  let rest = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const { name, data } of blocks.map(readBlock))
      if (name === 'next') events.push(JSON.parse(data).data.sessionEvents)
    const end = events.findIndex(({ __typename }) => isLast(__typename))
    if (end < 0) continue
    child.kill()
    await closed
    return events.slice(0, end + 1)
  }
  throw new Error(`curl ended first: ${rest}`)
}
