import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import type { Database, Run, Session, Statement, TenantDatabase } from '../../db/client.ts'
import type { Models } from '../../llm/registry.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ContextBuilder } from '../context/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { type Claims, leaseSeconds } from './claims.ts'
import { createClock } from './clock.ts'
import { type Ending, endRunOnce } from './ending.ts'
import { outcomeOf, type StopReason } from './outcome.ts'
import { createReply, type Reply } from './reply.ts'
import { runStarted } from './rows.ts'
import type { Titles } from './titles.ts'

export type Engine = {
  /**
   * Begins with a run that was stored as claimed by this node, with the revision of that commit, or tries to claim it.
   * Resolves at once, but where the node stops, when the run is let go of.
   */
  offer(run: Run, revision: number): Promise<void>
  /** Takes every waiting run whose turn it is. */
  takeWaiting(): Promise<void>
  /** Stops a run that this node works on, keeping its text; resolves when it has ended. False where it is not here. */
  cancel(runId: string): Promise<boolean>
  /** Lets running replies end for `graceMs`, then ends them as INTERRUPTED with their text; takes no new ones. */
  stop(graceMs: number): Promise<void>
}

const bumpRevision: Statement = {
  name: 'session-bump-revision',
  text: `UPDATE sessions SET revision = revision + 1 WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
    RETURNING revision`,
}

// Heartbeat, checkpoint and the question whether to go on, in one statement. A run without a row here is lost: ended,
// taken over, or its session was deleted.
const beatRun: Statement = {
  name: 'run-beat',
  text: `WITH beat AS (
      UPDATE runs r SET lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}),
        first_token_at = coalesce(r.first_token_at, r.started_at + $5 * interval '1 ms'), updated_at = clock_timestamp()
      FROM sessions s
      WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING'
        AND s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
      RETURNING r.tenant_id, r.assistant_message_id, r.cancel_requested_at)
    UPDATE messages m SET content = $4, updated_at = clock_timestamp() FROM beat
    WHERE m.tenant_id = beat.tenant_id AND m.id = beat.assistant_message_id
    RETURNING beat.cancel_requested_at AS "cancelRequestedAt"`,
}

type Dependencies = {
  config: Config['runs']
  database: Database
  claims: Claims
  changes: Changes
  feed: Feed
  models: Models
  context: ContextBuilder
  titles: Titles
  log: Log
}

type Work = { stop: (reason: StopReason) => void; ended: Promise<void> }

export function createEngine(dependencies: Dependencies): Engine {
  const { claims, changes, database, log } = dependencies
  const working = new Map<string, Work>()
  const claiming = new Set<Promise<void>>()
  let isStopping = false

  function begin(run: Run, started: Promise<number | null>) {
    const aborting = new AbortController()
    const ended = answer(dependencies, run, aborting, started)
      .catch((error) => log.error({ err: error, runId: run.id }, 'a run ended badly; the sweep will mark it'))
      .finally(() => {
        working.delete(run.id)
        takeWaiting().catch((error) => log.error({ err: error }, 'waiting runs could not be taken'))
      })
    working.set(run.id, { ended, stop: (reason) => aborting.abort(reason) })
    if (isStopping) aborting.abort('shutdown')
  }

  async function claimAndBegin(runId: string) {
    const run = await claims.claim(runId)
    if (run) begin(run, announceStart(changes, database.forTenant(run.tenantId), run))
  }

  async function take(runId: string) {
    const claim = claimAndBegin(runId)
    claiming.add(claim)
    try {
      await claim
    } finally {
      claiming.delete(claim)
    }
  }

  async function takeWaiting() {
    if (isStopping) return
    for (const runId of await claims.waiting()) await take(runId)
  }

  return {
    async offer(run, revision) {
      const failed = (error: unknown) => log.error({ err: error, runId: run.id }, 'a run could not be taken')
      if (run.status !== 'RUNNING') void take(run.id).catch(failed)
      // Stored while this node began to stop: another one, or this one when it is back, has the turn.
      else if (isStopping) await claims.release(run).catch(failed)
      else begin(run, Promise.resolve(revision))
    },
    takeWaiting,
    async cancel(runId) {
      const work = working.get(runId)
      work?.stop('cancelled')
      await work?.ended
      return work !== undefined
    },
    async stop(graceMs) {
      isStopping = true
      claims.close()
      // What is being claimed now is work in a moment.
      await Promise.allSettled(claiming)
      const done = Promise.all([...working.values()].map(({ ended }) => ended))
      if (working.size > 0) await Promise.race([done, sleep(graceMs, undefined, { ref: false })])
      for (const { stop } of working.values()) stop('shutdown')
      await done
    },
  }
}

