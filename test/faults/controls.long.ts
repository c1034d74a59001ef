import { describe, expect, it } from 'vitest'
import { requireRedis } from '../support/redis.ts'
import { createRandom } from '../support/session-reader.ts'
import { cutConnections, freezeNode, killNode, killPostgres, partFromRedis } from './faults.ts'
import { createMutant, type Mutant } from './mutants.ts'
import { type Torment, torment } from './torment.ts'
import { createWorld } from './world.ts'

/** What each protection is for: without it, these faults break this promise. */
type Control = Partial<Torment> & {
  without: string
  mutants?: Mutant[]
  isDurable?: boolean
  found: RegExp
}

const feed = 'src/realtime/feed.ts'
const controls: Control[] = [
  {
    without: 'the cursor of a reader that comes back (G1)',
    mutants: [
      {
        file: feed,
        from: 'const cursor = after == null ? undefined : parseCursor(after)',
        to: 'const cursor = undefined as FeedCursor | undefined; void after',
      },
    ],
    faults: [cutConnections],
    found: /START although it came with a cursor/,
  },
  {
    without: 'a look for changes that were never announced (G1, G11)',
    mutants: [
      {
        file: 'src/realtime/feed-deliveries.ts',
        from: '(event.fence ?? 0) > revision ||',
        to: 'false &&',
      },
      {
        file: 'src/features/live/lost-changes.ts',
        from: 'const behind = new Set<string>()',
        to: 'const behind = new Set<string>(); if (behind) return',
      },
    ],
    faults: [partFromRedis],
    found: /never saw the message|never told/,
  },
  {
    without: 'a commit that waits for the disk (G2)',
    isDurable: false,
    faults: [killPostgres],
    found: /acknowledged, and stored 0 times|never saw|copies differ/,
  },
  {
    without: 'the key of a send (G3)',
    mutants: [
      {
        file: 'src/features/runs/sending.ts',
        from: 'const key = clientId',
        to: 'const key = !clientId && clientId',
      },
    ],
    copies: 2,
    found: /copies differ/,
  },
  {
    without: 'the sweep for runs whose node died (G4)',
    mutants: [
      {
        file: 'src/features/runs/recovery.ts',
        from: '($1 OR r.lease_until < clock_timestamp())',
        to: '($1 AND r.lease_until < clock_timestamp())',
      },
    ],
    faults: [killNode],
    found: /is still RUNNING/,
  },
  {
    without: 'the fence round a reply (G14)',
    mutants: [
      {
        file: feed,
        from: '{ name: fenceMark, max: fence, to: fence }',
        to: '{ name: fenceMark, to: fence }',
      },
    ],
    faults: [freezeNode],
    found: /after its end/,
  },
]

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

requireRedis()

describe('the checker finds it', () => {
  it.each(controls)(
    'without $without',
    { timeout: 120_000 },
    async ({ mutants = [], isDurable, found, ...asked }) => {
      const random = createRandom(7)
      const { root, remove } = await createMutant(mutants)
      const world = await createWorld({ root, isDurable, pick: (count) => Math.floor(random() * count) })
      try {
        const { violations } = await torment(world, { ...work, ...asked }, random)
        expect(violations.join('\n')).toMatch(found)
      } finally {
        await world.stop()
        await remove()
      }
    },
  )
})
