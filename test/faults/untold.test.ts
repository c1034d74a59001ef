import { afterAll, beforeAll, it } from 'vitest'
import { requireRedis } from '../support/redis.ts'
import { createMutant } from './mutants.ts'
import { killUntold, stuckAfterCommit } from './untold.ts'
import { createWorld, type World } from './world.ts'

requireRedis()

let world: World
let remove: () => Promise<void>
beforeAll(async () => {
  const mutant = await createMutant(stuckAfterCommit)
  remove = mutant.remove
  world = await createWorld({ root: [mutant.root], pick: (count) => count - 1 })
})
afterAll(async () => {
  await world?.stop()
  await remove?.()
})

it('what a node committed and died before telling is told by the others (G1, G7)', () => killUntold(world))