/**
 * Answers one claimed run from the first event to the last. `started` is the revision that tells of its start, null
 * where the session was deleted meanwhile.
 */
async function answer(
  dependencies: Dependencies,
  run: Run,
  aborting: AbortController,
  started: Promise<number | null>,
): Promise<void> {
  const { config, database, changes, feed, models, context, titles, log } = dependencies
  const db = database.forTenant(run.tenantId)
  const stop = (reason: StopReason) => aborting.abort(reason)
  const fence = await started
  const reply = createReply({
    feed,
    place: { sessionId: run.sessionId, messageId: run.assistantMessageId, fence: fence ?? 0 },
    coalesceMs: config.coalesceMs,
    maxTextBytes: config.maxTextBytes,
    onFull: () => stop('full'),
    onOvertaken: () => stop('lost'),
  })
  const clock = createClock(config, stop)
  const beating = setInterval(() => {
    void reply.flush()
    beat(db, run, reply, clock.firstTokenAfterMs)
      .then((reason) => reason && stop(reason))
      .catch((error) => log.warn({ err: error, runId: run.id }, 'a checkpoint failed'))
  }, config.checkpointMs)
  let failure: unknown
  try {
    const { provider, model } = models.resolve(run.model)
    void reply.flush()
    const request = await context.build(db, run)
    // A run that waited in a session that was deleted meanwhile ends here, before it costs anything.
    if (fence === null) stop('lost')
    else
      for await (const part of provider.stream({ ...request, model }, aborting.signal)) {
        if (part.type !== 'start') clock.partCame(part.type === 'text-delta')
        reply.take(part)
      }
  } catch (error) {
    log.error({ err: error, runId: run.id }, 'a run failed')
    failure = error
  } finally {
    clearInterval(beating)
    clock.stop()
    await reply.flush()
  }
  const reason = aborting.signal.aborted ? (aborting.signal.reason as StopReason) : null
  const ending: Ending = { ...outcomeOf(reply, reason, failure), firstTokenAfterMs: clock.firstTokenAfterMs }
  const ended = await persist(() => endRunOnce(changes, db, run, ['RUNNING'], ending))
  if (ended?.status === 'COMPLETED') titles.offer(ended)
}

/** The revision that tells it; null where the session is deleted. */
function announceStart(changes: Changes, db: TenantDatabase, run: Run): Promise<number | null> {
  return changes.commit(db, run.sessionId, async (sql) => {
    const [session] = await sql<Pick<Session, 'revision'>>(bumpRevision, [run.tenantId, run.sessionId])
    return { result: session?.revision ?? null, events: session ? [runStarted(run, session)] : [] }
  })
}

/** Stores the text so far and renews the lease; tells why the run must stop, if it must. */
async function beat(
  db: TenantDatabase,
  run: Run,
  reply: Reply,
  firstTokenAfterMs: number | null,
): Promise<StopReason | null> {
  const values = [run.tenantId, run.id, run.attempt, reply.text, firstTokenAfterMs]
  const [row] = await db.sql<{ cancelRequestedAt: Date | null }>(beatRun, values)
  if (!row) return 'lost'
  return row.cancelRequestedAt ? 'cancelled' : null
}

/** The end must not be lost to a database that is away for a moment; the sweep takes over after the lease. */
async function persist<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 6) throw error
      await sleep(100 * 2 ** attempt)
    }
  }
}
