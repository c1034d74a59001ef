import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'

/** What others of the process come to hold in the meantime. */
const slack = 20

const sidebar = 'subscription { sessionChanged { kind sessionId } }'

/** How many there are after garbage collection: a list holds some of its own. */
const setsHeld = () => queryObjects(Set, { format: 'count' })

const expectAtMost = (count: number) => expect.poll(setsHeld, { interval: 1_000 }).toBeLessThanOrEqual(count)

// To count them takes seconds where the process has held much.
describe('a list that is gone leaves nothing behind', async () => {
  const app = await startTestApp()
  // The workers of background jobs begin some seconds later, and hold some each, where another server of this process has
  // not brought most of them already.
  const early = setsHeld()
  for (
    let last = 0, now = early, waited = 0;
    waited < 5 && (now <= early + slack || now !== last);
    waited += 1
  ) {
    await sleep(1_000)
    last = now
    now = setsHeld()
  }

  async function openLists(tenant: string, count: number) {
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token({ tenant })}` } })
    for (let index = 0; index < count; index += 1) frames.subscribe(`${index}`, sidebar)
    for (let index = 0; index < count; index += 1)
      await frames.until(({ id, type }) => id === `${index}` && type === 'next')
    return frames
  }

  it('of its tenant, where it was the only one', async () => {
    const open = []
    for (let index = 0; index < 30; index += 1) open.push(await openLists(`tenant-${index}`, 1))
    const during = setsHeld()
    for (const frames of open) frames.send({ id: '0', type: 'complete' })
    // One of the list, and one at least of what the lists of its tenant share.
    await expectAtMost(during - 2 * open.length + slack)
    for (const { socket } of open) socket.terminate()
  })

  it('of itself, where others stay', async () => {
    const staying = await openLists('demo', 1)
    const gone = await openLists('demo', 50)
    const during = setsHeld()
    for (let index = 0; index < 50; index += 1) gone.send({ id: `${index}`, type: 'complete' })
    await expectAtMost(during - 50 + slack)
    const sessionId = await app.api().createSession()
    await staying.until(({ payload }) => payload?.data?.sessionChanged.sessionId === sessionId)
    gone.socket.terminate()
    staying.socket.terminate()
  })
})
