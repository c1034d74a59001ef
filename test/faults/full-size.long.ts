import { afterEach, describe, expect, it } from 'vitest'
import { requireRedis } from '../support/redis.ts'
import { createRandom } from '../support/session-reader.ts'
import { cancelRuns, eitherEnd } from './cancels.ts'
import { cutConnections, freezeNodeFor, killNode } from './faults.ts'
import { type Torment, torment } from './torment.ts'
import { createWorld, type World } from './world.ts'

/**
 * The guarantees at the size that they name. FAULT_SIZE=0.05 has a twentieth of the clients, keys and seconds, to see
 * that it runs.
 */
const size = Number(process.env.FAULT_SIZE ?? 1)
const seed = Number(process.env.FAULT_SEED ?? 1)
const sized = (count: number) => Math.max(2, Math.round(count * size))
const timeout = 120_000 + 480_000 * size

requireRedis()

describe(`at full size (FAULT_SEED=${seed}, FAULT_SIZE=${size})`, () => {
  const random = createRandom(seed)
  let world: World | undefined
  afterEach(() => world?.stop())

  async function open(env: Record<string, string> = {}): Promise<World> {
    world = await createWorld({ env, pick: (count) => Math.floor(random() * count) })
    return world
  }
  const work: Torment = {
    ...{ sessions: 6, readersPerSession: 2, messages: 6, words: 40, paceMs: 20, faults: [], restMs: 100 },
  }

  it('500 readers of 200 replies, each cut 20 times, miss nothing (G1)', { timeout }, async () => {
    const asked = { ...work, sessions: sized(200), readersPerSession: 3, cutsPerReader: 20, words: 100 }
    const faults = [...Array(9).fill(cutConnections), killNode]
    const { violations } = await torment(await open(), { ...asked, faults, paceMs: 50 }, random)
    expect(violations).toEqual([])
  })

  it('1,000 keys, each sent five times at once, have one effect each (G3)', { timeout }, async () => {
    const asked = { ...work, sessions: sized(50), messages: 20, copies: 5, words: 3, paceMs: 0 }
    const { violations } = await torment(await open(), asked, random)
    expect(violations).toEqual([])
    expect(world?.model.calls.length).toBe(asked.sessions * asked.messages)
  })

  it('1,000 cancels round the last word (G5)', { timeout }, async () => {
    const ends = await cancelRuns(await open({ RUN_LEASE_MS: '15000' }), sized(100), random)
    expect(ends).toEqual(eitherEnd)
  })

  it('a node that was frozen for 60 s changes nothing when it wakes (G14)', { timeout }, async () => {
    const leaseMs = Math.max(2_000, Math.round(15_000 * size))
    const faults = [freezeNodeFor(60_000 * size)]
    const settings = await open({ RUN_LEASE_MS: String(leaseMs) })
    const { violations } = await torment(settings, { ...work, messages: 12, faults }, random)
    expect(violations).toEqual([])
  })
})
