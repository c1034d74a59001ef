import { queryObjects } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'

/** What the test's own fetch keeps for reuse, or has just let go. */
const slack = 8

const sidebar = 'subscription { sessionChanged { kind sessionId } }'

/** How many there are after garbage collection. */
const countOf = (type: typeof AbortSignal | typeof Set) => queryObjects(type, { format: 'count' })

const until = (type: typeof AbortSignal | typeof Set, atMost: number) =>
  expect.poll(() => countOf(type), { interval: 100, timeout: 10_000 }).toBeLessThanOrEqual(atMost)

describe('a list that is gone leaves nothing behind', async () => {
  const app = await startTestApp()

  async function openLists(tenant: string, count: number) {
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token({ tenant })}` } })
    for (let index = 0; index < count; index += 1) frames.subscribe(`${index}`, sidebar)
    for (let index = 0; index < count; index += 1)
      await frames.until(({ id, type }) => id === `${index}` && type === 'next')
    return frames
  }

  it('of its tenant, where it was the only one', async () => {
    const tenants = Array.from({ length: 30 }, (_, index) => `tenant-${index}`)
    for (const tenant of tenants) await app.api({ tenant }).run('{ viewer { role } }')
    const before = countOf(AbortSignal)
    const open = []
    for (const tenant of tenants) open.push(await openLists(tenant, 1))
    expect(countOf(AbortSignal)).toBeGreaterThanOrEqual(before + tenants.length - slack)
    for (const { socket } of open) socket.terminate()
    await until(AbortSignal, before + slack)
  })

  it('of itself, where others stay', async () => {
    const staying = await openLists('demo', 1)
    const before = countOf(Set)
    const gone = await openLists('demo', 50)
    expect(countOf(Set)).toBeGreaterThanOrEqual(before + 50)
    for (let index = 0; index < 50; index += 1) gone.send({ id: `${index}`, type: 'complete' })
    await until(Set, before + 25)
    const sessionId = await app.api().createSession()
    await staying.until(({ payload }) => payload?.data?.sessionChanged.sessionId === sessionId)
    gone.socket.terminate()
    staying.socket.terminate()
  })
})
