import { randomBytes } from 'node:crypto'
import { setTimeout as passTime } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll } from 'vitest'
import { createRedisBroker } from '../../src/realtime/broker-redis.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { brokerSuite } from './broker.suite.ts'

const silent = { info() {}, warn() {} }
const filePrefix = `parley-test-${randomBytes(6).toString('hex')}:`
let brokers = 0
let url = ''

const isInstalled = requireRedis()
beforeAll(async () => {
  if (isInstalled) url = process.env.TEST_REDIS_URL ?? (await startRedis()).url
})
afterAll(async () => {
  if (!url) return
  const redis = new Redis(url)
  const keys = await redis.keys(`${filePrefix}*`)
  if (keys.length > 0) await redis.unlink(...keys)
  await redis.quit()
})

const harness =
  (windowEntries?: number): Parameters<typeof brokerSuite>[2] =>
  async (limits) => {
    const keyPrefix = `${filePrefix}${++brokers}:`
    return {
      broker: await createRedisBroker({
        url,
        keyPrefix,
        log: silent,
        ...limits,
        ...(windowEntries && { windowEntries }),
      }),
      async passTime(ms) {
        await passTime(ms)
      },
    }
  }

// Its clock is the server's, so a pause takes as long as it is.
brokerSuite('redis', { ageMs: 2_000, isClockShared: true, pauses: 10 }, harness())

// With next to nothing known to the node, followers read from Redis.
brokerSuite('redis, read from the stream', { ageMs: 2_000, isClockShared: true, pauses: 0 }, harness(1))
