import { randomBytes } from 'node:crypto'
import { setTimeout as passTime } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRedisPresence } from '../../src/realtime/presence-redis.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { presenceSuite } from './presence.suite.ts'

const silent = { info() {}, warn() {} }
const filePrefix = `parley-test-${randomBytes(6).toString('hex')}:`
let stores = 0
let url = ''
let redis: Redis

const isInstalled = requireRedis()
beforeAll(async () => {
  if (!isInstalled) return
  url = process.env.TEST_REDIS_URL ?? (await startRedis()).url
  redis = new Redis(url)
})
afterAll(async () => {
  if (!url) return
  const keys = await redis.keys(`${filePrefix}*`)
  if (keys.length > 0) await redis.unlink(...keys)
  await redis.quit()
})

const create = (memoryMs: number) =>
  createRedisPresence({ url, keyPrefix: `${filePrefix}${++stores}:`, memoryMs, log: silent })

presenceSuite('Redis', { shortMs: 800, models: 30 }, async ({ memoryMs }) => ({
  store: await create(memoryMs),
  passTime: async (ms) => {
    await passTime(ms)
  },
}))

test('every key of presence in Redis ends by itself', async () => {
  const store = await create(5_000)
  const held = (userId: string, activity: 'present' | 'typing' = 'present', ttlMs = 2_000) => ({
    ...{ activity, userId, holder: 'node', ttlMs },
  })
  await store.exchange([
    { place: 'alone', leases: [held('a')] },
    { place: 'shared', leases: [held('a'), held('b'), held('a', 'typing')] },
    { place: 'left', leases: [held('a')] },
    { place: 'never', leases: [held('a', 'present', 0)] },
  ])
  await store.exchange([{ place: 'left', leases: [held('a', 'present', 0)] }])
  const keys = await redis.keys(`${filePrefix}${stores}:*`)
  const lives = await Promise.all(
    keys.map(async (key) => [key.split('{')[1], await redis.pttl(key)] as const),
  )
  expect(Object.fromEntries(lives)).toEqual({
    'alone}:who': expect.toSatisfy((ms: number) => ms > 1_000 && ms <= 2_000),
    'shared}:who': expect.toSatisfy((ms: number) => ms > 4_000 && ms <= 5_000),
    'shared}:told': expect.toSatisfy((ms: number) => ms > 4_000 && ms <= 5_000),
  })
  await store.close()
})
