import { once } from 'node:events'
import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { longMessages, openServed, openStopped, writeMuch } from '../support/stopped-reader.ts'

const everything = 'query ($id: ID!) { session(id: $id) { messages(last: 150) { nodes { content } } } }'

it('a reader that stops is told nothing more beyond SLOW_READER_PAUSE_BYTES, and is cut after SLOW_READER_CLOSE_MS', async () => {
  const env = { ...longMessages, SLOW_READER_PAUSE_BYTES: '20000', SLOW_READER_CLOSE_MS: '2000' }
  const app = await startTestApp({ env })
  const sessionId = await app.api().createSession()
  const { frames, served } = await openStopped(app, sessionId)
  let most = 0
  let stoppedAtMs = 0
  const closedAtMs = once(served, 'close').then(() => performance.now())
  await writeMuch(app, sessionId, () => {
    if (served.destroyed) return
    const { writableLength } = served
    if (writableLength === 0) stoppedAtMs = 0
    else if (stoppedAtMs === 0) stoppedAtMs = performance.now()
    most = Math.max(most, writableLength)
  })
  // One message of 100,000 came on top of less than that.
  expect(most).toBeGreaterThan(20_000)
  expect(most).toBeLessThan(150_000)
  expect((await closedAtMs) - stoppedAtMs).toBeLessThan(9_000)
  frames.socket.terminate()
})

it('a reader that stops is cut when more than SLOW_READER_CLOSE_BYTES wait for it', async () => {
  const app = await startTestApp({ env: { ...longMessages, SLOW_READER_CLOSE_BYTES: '300000' } })
  const sessionId = await app.api().createSession()
  await writeMuch(app, sessionId)
  const { frames, served } = await openStopped(app, sessionId)
  let most = 0
  const few = everything.replace('150', '2')
  for (let index = 0; index < 200 && !served.destroyed; index += 1) {
    frames.subscribe(`q${index}`, few, { id: sessionId })
    await new Promise((resolve) => setTimeout(resolve, 20))
    most = Math.max(most, served.writableLength)
  }
  expect(most).toBeGreaterThan(300_000)
  expect(most).toBeLessThan(800_000)
  frames.socket.terminate()
})

it('a reader that takes what it is sent slowly is not taken for one that has gone', async () => {
  const env = { ...longMessages, WEBSOCKET_PING_SECONDS: '1', DATABASE_STATEMENT_TIMEOUT_MS: '60000' }
  const app = await startTestApp({ env })
  const sessionId = await app.api().createSession()
  await writeMuch(app, sessionId)
  const { frames, served } = await openServed(app)
  frames.socket.pause()
  frames.subscribe('much', everything, { id: sessionId })
  await expect.poll(() => served.writableLength).toBeGreaterThan(4_000_000)
  const waitsSinceMs = performance.now()
  const { _socket: client } = frames.socket as unknown as { _socket: Socket }
  const onePiece = () => client.pause()
  client.on('data', onePiece)
  const pieces = setInterval(() => client.resume(), 40)
  await expect.poll(() => served.writableLength).toBe(0)
  // Longer than two pings are apart.
  expect(performance.now() - waitsSinceMs).toBeGreaterThan(2_500)
  clearInterval(pieces)
  client.off('data', onePiece).resume()
  const { payload } = await frames.until(({ type }) => type === 'next')
  expect(payload.data.session.messages.nodes).toHaveLength(150)
  await frames.until(({ type }) => type === 'complete')
  frames.socket.terminate()
})
