import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { question } from './model.ts'
import type { World } from './world.ts'

/** Less than what the model tells to wait: the node sleeps until then. */
const frozenAfterMs = 200

/** For longer than anybody would still sleep, nobody can ask the database whose a run is. */
const busyDatabase = 'BEGIN; LOCK TABLE runs IN EXCLUSIVE MODE; SELECT pg_sleep(1.5); COMMIT'

/**
 * A model that is busy at first is to be asked again; the node that would do so is frozen, and wakes when another one
 * has given the reply, and when neither the database nor Redis has time to say so.
 */
export async function askAgainTooLate(world: World, key: string): Promise<void> {
  const sessionId = await world.createSession(key)
  const callsFor = () => world.model.calls.filter((call) => call.key === key)
  await world.writer(key).send(sessionId, key, `${question(key, 5, 10)} busy=1`)
  await expect.poll(callsFor).toHaveLength(1)
  await sleep(frozenAfterMs)
  const node = world.nodes[callsFor()[0]?.node ?? -1]
  node?.freeze()
  try {
    const statuses = async () => (await world.stored(sessionId)).runs.map(({ status }) => status)
    await expect.poll(statuses).toEqual(['COMPLETED'])
    const busy = world.rows(busyDatabase)
    world.redis.freeze()
    await sleep(100)
    node?.thaw()
    await busy
  } finally {
    node?.thaw()
    world.redis.thaw()
  }
  await sleep(500)
  expect(callsFor().map((call) => world.nodes[call.node] === node)).toEqual([true, false])
}
