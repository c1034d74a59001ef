import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './torment.ts'

const pick = <T>(values: readonly T[], random: () => number) =>
  values[Math.floor(random() * values.length)] as T

/** A third of the connections of one node end, each in its own way. */
export const cutConnections: Fault = async ({ networks }, random) => {
  const network = pick(networks, random)
  const cuts = Math.ceil(network.open / 3)
  for (let index = 0; index < cuts; index += 1)
    network.cut(Math.floor(random() * 1_000), pick(['fin', 'rst', 'rst', 'silence'] as const, random))
}

export const killNode: Fault = async ({ nodes }, random) => {
  const node = pick(nodes, random)
  await node.kill()
  await sleep(random() * 500)
  await node.start()
}

/** Longer than a lease, so that its runs are taken away from it; then it wakes and goes on as if nothing were. */
export const freezeNode: Fault = (world, random) => freezeNodeFor(1_000 + random() * 7_000)(world, random)

export const freezeNodeFor =
  (ms: number): Fault =>
  async ({ nodes }, random) => {
    const node = pick(nodes, random)
    node.freeze()
    await sleep(ms)
    node.thaw()
  }

export const restartNode: Fault = async ({ nodes }, random) => {
  const node = pick(nodes, random)
  const code = await node.terminate()
  if (code !== 0) throw new Error(`A node that was asked to stop ended with ${code}.`)
  await node.start()
}

export const emptyRedis: Fault = async ({ redis }) => {
  await redis.admin.flushall()
}

/** What was told is in neither the log nor the row, unless it is stored before the node dies. */
export const emptyRedisAndKillNode: Fault = async (world, random) => {
  await emptyRedis(world, random)
  await sleep(500)
  await killNode(world, random)
}

export const killRedis: Fault = async ({ redis }, random) => {
  await redis.kill()
  await sleep(random() * 2_000)
  await redis.start()
}

export const freezeRedis: Fault = async ({ redis }, random) => {
  redis.freeze()
  await sleep(500 + random() * 2_000)
  redis.thaw()
}

/** Redis lives and cannot be reached. */
export const partFromRedis: Fault = async ({ redisNetwork }, random) => {
  const forMs = 500 + random() * 1_500
  redisNetwork.part(forMs)
  await sleep(forMs)
}

/** Commands reach Redis and their answers do not come back. */
export const loseAnswers: Fault = async ({ redisNetwork }, random) => {
  for (let index = 0; index < redisNetwork.open; index += 1)
    redisNetwork.cut(index, pick(['deaf', 'rst'] as const, random))
  await sleep(2_500)
}

/** The pushes are lost, the log is not. */
export const cutRedis: Fault = async ({ redis }) => {
  await redis.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
}

export const killPostgres: Fault = ({ killPostgres }) => killPostgres()
