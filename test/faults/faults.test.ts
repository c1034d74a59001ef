import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requireRedis } from '../support/redis.ts'
import { createRandom } from '../support/session-reader.ts'
import {
  cutConnections,
  cutRedis,
  emptyRedis,
  emptyRedisAndKillNode,
  freezeNode,
  freezeRedis,
  killNode,
  killPostgres,
  killRedis,
  loseAnswers,
  partFromRedis,
  restartNode,
} from './faults.ts'
import { askAgainTooLate } from './overtaken.ts'
import { type Fault, torment } from './torment.ts'
import { createWorld, type World } from './world.ts'

// FAULT_SEED replays a run; FAULT_SCALE makes each longer: `npm run test:faults -- --minutes 30` sets both.
const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 1_000_000) + 1)
const scale = Number(process.env.FAULT_SCALE ?? 1)

requireRedis()

describe(`two nodes, a database and a Redis (FAULT_SEED=${seed})`, () => {
  const random = createRandom(seed)
  let world: World
  beforeAll(async () => {
    world = await createWorld({ pick: (count) => Math.floor(random() * count) })
  })
  afterAll(() => world?.stop())

  const holds =
    (faults: readonly Fault[], restMs: number, cuts = 0) =>
    async () => {
      const replies = { messages: 4 * scale, words: 40, paceMs: 20 }
      const asked = { sessions: 6, readersPerSession: 2, ...replies, faults, restMs }
      const { violations, attachments } = await torment(world, asked, random)
      expect(violations).toEqual([])
      // The faults were felt: readers had to come back.
      expect(attachments).toBeGreaterThanOrEqual(12 + cuts)
    }
  const timeoutMs = 60_000 + scale * 60_000

  it('lose no word where connections break (G1, G9)', holds([cutConnections], 100, 20), timeoutMs)
  it('survive the death of a node in mid-reply (G1, G2, G4)', holds([killNode], 400, 1), timeoutMs)
  it('let nobody write who was frozen and taken over (G4, G14)', holds([freezeNode], 500), timeoutMs)
  it(
    'ask the model for nothing that was taken over while they slept (G4)',
    async () => {
      await askAgainTooLate(world, 'late')
    },
    timeoutMs,
  )
  it(
    'go on while Redis is gone, empty, frozen or cut off (G11)',
    holds([emptyRedis, killRedis, freezeRedis, cutRedis, loseAnswers, partFromRedis], 400),
    timeoutMs,
  )
  it('keep what was acknowledged when PostgreSQL dies (G2, G11)', holds([killPostgres], 1_000), timeoutMs)
  it(
    'are replaced one after the other without anybody losing a thing (G10)',
    holds([restartNode], 300, 1),
    timeoutMs,
  )
  it(
    'hold under all of it at once',
    holds(
      [cutConnections, cutConnections, emptyRedisAndKillNode, killNode, freezeNode, killRedis, killPostgres],
      400,
    ),
    timeoutMs,
  )
})
