import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createMemoryPresence } from '../../src/realtime/presence-memory.ts'
import { presenceSuite } from './presence.suite.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

presenceSuite('memory', { shortMs: 1_000, models: 200 }, async (options) => ({
  store: createMemoryPresence(options),
  passTime: async (ms) => {
    vi.advanceTimersByTime(ms)
  },
}))

test('presence in memory leaves no timer behind', async () => {
  const store = createMemoryPresence({ memoryMs: 1_000 })
  expect(vi.getTimerCount()).toBe(1)
  await store.close()
  expect(vi.getTimerCount()).toBe(0)
})
