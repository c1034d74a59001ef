import { once } from 'node:events'
import { connect } from 'node:net'
import { GCProfiler } from 'node:v8'
import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

/** What the eight requests that are under way hold at any time, in bytes; 100,000 to 250,000 were seen. */
const underWay = 300_000

/**
 * Bytes that collections of young objects met, and of these what they kept, moved on or left for the next one, beyond what is
 * under way. That is much of what a collection meets where other tests have left V8 with a small young generation.
 */
async function collected(work: () => Promise<void>): Promise<{ met: number; kept: number }> {
  const profiler = new GCProfiler()
  profiler.start()
  await work()
  const sum = { met: 0, kept: 0 }
  for (const { gcType, beforeGC, afterGC } of profiler.stop().statistics) {
    if (gcType !== 'Scavenge') continue
    const young =
      beforeGC.heapSpaceStatistics.find(({ spaceName }) => spaceName === 'new_space')?.spaceUsedSize ?? 0
    sum.met += young
    const kept = young - (beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize)
    sum.kept += Math.max(0, kept - underWay)
  }
  return sum
}

it('what a request has made goes with it', async () => {
  const api = app.api()
  const sessionId = await api.createSession()
  const messages = Array.from({ length: 50 }, (_, at) => ({ role: 'USER', content: `${at} `.repeat(40) }))
  await api.mutate('addMessages', { sessionId, messages }, 'messages { id }')
  const body = JSON.stringify({
    query:
      'query ($id: ID!) { session(id: $id) { title messages(last: 50) { nodes { id content createdAt } } } }',
    variables: { id: sessionId },
  })
  const { hostname, port } = new URL(app.url)
  const head = ['POST /graphql HTTP/1.1', `host: ${hostname}`, `authorization: Bearer ${app.token()}`]
  head.push('content-type: application/json', `content-length: ${body.length}`)
  const request = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  /** Sends it so many times, each when the one before was answered, by somebody who makes next to nothing. */
  const lane = async (times: number) => {
    const socket = connect(Number(port), hostname)
    for (let left = times; left > 0; left -= 1) {
      socket.write(request)
      // The end of what is asked for, which comes nowhere else.
      for (;;) {
        const [bytes] = (await once(socket, 'data')) as [Buffer]
        if (bytes.indexOf(']}}}}', -5) >= 0) break
      }
    }
    socket.destroy()
  }
  const lanes = async () => {
    await Promise.all(Array.from({ length: 8 }, () => lane(150)))
  }
  // What is compiled and cached once comes first.
  await lanes()
  // What else this process and machine do is in it, so that the least counts.
  const mostRounds = 10
  let least = 1
  for (let round = 0; round < mostRounds && least >= 0.02; round += 1) {
    const { met, kept } = await collected(lanes)
    expect(met).toBeGreaterThan(10_000_000)
    least = Math.min(least, kept / met)
  }
  expect(least).toBeLessThan(0.02)
})
