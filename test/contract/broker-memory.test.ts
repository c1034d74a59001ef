import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createMemoryBroker } from '../../src/realtime/broker-memory.ts'
import { channel, follow, never } from './broker.harness.ts'
import { brokerSuite } from './broker.suite.ts'

const limits = { maxEntries: 100, maxAgeMs: 60_000, batchSize: 10 }

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

brokerSuite('memory', { ageMs: 400, isClockShared: false, pauses: 25 }, async (limits) => ({
  broker: createMemoryBroker(limits),
  passTime: async (ms) => {
    vi.advanceTimersByTime(ms)
  },
}))

test('the memory broker leaves no timer behind', async () => {
  const broker = createMemoryBroker(limits)
  expect(vi.getTimerCount()).toBe(1)
  for (let count = 0; count < 100; count++) await follow(broker)
  expect(vi.getTimerCount()).toBe(1)
  await broker.close()
  expect(vi.getTimerCount()).toBe(0)
})

test('the memory broker does not keep its process running', async () => {
  const script = `
    import { createMemoryBroker } from ${JSON.stringify(import.meta.resolve('../../src/realtime/broker-memory.ts'))}
    const broker = createMemoryBroker(${JSON.stringify(limits)})
    const following = await broker.follow('one', { signal: new AbortController().signal })
    void following[Symbol.asyncIterator]().next()
    console.log('follows')
  `
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
  })
  expect((await run).stdout).toBe('follows\n')
})

test('the memory broker holds nothing of followers that came and went', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  const broker = createMemoryBroker(limits)
  const cycle = async (index: number) => {
    const abort = new AbortController()
    const reader = await follow(broker, undefined, index % 2 === 0 ? never : abort.signal)
    const waiting = reader.next()
    if (index % 2 === 0) await reader.return?.()
    else abort.abort()
    await waiting
  }
  const heapAfterCycles = async (count: number) => {
    for (let index = 0; index < count; index++) await cycle(index)
    collectGarbage()
    return process.memoryUsage().heapUsed
  }

  const staying = (await follow(broker)).next()
  const cycles = 20_000
  // The first round also pays for what the engine compiles.
  const before = await heapAfterCycles(cycles)
  const bytesPerCycle = ((await heapAfterCycles(cycles)) - before) / cycles
  expect(bytesPerCycle).toBeLessThan(60)
  await broker.append(channel, ['a'])
  expect(await staying).toMatchObject({ value: { type: 'entries' } })
  await broker.close()
})
