import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Broker } from '../../src/realtime/broker.ts'
import { createMemoryBroker } from '../../src/realtime/broker-memory.ts'
import { createListing, type ListChange } from '../../src/realtime/listing.ts'
import { patience } from '../support/patience.ts'

const silent = { debug() {} }
const tenant = 'tenant'

const opened: (() => void)[] = []
afterEach(() => {
  for (const close of opened.splice(0)) close()
})

/** A listing on a log that can be away, and all that a follower of it gets. */
async function create() {
  const log = createMemoryBroker({ maxEntries: 100, maxAgeMs: 60_000, batchSize: 10 })
  let isAway = false
  const appends: number[] = []
  const broker: Broker = {
    ...log,
    async append(channel, entries, marks) {
      appends.push(entries.length)
      await new Promise((resolve) => setImmediate(resolve))
      if (isAway) throw new Error('The log is away.')
      return log.append(channel, entries, marks)
    },
  }
  const listing = createListing(broker, silent)
  const told: (ListChange | null)[] = []
  const changes = await listing.follow(tenant)
  const reading = (async () => {
    for await (const batch of changes) told.push(...(batch ?? [null]))
  })()
  opened.push(() => {
    listing.stop()
    void log.close()
  })
  return {
    listing,
    told,
    appends,
    takeLog(away: boolean) {
      isAway = away
    },
    async end() {
      await changes.return?.()
      await reading
    },
  }
}

const until = (holds: () => void) => vi.waitFor(holds, { ...patience, interval: 5 })

describe('the channel of changed sessions', () => {
  it('tells of each tenant to its own, and waits for nobody', async () => {
    const { listing, told, end } = await create()
    listing.note(tenant, { sessionId: 'a', shown: true })
    listing.note('other', { sessionId: 'b' })
    expect(told).toEqual([])
    await until(() => expect(told).toEqual([{ sessionId: 'a', shown: true }]))
    await end()
  })

  it('sends what comes in the meantime together, one change for a session', async () => {
    const { listing, told, appends } = await create()
    listing.note(tenant, { sessionId: 'a' })
    for (let count = 0; count < 50; count += 1) listing.note(tenant, { sessionId: 'b' })
    listing.note(tenant, { sessionId: 'c', shown: ['x'] })
    listing.note(tenant, { sessionId: 'c', shown: ['y'], hidden: ['z'] })
    listing.note(tenant, { sessionId: 'd', only: 'x' })
    listing.note(tenant, { sessionId: 'd', only: 'x' })
    listing.note(tenant, { sessionId: 'e', only: 'x' })
    listing.note(tenant, { sessionId: 'e', shown: true })
    await until(() =>
      expect(told).toEqual([
        { sessionId: 'a' },
        { sessionId: 'b' },
        { sessionId: 'c', shown: ['x', 'y'], hidden: ['z'] },
        { sessionId: 'd', only: 'x' },
        { sessionId: 'e', shown: true },
      ]),
    )
    expect(appends).toEqual([1, 4])
  })

  it('keeps what it could not tell, and tells it when the log is back', async () => {
    const { listing, told, takeLog } = await create()
    takeLog(true)
    listing.note(tenant, { sessionId: 'a', hidden: ['x'] })
    listing.note(tenant, { sessionId: 'b' })
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    listing.note(tenant, { sessionId: 'a', hidden: ['y'] })
    takeLog(false)
    await until(() => expect(told).toEqual([{ sessionId: 'a', hidden: ['x', 'y'] }, { sessionId: 'b' }]))
  })

  it('tells of a gap where it could not keep all', async () => {
    const { listing, told, takeLog } = await create()
    takeLog(true)
    for (let count = 0; count < 1_100; count += 1) listing.note(tenant, { sessionId: `session ${count}` })
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    takeLog(false)
    await until(() => expect(told).toEqual([null]))
    listing.note(tenant, { sessionId: 'a' })
    await until(() => expect(told).toEqual([null, { sessionId: 'a' }]))
  })
})
