import { expect, test, vi } from 'vitest'
import { createRedisBroker } from '../../src/realtime/broker-redis.ts'
import { patience } from '../support/patience.ts'
import { channel, dataOf, never, nextItem } from './broker.harness.ts'
import { appendAtLast, collect, keyPrefix, useRedisNodes } from './broker-redis.harness.ts'

const away = 'Redis is away: live feeds wait until it is back'
const back = 'Redis is back'
const { redis, startNode } = useRedisNodes()

test('a Redis that was emptied costs followers a gap, and they go on', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const { position: before } = await one.append(channel, ['a'], [{ name: 'turn', to: 1 }])
  const followers = [await collect(one), await collect(two), await collect(two, { ...before, offset: 0 })]
  await Promise.all(followers.slice(2).map((follower) => follower.until('a')))
  await redis().admin.flushall()
  const { position } = await one.append(channel, ['b'], [{ name: 'turn', min: 7, to: 7 }])
  expect(position.offset).toBe(1)
  expect(position.epoch).not.toBe(before.epoch)
  for (const follower of followers) {
    await vi.waitUntil(() => follower.data().includes('gap'), patience)
    expect(follower.items.at(-1)).toMatchObject({ type: 'gap', position: { epoch: position.epoch } })
  }
  await two.append(channel, ['c'])
  for (const follower of followers) await follower.until('c')
  expect(followers.map((follower) => follower.data())).toEqual([
    ['gap', 'c'],
    ['gap', 'c'],
    ['a', 'gap', 'c'],
  ])
})

test('a Redis that restarts empty costs followers a gap, and they go on', async () => {
  const node = await startNode()
  const { position: before } = await node.append(channel, ['a'])
  const follower = await collect(node)
  await redis().kill()
  // Until then a call may be lost on its way.
  await vi.waitFor(
    () => expect(node.append(channel, ['lost'])).rejects.toThrow('cannot be reached'),
    patience,
  )
  expect(node.isReachable()).toBe(false)
  const startedAt = performance.now()
  for (let call = 0; call < 20; call++)
    await expect(node.append(channel, ['lost'])).rejects.toThrow(
      /^Redis at 127\.0\.0\.1:\d+ cannot be reached/,
    )
  await expect(node.follow(channel, { signal: never })).rejects.toThrow('cannot be reached')
  // Not one of them waited for its time to be over.
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  await redis().start()
  await appendAtLast(node, 'b')
  await vi.waitUntil(() => follower.data().includes('gap'), patience)
  await node.append(channel, ['c'])
  await follower.until('c')
  expect(follower.data()).not.toContain('lost')
  expect((await node.position(channel)).epoch).not.toBe(before.epoch)
  await vi.waitUntil(() => node.isReachable(), patience)
  expect(node.told).toEqual([away, back])
})

test('a Redis that restarts with less than followers saw does not hide the rest', async () => {
  const node = await startNode()
  const follower = await collect(node)
  await node.append(channel, ['a'])
  await redis().admin.save()
  const { position: seen } = await node.append(channel, ['b', 'c'])
  await follower.until('c')
  await redis().kill()
  await redis().start()
  // Offsets that the follower has seen already, and past them.
  const quicker = await startNode()
  const { position } = await quicker.append(channel, ['d', 'e', 'f'])
  expect(position.epoch).not.toBe(seen.epoch)
  await vi.waitUntil(() => follower.data().includes('gap'), patience)
  await quicker.append(channel, ['g'])
  await follower.until('g')
  const gap = follower.items.find((item) => item.type === 'gap')
  const rest = ['d', 'e', 'f', 'g'].slice(gap?.position.offset)
  expect(follower.data()).toEqual(['a', 'b', 'c', 'gap', ...rest])
})

test('a Redis that freezes makes calls fail within 1.5 s, and followers go on after it', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const followers = [await collect(one), await collect(two)]
  await one.append(channel, ['a'])
  for (const follower of followers) await follower.until('a')
  redis().freeze()
  try {
    const startedAt = performance.now()
    const calls = Array.from({ length: 20 }, (_, call) => one.append(channel, [`frozen ${call}`]))
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: 'rejected' })
      expect(String((call as PromiseRejectedResult).reason)).toMatch(
        /no answer within 1000 ms; the call may have been done all the same/,
      )
    }
    expect(performance.now() - startedAt).toBeLessThan(1_500)
    await expect(one.position(channel)).rejects.toThrow('no answer within 1000 ms')
    await expect(one.tail(channel, 1)).rejects.toThrow('no answer within 1000 ms')
    expect(one.isReachable()).toBe(false)
    expect(one.told).toEqual([away])
  } finally {
    redis().thaw()
  }
  await appendAtLast(two, 'b')
  const written = dataOf((await two.tail(channel, 100)).entries)
  for (const follower of followers) {
    await follower.until('b')
    expect(follower.data()).toEqual(written)
  }
  await vi.waitUntil(() => one.isReachable(), patience)
  expect(one.told).toEqual([away, back])
})

test('a push connection that is cut loses nothing', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const follower = await collect(two)
  const values = Array.from({ length: 300 }, (_, index) => index)
  for (const value of values) {
    if (value % 100 === 50) await redis().admin.client('KILL', 'TYPE', 'pubsub')
    await one.append(channel, [value])
  }
  await follower.until(299)
  expect(follower.data()).toEqual(values)
  await vi.waitUntil(() => two.isReachable(), patience)
  await one.append(channel, ['pushed again'])
  await follower.until('pushed again', 500)
})

