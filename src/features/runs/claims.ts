import type { Config } from '../../config.ts'
import type { Database, Run, Sql, Statement, Step } from '../../db/client.ts'
import { isMissing } from '../../db/failures.ts'
import { rowsOf } from '../../db/steps.ts'
import { LimitError } from '../../lib/errors.ts'
import type { Changes } from '../sessions/changes.ts'
import { type ClaimBatch, createClaimBatch } from './claim-batch.ts'
import {
  hasRoom,
  isNextIn,
  lanesOf,
  leaseEnd,
  lockEnds,
  lockRoom,
  tenantHas,
  tryRoom,
  userHas,
} from './room.ts'
import { type Claimed, type RunPlace, runColumns, runQueued, runStarted } from './rows.ts'

/**
 * The run rows are the queue. A run is claimed under its session's row lock, hence by one node only, and only as the
 * next of a session that answers nothing else. The lease that a claim takes is kept up by heartbeats; the `attempt`
 * that it counts fences off whoever held the run before.
 */
export type Claims = {
  /**
   * Stores a run, in a transaction that holds its session's lock and has stored its messages: claimed by this node already
   * where its turn is now, as it mostly is, else waiting. Where its session has no place in the line left, the transaction
   * fails; `refusalOf` tells that.
   */
  storing(run: NewRun): [room: Step<unknown>, run: Step<Run | null>]
  /** The `LimitError` that a failed transaction stands for where no place was left; any other error as it is. */
  refusalOf(error: unknown): unknown
  /** Goes on with a paused run, in a transaction that holds its session's lock: claimed by this node, or next in line. */
  resume(sql: Sql, run: Resumption): Promise<Run | null>
  /** Takes a waiting run for this node, if it is its turn, and tells it. */
  claim(place: RunPlace): Promise<Claimed | null>
  /** Takes waiting runs of one tenant for this node, each if it is its turn, and tells them. */
  claimAll: ClaimBatch
  /**
   * Takes a run over whose node is gone before it told anything of the reply, and tells it. `isCertain`: the node is
   * known to be gone, without waiting for its lease to run out.
   */
  takeOver(run: Run, options: { isCertain: boolean }): Promise<Claimed | null>
  /** Lets go of a claim before anything of the reply was told, and tells that; false where the run is to be cancelled. */
  release(run: Run): Promise<boolean>
  /** Claims nothing from now on. */
  close(): void
  /** Waiting runs whose turn it may be, in fair order; of one tenant, or of all. */
  waiting(tenantId: string | null): Promise<RunPlace[]>
}

export type NewRun = Pick<
  Run,
  'tenantId' | 'id' | 'sessionId' | 'userId' | 'model' | 'userMessageId' | 'assistantMessageId'
> & {
  parameters: object
  /** For its replies alone; those of the session and the agent where null. */
  contextPolicy: object | null
  tools: object | null
  /** The documents that it may draw on; those of its session where null. */
  documentIds: readonly string[] | null
  /** Before all that wait in its session. */
  isFirst: boolean
}

/** `attempt` is the one that was paused; `assistantMessageId` is the reply that comes next. */
export type Resumption = Pick<Run, 'tenantId' | 'id' | 'sessionId' | 'userId' | 'attempt'> & {
  assistantMessageId: string
}

/** A run that takes its node down with it must not go round all of them. */
const maxAttempts = 3

/** Candidates that `waiting` gives at most. */
export const waitingAtMost = 50

// What is settled is settled once: without MATERIALIZED the counts are made anew wherever they are named. In a full line
// there is no rank, which the column does not take: what was stored before goes with it. A session that was not there
// for its messages has no run either.
const insertRun: Statement = {
  name: 'run-insert',
  text: `WITH line AS (
      SELECT count(*) AS open, count(*) FILTER (WHERE o.status = 'QUEUED') AS queued, max(o.queue_rank) AS last,
        min(o.queue_rank) FILTER (WHERE o.status = 'QUEUED') AS first
      FROM runs o WHERE o.tenant_id = $1 AND o.session_id = $3
        AND o.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')
    ), now AS MATERIALIZED (
      SELECT queued, CASE WHEN $13 THEN coalesce(first, 1) - 1 ELSE coalesce(last, 0) + 1 END AS rank,
        $9::text IS NOT NULL AND ${hasRoom} AND open = 0 AND ${userHas('$1', '$4')} < $10
          AND ${tenantHas('$1')} < $11 AS is_turn
      FROM line)
    INSERT INTO runs AS r (tenant_id, id, session_id, user_id, model, parameters, user_message_id,
      assistant_message_id, document_ids, context_policy, tools, queue_rank, status, node_id, attempt, started_at,
      lease_until)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $15::jsonb, $16::jsonb, $17::jsonb,
      CASE WHEN is_turn OR queued < $12 THEN rank END,
      (CASE WHEN is_turn THEN 'RUNNING' ELSE 'QUEUED' END)::"RunStatus",
      CASE WHEN is_turn THEN $9 END, is_turn::int, CASE WHEN is_turn THEN clock_timestamp() END,
      CASE WHEN is_turn THEN ${leaseEnd('$14')} END
    FROM now WHERE EXISTS (SELECT FROM messages m WHERE m.tenant_id = $1 AND m.id = $8)
    RETURNING ${runColumns}`,
}

