import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createHolds } from '../../src/lib/holds.ts'
import { createRedisHoldLedger } from '../../src/realtime/holds-redis.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'

const log = { info() {}, warn() {} }
const leaseMs = 400

describe('what is held on all nodes together', () => {
  if (!requireRedis()) return
  let redis: TestRedis
  let count = 0
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.stop())

  /** A node that tells the others only what a test has it tell. */
  async function node(nodeId: string) {
    const ledger = await createRedisHoldLedger({ url: redis.url, keyPrefix: 'test:', nodeId, leaseMs, log })
    onTestFinished(() => ledger.close())
    return ledger
  }
  const twoNodes = async () => {
    count += 1
    return { one: await node(`one-${count}`), two: await node(`two-${count}`), key: `user:${count}` }
  }

  it('is no more than allowed, and what is refused under one key is held under none', async () => {
    const { one, two, key } = await twoNodes()
    const tenant = `${key}-tenant`
    const wanted = (mine: number, all: number) => [
      { key, count: mine, atMost: 3 },
      { key: tenant, count: all, atMost: 4 },
    ]
    expect(await one.take(wanted(2, 2))).toBe(-1)
    expect(await two.take(wanted(2, 2))).toBe(0)
    expect(await two.take(wanted(1, 3))).toBe(1)
    expect(await two.take(wanted(1, 2))).toBe(-1)
    await one.tell([{ key, count: 0 }])
    expect(await two.take(wanted(3, 2))).toBe(-1)
  })

  it('never goes beyond it, however many ask on either at once', async () => {
    const { one, two, key } = await twoNodes()
    const nodes = [createHolds(one), createHolds(two)]
    onTestFinished(() => {
      for (const each of nodes) each.stop()
    })
    const asked = Array.from({ length: 60 }, (_, index) => nodes[index % 2]?.take([{ key, atMost: 10 }]))
    const taken = (await Promise.all(asked)).filter((full) => full === -1).length
    expect(taken).toBeLessThanOrEqual(10)
    expect(taken).toBeGreaterThan(0)
    // What was refused is given up again.
    const held = async () =>
      (await redis.admin.hvals(`test:held:${key}`)).reduce((sum, each) => sum + Number(each), 0)
    await expect.poll(held).toBe(taken)
  })

  it('is what living nodes hold: one that says nothing for its lease is forgotten, and tells all when it is back', async () => {
    const { one, two, key } = await twoNodes()
    expect(await one.take([{ key, count: 3, atMost: 3 }])).toBe(-1)
    expect(await two.take([{ key, count: 1, atMost: 3 }])).toBe(0)
    await sleep(leaseMs + 50)
    expect(await two.take([{ key, count: 1, atMost: 3 }])).toBe(-1)
    expect(await one.renew()).toBe(true)
    await one.tell([{ key, count: 2 }])
    expect(await one.renew()).toBe(false)
    expect(await two.take([{ key, count: 2, atMost: 3 }])).toBe(0)
  })

  it('is free at once where a node ends in order', async () => {
    const { one, two, key } = await twoNodes()
    expect(await one.take([{ key, count: 3, atMost: 3 }])).toBe(-1)
    await one.close()
    expect(await two.take([{ key, count: 3, atMost: 3 }])).toBe(-1)
  })

  it('is told anew to a Redis that was emptied', async () => {
    const { one, key } = await twoNodes()
    await one.take([{ key, count: 3, atMost: 3 }])
    await redis.admin.flushall()
    expect(await one.renew()).toBe(true)
  })

  it('is kept under keys that end by themselves', async () => {
    const { one, key } = await twoNodes()
    await one.take([{ key, count: 1, atMost: 3 }])
    const keys = await redis.admin.keys('test:*')
    expect(keys).toContain(`test:held:${key}`)
    for (const each of keys) expect(await redis.admin.pttl(each)).toBeGreaterThan(0)
  })
})