test('a command connection that is cut fails the call and nothing else', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const followers = [await collect(one), await collect(two)]
  await redis().admin.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await appendAtLast(one, 'a')
  await appendAtLast(two, 'b')
  for (const follower of followers) {
    await follower.until('b')
    expect(follower.data()).toEqual(['a', 'b'])
  }
})

test('a push that got lost is made up for within about a second', async () => {
  const node = await startNode()
  const { epoch } = await node.position(channel)
  const follower = await collect(node)
  const key = `${keyPrefix}{${channel}}`
  const startedAt = performance.now()
  // What another node's append leaves behind, without its push.
  await redis()
    .admin.multi()
    .xadd(`${key}:log`, '1-0', 'at', Date.now(), 'data', '"silent"')
    .pexpire(`${key}:log`, 60_000)
    .hset(`${key}:meta`, 'last', 1)
    .exec()
  await follower.until('silent')
  expect(performance.now() - startedAt).toBeLessThan(1_500)
  await node.append(channel, ['b'])
  await follower.until('b')
  expect(follower.data()).toEqual(['silent', 'b'])
  expect(await node.position(channel)).toEqual({ epoch, offset: 2 })
})

test('a hole between pushes is closed by the next one', async () => {
  const [one, two] = [await startNode(), await startNode()]
  const follower = await collect(two)
  const key = `${keyPrefix}{${channel}}`
  await redis()
    .admin.multi()
    .xadd(`${key}:log`, '1-0', 'at', Date.now(), 'data', '"silent"')
    .pexpire(`${key}:log`, 60_000)
    .hset(`${key}:meta`, 'last', 1)
    .exec()
  await one.append(channel, ['b'])
  // Sooner than the first position check.
  await follower.until('b', 700)
  expect(follower.data()).toEqual(['silent', 'b'])
})

test('a follower that is behind waits for a Redis that is away', async () => {
  const node = await startNode({ windowEntries: 2, batchSize: 2 })
  const start = await node.position(channel)
  await node.append(channel, ['a', 'b', 'c', 'd', 'e'])
  const following = await node.follow(channel, { after: start, signal: never })
  const reader = following[Symbol.asyncIterator]()
  expect(await nextItem(reader)).toMatchObject({ entries: [{ data: 'a' }, { data: 'b' }] })
  redis().freeze()
  const waiting = nextItem(reader)
  await expect(node.position(channel)).rejects.toThrow('no answer')
  redis().thaw()
  expect(await waiting).toMatchObject({ entries: [{ data: 'c' }, { data: 'd' }] })
})

test('a broker does not begin on a Redis that it cannot reach, and says why', async () => {
  const options = {
    keyPrefix,
    log: { info() {}, warn() {} },
    maxEntries: 10,
    maxAgeMs: 60_000,
    batchSize: 10,
  }
  const reach = (url: string) => createRedisBroker({ ...options, url }).catch((error: Error) => error.message)
  expect(await reach('redis://user:hush@127.0.0.1:9')).toBe(
    'Redis at 127.0.0.1:9 (REDIS_URL) cannot be reached: connect ECONNREFUSED 127.0.0.1:9',
  )
  await redis().admin.config('SET', 'requirepass', 'right')
  try {
    const wrong = await reach(`redis://:wrong-hush@127.0.0.1:${redis().port}`)
    expect(wrong).toMatch(/\(REDIS_URL\) cannot be reached: WRONGPASS/)
    expect(wrong).not.toContain('hush')
    expect(await reach(redis().url)).toMatch(/NOAUTH/)
  } finally {
    await redis().admin.config('SET', 'requirepass', '')
  }
  expect(await reach(`${redis().url}/99`)).toMatch(/DB index is out of range/)
})

test('a broker does not begin where it may not push', async () => {
  const { admin, port } = redis()
  await admin.call('ACL', 'SETUSER', 'mute', 'on', '>right', '~*', '+@all', 'resetchannels')
  const options = {
    keyPrefix,
    log: { info() {}, warn() {} },
    maxEntries: 10,
    maxAgeMs: 60_000,
    batchSize: 10,
  }
  const begun = createRedisBroker({ ...options, url: `redis://mute:right@127.0.0.1:${port}` })
  await expect(begun).rejects.toThrow(/^Redis at .* refused a call: NOPERM/)
  await vi.waitFor(
    async () => expect(String(await admin.client('LIST'))).not.toContain('user=mute'),
    patience,
  )
})

test('what comes in one turn is one call, whatever it is of', async () => {
  const node = await startNode()
  const calls = async () => {
    const stats = await redis().admin.info('commandstats')
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])
  }
  // The first call may have to load its script.
  await node.append(channel, ['first'])
  const before = await calls()
  const appended = await Promise.all(
    Array.from({ length: 50 }, (_, index) => node.append(`${channel}-${index % 25}`, [index])),
  )
  expect(appended.map(({ position }) => position.offset)).toEqual([
    ...Array(25).fill(1),
    ...Array(25).fill(2),
  ])
  expect((await calls()) - before).toBe(1)
})