const resumeStatement: Statement = {
  name: 'run-resume',
  text: `WITH now AS MATERIALIZED (
      SELECT coalesce(min(o.queue_rank), 1) - 1 AS rank,
        $6::text IS NOT NULL AND ${hasRoom} AND ${userHas('$1', '$3')} < $7 AND ${tenantHas('$1')} < $8 AS is_turn
      FROM runs o WHERE o.tenant_id = $1 AND o.session_id = $10 AND o.status = 'QUEUED')
    UPDATE runs r SET status = (CASE WHEN is_turn THEN 'RUNNING' ELSE 'QUEUED' END)::"RunStatus",
      node_id = CASE WHEN is_turn THEN $6 END, attempt = attempt + is_turn::int, has_begun = false,
      lease_until = CASE WHEN is_turn THEN ${leaseEnd('$9')} END, queue_rank = rank, tool_rounds = tool_rounds + 1,
      assistant_message_id = $5, pending_tool_calls = '[]', action_expires_at = NULL, updated_at = clock_timestamp()
    FROM now
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $4 AND r.status = 'REQUIRES_ACTION'
      AND r.cancel_requested_at IS NULL
    RETURNING ${runColumns}`,
}

/** Claims by one statement and raises the session's revision with it; gives no revision where it is deleted. */
const claiming = (name: string, condition: string): Statement => ({
  name,
  text: `WITH claimed AS (
      UPDATE runs r SET status = 'RUNNING', node_id = $3, attempt = attempt + 1,
        started_at = coalesce(started_at, clock_timestamp()), lease_until = ${leaseEnd('$4')},
        updated_at = clock_timestamp()
      WHERE r.tenant_id = $1 AND r.id = $2 AND ${condition} RETURNING r.*
    ), told AS (
      UPDATE sessions s SET revision = revision + 1 FROM claimed r
      WHERE s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL RETURNING s.revision
    )
    SELECT ${runColumns}, (SELECT revision FROM told) AS "sessionRevision" FROM claimed r`,
})

const claimRun = claiming(
  'run-claim',
  `r.status = 'QUEUED' AND r.cancel_requested_at IS NULL AND ${isNextIn('$8')} AND ${userHas('$1', '$7')} < $5 AND ${tenantHas('$1')} < $6`,
)

const takeOverRun = claiming(
  'run-take-over',
  `r.status = 'RUNNING' AND r.attempt = $5 AND ($6 OR r.lease_until < clock_timestamp()) AND NOT r.has_begun
    AND r.cancel_requested_at IS NULL AND r.attempt < ${maxAttempts} + r.tool_rounds`,
)

const releaseRun: Statement = {
  name: 'run-release',
  text: `WITH released AS (
      UPDATE runs r SET status = 'QUEUED', node_id = NULL, lease_until = NULL,
        started_at = CASE WHEN r.tool_rounds > 0 THEN r.started_at END,
        updated_at = clock_timestamp()
      WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING'
        AND r.cancel_requested_at IS NULL RETURNING r.*
    ), told AS (
      UPDATE sessions s SET revision = revision + 1 FROM released r
      WHERE s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL RETURNING s.revision
    )
    SELECT ${runColumns}, (SELECT revision FROM told) AS "sessionRevision" FROM released r`,
}

