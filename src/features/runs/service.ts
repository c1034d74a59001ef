import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Run, Statement, TenantDatabase } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { NotFoundError, ParleyError } from '../../lib/errors.ts'
import type { Feed } from '../../realtime/feed.ts'
import { fromWire } from '../../realtime/feed-events.ts'
import type { Changes } from '../sessions/changes.ts'
import type { LostChanges } from '../sessions/lost-changes.ts'
import type { Sessions } from '../sessions/service.ts'
import { endRunOnce } from './ending.ts'
import type { Engine } from './engine.ts'
import type { Hints } from './hints.ts'
import { isOpen } from './pausing.ts'
import { runColumns } from './rows.ts'
import { noUsage, type PendingToolCall } from './settling.ts'
import type { Sent } from './turn.ts'

export type Runs = {
  /** A run that the viewer may see; throws `NotFoundError`. */
  find(viewer: Viewer, runId: string): Promise<Run>
  /**
   * The runs of a session that have not ended: the one whose turn it is, then the line; for many sessions at once, it
   * is one statement.
   */
  open(viewer: Viewer, sessionId: string): Promise<readonly Run[]>
  /** Waits until a run has ended, or the `signal` aborts, and gives it as it is then. */
  ended(viewer: Viewer, run: Run, signal?: AbortSignal): Promise<Run>
  /**
   * Waits until the run of a send has ended or wants results of tools, and gives the rows as they are then; with a
   * `signal` that aborts before it, those of that moment.
   */
  waitForEnd(viewer: Viewer, sent: Sent, signal?: AbortSignal): Promise<Sent>
  /**
   * Stops a run, from wherever it is asked, and waits for its end, for a few seconds at most or until the `signal` aborts;
   * a run that has ended stays as it is.
   */
  cancel(viewer: Viewer, runId: string, signal?: AbortSignal): Promise<Run>
  /** Stops all runs of a session that have not ended, the last in line first; gives them in that order. */
  cancelAll(viewer: Viewer, sessionId: string, signal?: AbortSignal): Promise<Run[]>
  /** Has a run end to which somebody has stored the wish to cancel it; false where another node has yet to do it. */
  halt(db: TenantDatabase, run: Run): Promise<boolean>
}

const findOpen: Statement = {
  name: 'run-open-of-sessions',
  text: `SELECT ${runColumns} FROM runs r WHERE r.tenant_id = $1 AND r.session_id = ANY($2)
    AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') ORDER BY r.status = 'QUEUED', r.queue_rank, r.id`,
}

const requestCancel: Statement = {
  name: 'run-request-cancel',
  text: `UPDATE runs r SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') RETURNING ${runColumns}`,
}

/** The node that works on a run stops within its heartbeat, a second by default, if it is there at all. */
const cancelWaitMs = 5_000

type Dependencies = {
  sessions: Sessions
  changes: Changes
  feed: Feed
  lostChanges: LostChanges
  engine: Engine
  hints: Hints
}

