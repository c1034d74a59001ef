import type { Config } from '../../config.ts'
import type { Database, Run, Statement } from '../../db/client.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Clock } from './clock.ts'
import type { StopReason } from './outcome.ts'
import type { Reply } from './reply.ts'

/** A run that this node answers; `run.leaseUntil` is the end of the lease that it was claimed with. */
export type Beating = {
  readonly run: Run
  readonly reply: Pick<Reply, 'text' | 'flush'>
  readonly clock: Pick<Clock, 'sinceFirstTokenMs'>
  /** Told when a beat finds that the run is another's or has ended (`lost`), or is to be cancelled. */
  readonly stop: (reason: StopReason) => void
}

export type Beats = {
  /**
   * Renews the run's lease and stores its text every RUN_CHECKPOINT_MS, or three times within the lease where that is
   * more often, until `leave` is called.
   */
  keep(beating: Beating): Keeping
}

export type Keeping = {
  /**
   * Whether the run is this node's to go on with: known at once while its lease lasts. A node that was frozen or cut off
   * from the database past its end asks there, and has the lease anew where nobody took the run over.
   */
  isHeld(): boolean | Promise<boolean>
  /** Has the text stored at once, or nearly: with that of all others who ask within a moment. */
  hasten(): void
  leave(): void
}

/** By the clock of this node, which at worst makes it ask too early, or as much too late as the clocks differ. */
type Kept = Beating & { dueAtMs: number; heldUntil: number }
type Found = { runId: string; cancelRequestedAt: Date | null }

/** A share of the time between two beats of a run: those that fall due within it go out together. */
const sharesOfInterval = 20
const runsTogetherMost = 100
/** UTF-16 units of all texts of one statement; a longer text goes by itself. */
const textTogetherMost = 1_000_000

// Heartbeat, checkpoint and the question whether to go on, in one statement. A run without a row here is lost: ended,
// taken over, or its session was deleted.
const renewOne: Statement = {
  name: 'run-beat',
  text: `WITH beat AS (
      UPDATE runs r SET lease_until = clock_timestamp() + $6 * interval '1 ms', has_begun = has_begun OR $4 <> '',
        first_token_at = coalesce(r.first_token_at, statement_timestamp() - $5 * interval '1 ms'),
        updated_at = clock_timestamp()
      FROM sessions s
      WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING'
        AND s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
      RETURNING r.tenant_id, r.id, r.assistant_message_id, r.cancel_requested_at)
    UPDATE messages m SET content = $4, updated_at = clock_timestamp() FROM beat
    WHERE m.tenant_id = beat.tenant_id AND m.id = beat.assistant_message_id
    RETURNING beat.id AS "runId", beat.cancel_requested_at AS "cancelRequestedAt"`,
}

// The same for many. It waits for no lock: neither may the lease of one run hang on who changes another, nor two
// statements on each other. A run without a row is lost, or is being changed just now.
const renewMany: Statement = {
  name: 'run-beats',
  text: `WITH told AS (
      SELECT * FROM unnest($2::uuid[], $3::int[], $4::text[], $5::float8[]) AS t (id, attempt, content, since_ms)),
    held AS (
      SELECT r.id, r.assistant_message_id, told.content, told.since_ms
      FROM told
      JOIN runs r ON r.tenant_id = $1 AND r.id = told.id AND r.attempt = told.attempt AND r.status = 'RUNNING'
      JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
      JOIN messages m ON m.tenant_id = r.tenant_id AND m.id = r.assistant_message_id
      FOR NO KEY UPDATE OF r, m SKIP LOCKED),
    stored AS (
      UPDATE messages m SET content = held.content, updated_at = clock_timestamp() FROM held
      WHERE m.tenant_id = $1 AND m.id = held.assistant_message_id)
    UPDATE runs r SET lease_until = clock_timestamp() + $6 * interval '1 ms',
      has_begun = has_begun OR held.content <> '',
      first_token_at = coalesce(r.first_token_at, statement_timestamp() - held.since_ms * interval '1 ms'),
      updated_at = clock_timestamp()
    FROM held WHERE r.tenant_id = $1 AND r.id = held.id
    RETURNING r.id AS "runId", r.cancel_requested_at AS "cancelRequestedAt"`,
}

