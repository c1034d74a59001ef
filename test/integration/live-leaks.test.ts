import { queryObjects } from 'node:v8'
import { beforeAll, describe, expect, it } from 'vitest'
import { Deliveries } from '../../src/realtime/feed-deliveries.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

/** What follows a feed holds one of these until it is gone; the count is taken after garbage collection. */
const followers = () => queryObjects(Deliveries, { format: 'count' })

/** The count once the server has noticed what was cut. */
async function expectNoMoreThan(count: number) {
  await expect.poll(followers, { interval: 100 }).toBeLessThanOrEqual(count)
}

const cycles = 24
/** What the test's own connections keep for reuse. */
const slack = 8

describe('a reader that is gone leaves nothing behind', () => {
  it('over WebSocket: cut while it waits, at once, or stopped in order', async () => {
    const sessionId = await app.api().createSession()
    const socket = app.socket()
    const before = followers()
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      const watch = socket.watch(watchSession, { sessionId })
      if (cycle % 4 > 0) await watch.at(0)
      if (cycle % 4 === 1) watch.stop()
      else socket.cut()
      if (cycle % 4 !== 1) await watch.ended
    }
    await expectNoMoreThan(before)
  })

  it('over SSE: cut while it waits, or at once', async () => {
    const sessionId = await app.api().createSession()
    const before = followers()
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      const stream = openEventStream(app.url, app.token(), watchSession, { sessionId })
      if (cycle % 2 === 0) await stream.at(0)
      stream.cut()
      await stream.ended
    }
    await expectNoMoreThan(before)
  })

  it('is counted at all: those that stay are seen', async () => {
    // Those of one session would share a follower.
    const sessionIds = await Promise.all(Array.from({ length: cycles }, () => app.api().createSession()))
    const before = followers()
    const socket = app.socket()
    const watches = sessionIds.map((sessionId) => socket.watch(watchSession, { sessionId }))
    for (const watch of watches) await watch.at(0)
    expect(followers()).toBe(before + cycles)
    for (const watch of watches) watch.stop()
    await expectNoMoreThan(before)
  })

  it('hundreds of times over, whatever door it came by: sockets, timers and followers are as many as before', async () => {
    const sessionIds = await Promise.all(Array.from({ length: 10 }, () => app.api().createSession()))
    const params = { authorization: `Bearer ${app.token()}` }
    const cycle = async (index: number) => {
      const sessionId = sessionIds[index % sessionIds.length]
      if (index % 5 === 4) {
        const stream = openEventStream(app.url, app.token(), watchSession, { sessionId })
        if (index % 2 === 0) await stream.at(0)
        stream.cut()
        return stream.ended
      }
      const frames = await openFrames(app.url, { params })
      for (const id of ['a', 'b']) frames.subscribe(id, watchSession, { sessionId })
      if (index % 3 > 0) await frames.until(({ id }) => id === 'b')
      if (index % 3 === 2) frames.send({ id: 'a', type: 'complete' })
      frames.socket.terminate()
      await frames.closed
    }
    const round = async (count: number) => {
      for (let at = 0; at < count; at += 10)
        await Promise.all(Array.from({ length: 10 }, (_, index) => cycle(at + index)))
    }
    await round(50)
    const before = held()
    await round(600)
    for (const kind of ['sockets', 'timers', 'followers'] as const)
      await expect.poll(() => held()[kind], { interval: 100 }).toBeLessThanOrEqual(before[kind] + slack)
  })
})

/** What this process holds, the server and the test together. */
function held() {
  const active = process.getActiveResourcesInfo()
  const count = (name: string) => active.filter((each) => each === name).length
  return { sockets: count('TCPSocketWrap'), timers: count('Timeout'), followers: followers() }
}
