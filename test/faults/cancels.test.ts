import { afterAll, beforeAll, expect, it } from 'vitest'
import { requireRedis } from '../support/redis.ts'
import { createRandom } from '../support/session-reader.ts'
import { cancelRuns, eitherEnd } from './cancels.ts'
import { createWorld, type World } from './world.ts'

const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 1_000_000) + 1)
const scale = Number(process.env.FAULT_SCALE ?? 1)
const random = createRandom(seed)

requireRedis()

let world: World
beforeAll(async () => {
  // Nobody dies here: a busy machine is not to be taken for that.
  world = await createWorld({ env: { RUN_LEASE_MS: '15000' }, pick: (count) => Math.floor(random() * count) })
})
afterAll(() => world?.stop())

it(
  `a cancel from any node stops a reply within 2 s, however near its end (G5, FAULT_SEED=${seed})`,
  {
    timeout: 60_000 + scale * 60_000,
  },
  async () => expect(await cancelRuns(world, 12 * scale, random)).toEqual(eitherEnd),
)