export function createRuns({ sessions, changes, feed, lostChanges, engine, hints }: Dependencies): Runs {
  const openRuns = createBatch<Viewer['db'], string, readonly Run[]>(async (db, sessionIds) => {
    const rows = await db.sql<Run>(findOpen, [db.tenantId, sessionIds])
    return Map.groupBy(rows, ({ sessionId }) => sessionId)
  })
  const open = async ({ db }: Viewer, sessionId: string) => (await openRuns(db, sessionId)) ?? []

  async function find(viewer: Viewer, runId: string): Promise<Run> {
    const where = { tenantId: viewer.tenantId, id: runId, ...onVisibleSession(viewer) }
    const run = await viewer.db.prisma.run.findFirst({ where })
    if (!run) throw new NotFoundError('run')
    return run
  }

  /** Follows the feed of its session until the run is as it should be, or the signal aborts. */
  async function waitUntil(viewer: Viewer, run: Run, isSo: (run: Run) => boolean, signal?: AbortSignal) {
    const read = async () =>
      viewer.db.snapshot(async (prisma) => {
        const where = { tenantId: viewer.tenantId, id: run.id, ...onVisibleSession(viewer) }
        const include = { session: { select: { revision: true } } }
        const found = await prisma.run.findFirst({ where, include })
        if (!found) throw new NotFoundError('run')
        return { revision: found.session.revision, text: new Map<string, string>(), run: found }
      })
    const deliveries = await feed.follow(run.sessionId, { read })
    const stop = () => deliveries.close()
    signal?.addEventListener('abort', stop)
    if (signal?.aborted) stop()
    try {
      // An end whose node died before it told it would be waited for without end.
      lostChanges.watch(viewer.tenantId, run.sessionId)
      for await (const delivery of deliveries) {
        if ('snapshot' in delivery) {
          if (isSo(delivery.snapshot.state.run)) break
        } else if ('run' in delivery.event && delivery.event.run.id === run.id) {
          if (isSo(fromWire<Run>(delivery.event.run))) break
        }
      }
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    return find(viewer, run.id)
  }

  async function halt(db: TenantDatabase, run: Run): Promise<boolean> {
    const isHeldByNone = run.status === 'QUEUED' || run.status === 'REQUIRES_ACTION'
    if (isHeldByNone && (await endRunOnce(changes, db, run, ['QUEUED', 'REQUIRES_ACTION'], cancelled))) {
      await engine.takeWaiting(run.tenantId)
      return true
    }
    if (await engine.cancel(run.id)) return true
    hints.cancel(run.id)
    return false
  }

  async function cancel(viewer: Viewer, runId: string, signal?: AbortSignal): Promise<Run> {
    const run = await find(viewer, runId)
    await sessions.requirePlace(viewer, run.sessionId, 'EDITOR')
    const [asked] = await viewer.db.sql<Run>(requestCancel, [viewer.tenantId, runId])
    if (!asked || (await halt(viewer.db, asked))) return find(viewer, runId)
    try {
      const late = AbortSignal.timeout(cancelWaitMs)
      return await waitUntil(viewer, run, hasEnded, signal ? AbortSignal.any([late, signal]) : late)
    } catch (error) {
      if (error instanceof ParleyError) throw error
      // The feed is away. The wish is stored, and the heartbeat of the run's node finds it.
      return find(viewer, runId)
    }
  }

  return {
    find,
    open,
    ended: (viewer, run, signal) => waitUntil(viewer, run, hasEnded, signal),
    async waitForEnd(viewer, { run, userMessage }, signal) {
      const over = await waitUntil(viewer, run, (now) => hasEnded(now) || wantsResults(now), signal)
      const where = { tenantId: viewer.tenantId, id: over.assistantMessageId }
      const assistantMessage = await viewer.db.prisma.message.findFirstOrThrow({ where })
      return { run: over, userMessage, assistantMessage }
    },
    cancel,
    async cancelAll(viewer, sessionId, signal) {
      await sessions.require(viewer, sessionId, 'EDITOR')
      const runs: Run[] = []
      // What waits behind a running one must not start when that one is gone.
      for (const { id } of (await open(viewer, sessionId)).toReversed())
        runs.push(await cancel(viewer, id, signal))
      return runs
    },
    halt,
  }
}

const hasEnded = ({ finishedAt }: Run) => finishedAt !== null

/** One whose calls are all answered, such as those that the server makes by itself, is about to go on. */
const wantsResults = ({ status, pendingToolCalls }: Run) =>
  status === 'REQUIRES_ACTION' && (pendingToolCalls as unknown as PendingToolCall[]).some(isOpen)

const cancelled = {
  status: 'CANCELLED',
  finishReason: 'CANCELLED',
  text: null,
  toolCalls: [],
  usage: noUsage,
  cost: '0',
  error: null,
} as const
