import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { patience } from '../support/patience.ts'
import { channel, dataOf, never } from './broker.harness.ts'
import { collect, keyPrefix, useRedisNodes } from './broker-redis.harness.ts'

const { redis, startNode } = useRedisNodes()
const pushName = `${keyPrefix}{${channel}}:push`

async function connections() {
  const list = String(await redis().admin.client('LIST'))
  return list.split('\n').filter((line) => / name=parley/.test(line)).length
}

const subscribers = async () => (await redis().admin.pubsub('NUMSUB', pushName))[1]

test('two nodes that write at once show every follower the same order', async () => {
  const nodes = [await startNode(), await startNode()]
  const followers = await Promise.all([...nodes, ...nodes].map((node) => collect(node)))
  const writes = nodes.map((node, index) =>
    Promise.all(Array.from({ length: 200 }, (_, count) => node.append(channel, [`${index}:${count}`]))),
  )
  await Promise.all(writes)
  const order = dataOf((await nodes[0]?.tail(channel, 1_000))?.entries ?? [])
  expect(order).toHaveLength(400)
  for (const follower of followers) {
    await vi.waitUntil(() => follower.data().length >= 400, patience)
    expect(follower.data()).toEqual(order)
  }
})

test('two nodes agree on marks', async () => {
  const nodes = [await startNode(), await startNode()]
  for (let turn = 0; turn < 20; turn++) {
    const marks = [{ name: 'turn', max: turn, to: turn + 1 }]
    const appends = [...nodes, ...nodes].map((node) => node.append(channel, [turn], marks))
    expect((await Promise.all(appends)).filter(({ isAppended }) => isAppended)).toHaveLength(1)
  }
})

test('a node reads a channel once, however many follow, and not at all when nobody does', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const abort = new AbortController()
  const followers = await Promise.all(Array.from({ length: 50 }, () => collect(one)))
  await two.follow(channel, { signal: abort.signal })
  expect(await subscribers()).toBe(2)
  expect(await connections()).toBe(4)
  abort.abort()
  await vi.waitFor(async () => expect(await subscribers()).toBe(1), patience)
  await Promise.all(followers.map((follower) => follower.end()))
  await vi.waitFor(async () => expect(await subscribers()).toBe(0), patience)
  const again = await collect(one)
  await two.append(channel, ['a'])
  await again.until('a')
})

test('pushes alone bring entries to other nodes', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const follower = await collect(two)
  await redis().admin.config('RESETSTAT')
  for (let count = 0; count < 50; count++) await one.append(channel, [count])
  await follower.until(49)
  const stats = await redis().admin.info('commandstats')
  const appends = /cmdstat_xadd:calls=(\d+)/.exec(stats)?.[1]
  expect(appends).toBe('50')
  expect(follower.items.length).toBeGreaterThan(0)
  // One look at the oldest entry per append, and one per position check that fell into this time.
  const reads = Number(/cmdstat_xrange:calls=(\d+)/.exec(stats)?.[1])
  expect(reads).toBeLessThan(60)
})

test('an append that is too large for a push arrives all the same', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const followers = [await collect(one), await collect(two)]
  const large = 'ü'.repeat(40_000)
  const pushes: string[] = []
  const listener = redis().admin.duplicate()
  listener.on('message', (_, message) => void pushes.push(message))
  await listener.subscribe(pushName)
  await one.append(channel, ['before', large])
  await one.append(channel, ['after'])
  await vi.waitUntil(() => pushes.length === 2, patience)
  listener.disconnect()
  expect(pushes.every((push) => push.length < 200)).toBe(true)
  for (const follower of followers) {
    await follower.until('after', 900)
    expect(follower.data()).toEqual(['before', large, 'after'])
  }
})

test('a follower that is far behind catches up from the log, then gets pushes', async () => {
  const [one, two] = [await startNode(), await startNode({ windowEntries: 5 })]
  const start = await one.position(channel)
  const early = await collect(two)
  const values = Array.from({ length: 95 }, (_, index) => index)
  await one.append(channel, values)
  const late = await collect(two, start)
  await one.append(channel, ['live'])
  for (const follower of [early, late]) {
    await follower.until('live')
    expect(follower.data()).toEqual([...values, 'live'])
  }
})

test('every key has an end', async () => {
  const maxAgeMs = 5_000
  const node = await startNode({ maxAgeMs })
  await node.append(channel, ['a'], [{ name: 'turn', to: 1 }])
  await node.append('marked', [], [{ name: 'turn', to: 1 }])
  await node.position('asked')
  await node.tail('shown', 1)
  await node.read('read', { epoch: 'elsewhere', offset: 0 }, 1)
  await node.follow('followed', { signal: never })
  const keys = await redis().admin.keys('*')
  // A hash each, and a stream where something was appended: here, and by the trial at the start.
  expect(keys).toHaveLength(6 + 1 + 2)
  for (const key of keys) {
    const left = await redis().admin.pttl(key)
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(2 * maxAgeMs)
  }
})

test('entries of a followed channel end at their own age, not with the newest', async () => {
  const maxAgeMs = 2_000
  const node = await startNode({ maxAgeMs })
  await node.follow(channel, { signal: never })
  const startedAt = Date.now()
  await node.append(channel, ['a'])
  await vi.waitUntil(() => Date.now() - startedAt > maxAgeMs * 0.6, patience)
  await node.append(channel, ['b'])
  const kept = async () => dataOf((await node.tail(channel, 9)).entries)
  expect(await kept()).toEqual(['a', 'b'])
  await vi.waitUntil(async () => (await kept())?.length !== 2, { ...patience, interval: 10 })
  expect(await kept()).toEqual(['b'])
})

test('close leaves no connection, and nothing that keeps the process running', async () => {
  const node = await startNode()
  await collect(node)
  await node.close()
  expect(await connections()).toBe(0)
  const script = `
    import { createRedisBroker } from ${JSON.stringify(import.meta.resolve('../../src/realtime/broker-redis.ts'))}
    const log = { info() {}, warn() {} }
    const options = { url: '${redis().url}', keyPrefix: 'exit:', log, maxEntries: 9, maxAgeMs: 60_000, batchSize: 9 }
    const broker = await createRedisBroker(options)
    const following = await broker.follow('one', { signal: new AbortController().signal })
    void following[Symbol.asyncIterator]().next()
    await broker.append('one', ['a'])
    await broker.close()
    console.log('closed')
  `
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
  })
  expect((await run).stdout).toBe('closed\n')
})

test('close ends at once while Redis is away', async () => {
  const node = await startNode()
  const follower = await collect(node)
  await redis().kill()
  await vi.waitUntil(() => !node.isReachable(), patience)
  const startedAt = performance.now()
  await node.close()
  await follower.end()
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  await redis().start()
  await vi.waitUntil(
    async () =>
      (await redis()
        .admin.ping()
        .catch(() => '')) === 'PONG',
    patience,
  )
  expect(await connections()).toBe(0)
})
