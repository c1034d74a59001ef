import { cutConnections, freezeNode, killNode, killPostgres, loseAnswers, partFromRedis } from './faults.ts'
import type { Mutant } from './mutants.ts'
import { askAgainTooLate } from './overtaken.ts'
import {
  cancels,
  cycles,
  failing,
  lostLog,
  lostPushes,
  restarts,
  type Scenario,
  slowReader,
  tormented,
  untold,
  waits,
} from './scenarios.ts'

/** What a protection is for: without it, the scenario violates this promise. */
export type Control = Scenario & { without: string; mutants?: Mutant[]; isDurable?: boolean; found: RegExp }

const feed = 'src/realtime/feed.ts'

export const controls: Control[] = [
  {
    without: 'the cursor of a reader that comes back (G1)',
    ...tormented({ faults: [cutConnections] }),
    mutants: [
      {
        file: feed,
        from: 'const cursor = after == null ? undefined : parseCursor(after)',
        to: 'const cursor = undefined as FeedCursor | undefined; void after',
      },
    ],
    found: /START although it came with a cursor/,
  },
  {
    without: 'the count of what a reply has told (G1, G11)',
    // Long enough that a reply goes on when the answers come again.
    ...tormented({ faults: [loseAnswers], words: 300, messages: 2, restMs: 100 }),
    mutants: [
      {
        file: feed,
        from: '{ name: countName, min: count, max: count, to:',
        to: '{ name: countName, to:',
      },
    ],
    found: /units of text, the next are at/,
  },
  {
    without: 'a look for changes that were never announced (G1, G11)',
    ...tormented({ faults: [partFromRedis] }),
    mutants: [
      {
        file: 'src/realtime/feed-deliveries.ts',
        from: "'fence' in event",
        to: 'false',
      },
      {
        file: 'src/features/sessions/lost-changes.ts',
        from: 'const behind = new Set<string>()',
        to: 'const behind = new Set<string>(); if (behind) return',
      },
    ],
    found: /never saw the message|never told/,
  },
  {
    without: 'the notices to lists (G1)',
    ...untold,
    mutants: [
      {
        file: 'src/features/sessions/missed-changes.ts',
        from: 'const missed = known ?',
        to: 'const missed = known && !known ?',
      },
    ],
    found: /the list of bob is not read anew/,
  },
  {
    without: 'the storing of what the log has lost (G4, G11)',
    ...lostLog,
    mutants: [
      {
        file: 'src/features/runs/answer.ts',
        from: 'onLogLost: () => keeping.hasten()',
        to: 'onLogLost() {}',
      },
    ],
    found: /units stored, a reader saw/,
  },
  {
    without: 'a commit that waits for the disk (G2)',
    ...tormented({ faults: [killPostgres] }),
    isDurable: false,
    found: /acknowledged, and stored 0 times|never saw|copies differ/,
  },
  {
    without: 'the key of a send (G3)',
    ...tormented({ copies: 2 }),
    mutants: [
      {
        file: 'src/features/runs/sending.ts',
        from: 'const key = clientId',
        to: 'const key = !clientId && clientId',
      },
    ],
    found: /copies differ/,
  },
  {
    without: 'the sweep for runs whose node died (G4)',
    ...tormented({ faults: [killNode] }),
    mutants: [
      {
        file: 'src/features/runs/recovery.ts',
        from: '($1 OR r.lease_until < clock_timestamp())',
        to: '($1 AND r.lease_until < clock_timestamp())',
      },
    ],
    found: /is still RUNNING/,
  },
  {
    without: 'a look at the lease before the model is asked again (G4)',
    ...failing((world) => askAgainTooLate(world, 'late')),
    mutants: [
      { file: 'src/features/runs/model-call.ts', from: 'if (!(await mayCall())) return', to: 'void mayCall' },
    ],
    found: /to deeply equal \[ true, false \]/,
  },
  {
    without: 'a look at the run when the wait for it begins (G4)',
    ...waits,
    mutants: [
      {
        file: 'src/features/runs/service.ts',
        from: 'if (isSo(delivery.snapshot.state.run)) break',
        to: 'void isSo',
      },
    ],
    found: /was never answered/,
  },
  {
    without: 'the hint to the node that has a run (G5)',
    ...cancels,
    mutants: [
      {
        file: 'src/features/runs/hints.ts',
        from: 'void onCancel(hint.runId).catch(failed)',
        to: 'void onCancel',
      },
    ],
    found: /CANCELLED.* after \d+ ms/,
  },
  {
    without: 'a decision of the right to each snapshot (G7)',
    ...untold,
    mutants: [
      {
        file: 'src/features/live/service.ts',
        from: "const { revision } = await requireRight(viewer, sessionId, 'VIEWER')",
        to: 'const revision = null; void requireRight',
      },
      {
        file: 'src/features/live/service.ts',
        from: 'if (state.revision !== revision) await requireRight',
        to: 'if (revision !== null) await requireRight',
      },
    ],
    found: /the feed of whom was removed goes on/,
  },
  {
    without: 'the cut of who takes nothing (G8)',
    ...slowReader,
    mutants: [
      {
        file: 'src/server/websocket.ts',
        from: 'stalled: (connection) => sender.close(connection, closing.slow),',
        to: 'stalled: () => {},',
      },
    ],
    found: /was not cut/,
  },
  {
    without: 'a look at the positions of feeds (G9)',
    ...lostPushes,
    mutants: [
      {
        file: 'src/realtime/broker-redis-readers.ts',
        from: '[connection.beat(), checkPositions()]',
        to: '[connection.beat()]',
      },
    ],
    found: /never saw the message|holds the message/,
  },
  {
    without: 'time for replies to end (G10)',
    ...restarts,
    mutants: [{ file: 'src/features/runs/engine.ts', from: 'sleep(graceMs,', to: 'sleep(0,' }],
    found: /a run is INTERRUPTED/,
  },
  {
    without: 'the fence round a reply (G14)',
    ...tormented({ faults: [freezeNode] }),
    mutants: [
      {
        file: feed,
        from: '{ name: fenceMark, max: fence, to: fence }',
        to: '{ name: fenceMark, to: fence }',
      },
    ],
    found: /after its end/,
  },
  {
    without: 'a time to live for logs (G15)',
    ...cycles,
    mutants: [
      { file: 'src/realtime/broker-redis-scripts.ts', from: "redis.call('PEXPIRE', log, ARGV[3])", to: '' },
    ],
    found: /stays for ever/,
  },
]
