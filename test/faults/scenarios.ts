import { cancelRuns } from './cancels.ts'
import { comeAndGo } from './cycles.ts'
import { emptyRedisAndKillNode, restartNode } from './faults.ts'
import type { Mutant } from './mutants.ts'
import { longMessages, stopReading } from './slow-reader.ts'
import { type Torment, torment } from './torment.ts'
import { killUntold, stuckAfterCommit } from './untold.ts'
import { waitForShort } from './waits.ts'
import type { World } from './world.ts'

/** Something that happens to a world, and what was violated by it. */
export type Scenario = {
  run(world: World, random: () => number): Promise<string[]>
  env?: Record<string, string>
  /** Taken out of all nodes beforehand: it is what the scenario is about. */
  given?: Mutant[]
  /** The same, of the first node. */
  givenOfFirst?: Mutant[]
}

const work: Torment = {
  sessions: 6,
  readersPerSession: 1,
  messages: 6,
  words: 40,
  paceMs: 20,
  faults: [],
  restMs: 250,
  healMs: 8_000,
}

export const tormented = (asked: Partial<Torment>): Scenario => ({
  run: async (world, random) => (await torment(world, { ...work, ...asked }, random)).violations,
})

/** What fails in it is what was violated. */
export const failing = (work: (world: World, random: () => number) => Promise<unknown>): Scenario => ({
  run: (world, random) =>
    work(world, random).then(
      () => [],
      (error: Error & { actual?: unknown }) => [`${error.message}: ${JSON.stringify(error.actual)}`],
    ),
})

/** Nobody dies here: a busy machine is not to be taken for that. */
const longLease = { RUN_LEASE_MS: '15000' }

const noPush: Mutant = {
  file: 'src/realtime/broker-redis-scripts.ts',
  from: "redis.call('PUBLISH'",
  to: "local _ = type('PUBLISH'",
}
/** Every push between the nodes is lost; what they know of each other's events is what they look for. */
export const lostPushes: Scenario = { ...tormented({}), given: [noPush] }

export const restarts: Scenario = {
  env: longLease,
  async run(world, random) {
    // Long enough that each restart falls into replies that have begun.
    const asked = { ...work, words: 200, messages: 4, faults: [restartNode], restMs: 1_000 }
    const { violations, statuses } = await torment(world, asked, random)
    return [
      ...violations,
      ...statuses.filter((status) => status !== 'COMPLETED').map((status) => `a run is ${status}`),
    ]
  },
}

/** Heartbeats are too slow to help: without the hint nobody is quick. */
export const cancels: Scenario = {
  ...failing((world, random) => cancelRuns(world, 3, random, 300)),
  env: { ...longLease, RUN_CHECKPOINT_MS: '60000' },
}
export const untold: Scenario = { ...failing(killUntold), givenOfFirst: stuckAfterCommit }
export const slowReader: Scenario = { run: stopReading, env: longMessages }
/** Whoever waits begins to listen when all has been said. */
const lateListener: Mutant = {
  file: 'src/features/runs/service.ts',
  from: 'const deliveries = await feed.follow(run.sessionId, { read })',
  to: 'await new Promise((resolve) => setTimeout(resolve, 2_000)); const deliveries = await feed.follow(run.sessionId, { read })',
}
export const waits: Scenario = { run: waitForShort, env: longLease, given: [lateListener] }
export const cycles: Scenario = { run: (world) => comeAndGo(world, 200) }

/** What is emptied has half of the first replies, none of which is stored by the clock before its end. */
export const lostLog: Scenario = {
  ...tormented({ words: 150, messages: 2, healMs: 25_000, faults: [emptyRedisAndKillNode], restMs: 1_500 }),
  env: { RUN_LEASE_MS: '12000', RUN_CHECKPOINT_MS: '4000' },
}

/** With all protections in place none of these violates anything; the others are in `faults.test.ts`. */
export const scenarios: Record<string, Scenario> = {
  'replies are cancelled in their midst (G5)': cancels,
  'replies end while their sender begins to wait (G4)': waits,
  'Redis is emptied and a node dies (G4, G11)': lostLog,
  'a reader stops (G8)': slowReader,
  'every push is lost (G9)': lostPushes,
  'nodes are replaced in mid-reply (G10)': restarts,
  'clients come and are gone (G15)': cycles,
}