type Options = {
  config: Pick<Config['runs'], 'checkpointMs' | 'leaseMs'>
  database: Database
  log: Log
}

/**
 * The heartbeats of all runs of a node. A thousand replies would else be a thousand statements and commits a second, of
 * which each costs more than the words that it stores.
 */
export function createBeats({ config, database, log }: Options): Beats {
  const { checkpointMs, leaseMs } = config
  const everyMs = Math.min(checkpointMs, leaseMs / 3)
  const kept = new Set<Kept>()
  let looking: NodeJS.Timeout | undefined

  function look() {
    const nowMs = performance.now()
    const due = [...kept].filter(({ dueAtMs }) => dueAtMs <= nowMs)
    for (const each of due) {
      each.dueAtMs = nowMs + everyMs
      void each.reply.flush()
    }
    for (const [tenantId, own] of Map.groupBy(due, ({ run }) => run.tenantId))
      for (const batch of inBatches(own)) void beatAll(tenantId, batch)
  }

  async function beatAll(tenantId: string, batch: readonly Kept[]) {
    const askedAt = Date.now()
    const found = batch.length > 1 ? await together(tenantId, batch) : none
    await Promise.all(
      batch.map(async (each) => {
        try {
          const row = found.get(each.run.id)
          if (row) take(each, row, askedAt)
          else await beatAlone(each)
        } catch (error) {
          if (kept.has(each)) log.warn({ err: error, runId: each.run.id }, 'a checkpoint failed')
        }
      }),
    )
  }

  /** Those that were found; what fails for many is tried for each, so that one cannot fail the others. */
  async function together(tenantId: string, batch: readonly Kept[]): Promise<ReadonlyMap<string, Found>> {
    const values = [
      tenantId,
      batch.map(({ run }) => run.id),
      batch.map(({ run }) => run.attempt),
      batch.map(({ reply }) => reply.text),
      batch.map(({ clock }) => clock.sinceFirstTokenMs),
      leaseMs,
    ]
    try {
      const rows = await database.forTenant(tenantId).sql<Found>(renewMany, values)
      return new Map(rows.map((row) => [row.runId, row]))
    } catch (error) {
      log.warn({ err: error }, 'checkpoints could not be stored together')
      return none
    }
  }

  /** Whether the run is this node's. */
  async function beatAlone(each: Kept): Promise<boolean> {
    const { run, reply, clock } = each
    // It ended while the others were asked for.
    if (!kept.has(each)) return false
    const askedAt = Date.now()
    const values = [run.tenantId, run.id, run.attempt, reply.text, clock.sinceFirstTokenMs, leaseMs]
    const [row] = await database.forTenant(run.tenantId).sql<Found>(renewOne, values)
    return take(each, row, askedAt)
  }

  function take(each: Kept, row: Found | undefined, askedAt: number): boolean {
    if (!kept.has(each)) return false
    if (row) each.heldUntil = askedAt + leaseMs
    if (!row) each.stop('lost')
    else if (row.cancelRequestedAt) each.stop('cancelled')
    return row !== undefined
  }

  return {
    keep(beating) {
      const heldUntil = beating.run.leaseUntil?.getTime() ?? 0
      const each: Kept = { ...beating, dueAtMs: performance.now() + everyMs, heldUntil }
      kept.add(each)
      looking ??= setInterval(look, everyMs / sharesOfInterval)
      return {
        isHeld: () => Date.now() < each.heldUntil || beatAlone(each),
        hasten() {
          each.dueAtMs = 0
        },
        leave() {
          kept.delete(each)
          if (kept.size > 0) return
          clearInterval(looking)
          looking = undefined
        },
      }
    },
  }
}

const none: ReadonlyMap<string, Found> = new Map()

function inBatches(all: readonly Kept[]): Kept[][] {
  const batches: Kept[][] = []
  let length = 0
  for (const each of all) {
    const open = batches.at(-1)
    length += each.reply.text.length
    if (open && open.length < runsTogetherMost && length <= textTogetherMost) open.push(each)
    else {
      batches.push([each])
      length = each.reply.text.length
    }
  }
  return batches
}
