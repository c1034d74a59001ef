import { expect, it } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.ts'
import { createSystem } from '../../src/features/system/service.ts'

/** A server of which nothing can be read: the database is away. */
const system = createSystem({
  version: '0.0.0',
  readNode: async () => ({ cpu: null, loadAverage: null, memory: null, disk: null, gpus: null }),
  database: {
    ping: () => Promise.reject(new Error('away')),
    poolUse: () => ({ max: 1, open: 0, inUse: 0, waiting: 0 }),
  },
  broker: { kind: 'MEMORY', isReachable: () => true },
  models: { known: () => Promise.reject(new Error('away')) },
  counts: () => ({ connections: 0, subscriptions: 0 }),
})
const viewer = { tenantId: 'none' } as Viewer

it('whoever stops to follow does not wait for the next status, and holds no timer', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  const statuses = system.follow(viewer, 60)
  expect((await statuses.next()).value).toMatchObject({ status: 'DOWN', activeRuns: null })
  const waiting = statuses.next()
  const startedAtMs = performance.now()
  await statuses.return?.()
  expect(await waiting).toEqual({ done: true, value: undefined })
  expect(performance.now() - startedAtMs).toBeLessThan(30_000)
  expect(timers()).toBeLessThanOrEqual(before)
})