// Of each user the oldest ones that there is room for; among the users the one first that has the fewest running.
const findWaiting: Statement = {
  name: 'run-waiting',
  text: `SELECT w.tenant_id AS "tenantId", w.id, w.session_id AS "sessionId", w.user_id AS "userId"
    FROM (SELECT q.*, row_number() OVER (PARTITION BY q.tenant_id ORDER BY q.turn, q.id) AS place,
        (SELECT count(*) FROM runs t WHERE t.tenant_id = q.tenant_id AND t.status = 'RUNNING') AS running
      FROM (SELECT DISTINCT d.tenant_id, d.user_id FROM runs d
          WHERE d.status = 'QUEUED' AND ($1::uuid IS NULL OR d.tenant_id = $1)) AS u
      CROSS JOIN LATERAL (SELECT count(*) AS running FROM runs n WHERE n.tenant_id = u.tenant_id
          AND n.user_id = u.user_id AND n.status = 'RUNNING') AS n
      CROSS JOIN LATERAL (SELECT r.tenant_id, r.id, r.session_id, r.user_id,
          n.running + row_number() OVER (ORDER BY r.id) AS turn
        FROM (SELECT r.* FROM runs r WHERE r.tenant_id = u.tenant_id AND r.user_id = u.user_id AND r.status = 'QUEUED'
            AND ${isNextIn('r.session_id')} ORDER BY r.id LIMIT greatest($2 - n.running, 0)) AS r) AS q) AS w
    WHERE w.running + w.place <= $3
    ORDER BY w.turn, w.id LIMIT ${waitingAtMost}`,
}

type Dependencies = {
  database: Database
  changes: Changes
  config: Config['runs']
  /** What this process is called in the rows that it claims. */
  nodeId: string
}

export function createClaims({ database, changes, config, nodeId }: Dependencies): Claims {
  const { perUser, perTenant, queuedPerSession, leaseMs } = config
  const lanes = lanesOf(perTenant)
  const claimBatch = createClaimBatch({ database, changes, config, nodeId })
  let isClosed = false

  /** This node, where it still lets runs begin. */
  const claimant = () => (isClosed ? null : nodeId)

  /** Moves a run by one statement, which gives the run and the new revision of its session, and tells it. */
  const move = (
    statement: Statement,
    { tenantId, sessionId, userId }: Pick<Run, 'tenantId' | 'sessionId' | 'userId'>,
    values: readonly unknown[],
    told: typeof runStarted,
  ) =>
    changes.commit<Claimed | null>(database.forTenant(tenantId), sessionId, async (sql) => {
      await sql(lockRoom, [tenantId, sessionId, userId])
      const [row] = await sql<Run & { sessionRevision: number | null }>(statement, [tenantId, ...values])
      if (!row) return { result: null, events: [] }
      const { sessionRevision: revision, ...run } = row
      return { result: { run, revision }, events: revision === null ? [] : [told(run, { revision })] }
    })

  return {
    storing(run) {
      const { tenantId, id, sessionId, userId, model, parameters, userMessageId, assistantMessageId } = run
      const row = [tenantId, id, sessionId, userId, model, parameters, userMessageId, assistantMessageId]
      const limits = [perUser, perTenant - lanes + 1, queuedPerSession]
      const extras = [run.documentIds, run.contextPolicy, run.tools].map(
        (json) => json && JSON.stringify(json),
      )
      const values = [...row, claimant(), ...limits, run.isFirst, leaseMs, ...extras]
      const read = ([stored]: Run[]) => stored ?? null
      return [tryRoom(tenantId, userId, lanes), { statement: insertRun, values, read }]
    },
    refusalOf(error) {
      if (!isMissing(error, 'runs', 'queue_rank')) return error
      return new LimitError(
        `The session has ${queuedPerSession} messages that wait for an answer; no more are allowed (RUNS_QUEUED_PER_SESSION).`,
        queuedPerSession,
      )
    },
    async resume(sql, { tenantId, id, sessionId, userId, attempt, assistantMessageId }) {
      const limits = [perUser, perTenant - lanes + 1, leaseMs]
      const values = [tenantId, id, userId, attempt, assistantMessageId, claimant(), ...limits, sessionId]
      const [, [resumed]] = await sql.pipeline([
        tryRoom(tenantId, userId, lanes),
        rowsOf<Run>(resumeStatement, values),
      ])
      return resumed ?? null
    },
    async claim(place) {
      if (isClosed) return null
      return move(
        claimRun,
        place,
        [place.id, nodeId, leaseMs, perUser, perTenant, place.userId, place.sessionId],
        runStarted,
      )
    },
    async claimAll(tenantId, places) {
      return isClosed ? { claimed: [], left: [] } : claimBatch(tenantId, places)
    },
    async takeOver(run, { isCertain }) {
      if (isClosed) return null
      return move(takeOverRun, run, [run.id, nodeId, leaseMs, run.attempt, isCertain], runStarted)
    },
    async release(run) {
      return (await move(releaseRun, run, [run.id, run.attempt], runQueued)) !== null
    },
    close() {
      isClosed = true
    },
    async waiting(tenantId) {
      const values = [tenantId, perUser, perTenant]
      if (tenantId === null) return database.system.sql<RunPlace>(findWaiting, values)
      const look = rowsOf<RunPlace>(findWaiting, values)
      return [...(await database.system.sql.pipeline([lockEnds(tenantId), look]))[1]]
    },
  }
}
