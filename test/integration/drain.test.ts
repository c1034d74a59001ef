import { beforeAll, expect, test, vi } from 'vitest'
import { openFrames } from '../support/frames.ts'
import { createServerProcess, type ServerProcess } from '../support/server-process.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

// Servers start and stop here, on whatever machine.
vi.setConfig({ testTimeout: 60_000 })

let server: ServerProcess
beforeAll(async () => {
  server = await createServerProcess({ CONNECTIONS_PER_USER: '1000', SHUTDOWN_TIMEOUT_MS: '20000' })
  await server.start()
})

test('a server that is told to stop lets nobody in, lets a reply end, and sends its readers elsewhere', async () => {
  const { url, token } = server.address()
  const params = { authorization: `Bearer ${token}` }
  const alice = server.api()
  const sessionId = await alice.createSession()
  const watch = server.socket().watch(watchSession, { sessionId })
  await watch.at(0)
  const stream = openEventStream(url, token, watchSession, { sessionId })
  await stream.at(0)
  const idle = await Promise.all(Array.from({ length: 120 }, () => openFrames(url, { params })))
  const { assistantMessage } = await alice.sendMessage({
    sessionId,
    content: `/pace 20 /repeat ${Array.from({ length: 60 }, (_, index) => `word${index}`).join(' ')}`,
  })
  await watch.until(({ __typename }) => __typename === 'TextDelta')

  const askedAtMs = performance.now()
  const ended = server.end('SIGTERM')
  await expect.poll(() => fetch(`${url}/ready`).then(({ status }) => status)).toBe(503)
  await expect(openFrames(url)).rejects.toThrow('503')
  const refused = openEventStream(url, token, watchSession, { sessionId })
  expect((await refused.response).status).toBe(503)
  // What is open goes on: the reply is told to its end.
  const { message } = await watch.until(
    (event) => event.message?.id === assistantMessage.id && event.message.status === 'COMPLETE',
  )
  expect(message.content).toContain('word59')
  await watch.ended
  expect(watch.failure).toMatchObject({ code: 1012, reason: 'The server restarts: connect again' })
  for (const { closed } of idle) expect((await closed).code).toBe(1012)
  await stream.ended
  expect(stream.events.map((event) => event.message?.status)).toContain('COMPLETE')
  // Without its `complete`: graphql-sse comes back.
  expect(String(stream.failure)).toContain('terminated')
  expect(await ended).toBe(0)
  expect(performance.now() - askedAtMs).toBeLessThan(30_000)
})
