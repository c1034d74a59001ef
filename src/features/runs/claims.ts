import type { Run, Sql, Statement, SystemDatabase } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/client.ts'
import { runColumns } from './rows.ts'

/**
 * The run rows are the queue. A claim is one conditional update: it succeeds for one node only, and only for the
 * oldest waiting run of a session that answers nothing else. The lease that it takes is kept up by heartbeats; the
 * `attempt` that it counts fences off whoever held the run before.
 */
export type Claims = {
  /**
   * Stores a run, in a transaction that holds its session's lock: claimed by this node already where its turn is now,
   * as it mostly is, else waiting.
   */
  store(sql: Sql, run: NewRun): Promise<Run>
  /** Takes a waiting run for this node, if it is its turn. */
  claim(runId: string): Promise<Run | null>
  /** Lets go of a claim before anything was done. */
  release(run: Run): Promise<void>
  /** Claims nothing from now on. */
  close(): void
  /** Waiting runs whose turn it may be, oldest first. */
  waiting(): Promise<string[]>
  /** Runs that nobody works on any more: their lease ran out, or `all` is set and this is the only node there can be. */
  abandoned(options: { all: boolean }): Promise<Run[]>
}

export type NewRun = Pick<
  Run,
  'tenantId' | 'id' | 'sessionId' | 'userId' | 'model' | 'userMessageId' | 'assistantMessageId'
> & { parameters: object }

/** How long a node may be silent before its runs count as abandoned; it says so about every second. */
export const leaseSeconds = 15

/** Candidates looked at in one go. */
const batchSize = 50

const isNextInSession = `NOT EXISTS (SELECT FROM runs o WHERE o.tenant_id = r.tenant_id AND o.session_id = r.session_id
    AND (o.status IN ('RUNNING', 'REQUIRES_ACTION') OR (o.status = 'QUEUED' AND o.id < r.id)))`

const userHasRoom = (limit: string) => `(SELECT count(*) FROM runs u WHERE u.tenant_id = r.tenant_id
    AND u.user_id = r.user_id AND u.status = 'RUNNING') < ${limit}`

const leaseEnd = `clock_timestamp() + make_interval(secs => ${leaseSeconds})`

const insertRun: Statement = {
  name: 'run-insert',
  text: `INSERT INTO runs AS r (tenant_id, id, session_id, user_id, model, parameters, user_message_id,
      assistant_message_id, status, node_id, attempt, started_at, lease_until)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, (CASE WHEN is_turn THEN 'RUNNING' ELSE 'QUEUED' END)::"RunStatus",
      CASE WHEN is_turn THEN $9 END, is_turn::int, CASE WHEN is_turn THEN clock_timestamp() END,
      CASE WHEN is_turn THEN ${leaseEnd} END
    FROM (SELECT $9::text IS NOT NULL AND ${isNextInSession} AND ${userHasRoom('$10')} AS is_turn
      FROM (VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid)) AS r (tenant_id, id, session_id, user_id)) AS now
    RETURNING ${runColumns}`,
}

const claimRun: Statement = {
  name: 'run-claim',
  text: `UPDATE runs r SET status = 'RUNNING', node_id = $2, attempt = attempt + 1, started_at = clock_timestamp(),
      lease_until = ${leaseEnd}, updated_at = clock_timestamp()
    WHERE r.id = $1 AND r.status = 'QUEUED' AND ${isNextInSession} AND ${userHasRoom('$3')}
    RETURNING ${runColumns}`,
}

// Two claims at one moment would count the user's runs without each other; the second has to look after the first.
const userLock = (tenantId: string, userId: string) =>
  `hashtextextended('runs of ' || ${tenantId} || ${userId}, 0)`

const lockUser: Statement = {
  name: 'run-lock-user',
  text: `SELECT pg_advisory_xact_lock(${userLock('r.tenant_id', 'r.user_id')}) FROM runs r WHERE r.id = $1`,
}

// A send holds its session's lock already: it must not wait for another one behind it.
const tryLockUser: Statement = {
  name: 'run-try-lock-user',
  text: `SELECT pg_try_advisory_xact_lock(${userLock('$1::uuid', '$2::uuid')}) AS "isLocked"`,
}

const releaseRun: Statement = {
  name: 'run-release',
  text: `UPDATE runs r SET status = 'QUEUED', node_id = NULL, started_at = NULL, lease_until = NULL,
      updated_at = clock_timestamp()
    WHERE r.id = $1 AND r.attempt = $2 AND r.status = 'RUNNING'`,
}

const findWaiting: Statement = {
  name: 'run-waiting',
  text: `SELECT r.id FROM runs r WHERE r.status = 'QUEUED' AND ${isNextInSession} AND ${userHasRoom('$1')}
    ORDER BY r.id LIMIT ${batchSize}`,
}

const findAbandoned: Statement = {
  name: 'run-abandoned',
  text: `SELECT ${runColumns} FROM runs r WHERE r.status = 'RUNNING' AND ($1 OR r.lease_until < clock_timestamp())
    ORDER BY r.id LIMIT ${batchSize}`,
}

export function createClaims(
  { sql, transaction }: SystemDatabase,
  options: { nodeId: string; perUser: number },
): Claims {
  let isClosed = false
  return {
    async store(sql, run) {
      const { tenantId, id, sessionId, userId, model, parameters, userMessageId, assistantMessageId } = run
      const [lock] = await sql<{ isLocked: boolean }>(tryLockUser, [tenantId, userId])
      const nodeId = lock?.isLocked && !isClosed ? options.nodeId : null
      const rows = [tenantId, id, sessionId, userId, model, parameters, userMessageId, assistantMessageId]
      const [stored] = await sql<Run>(insertRun, [...rows, nodeId, options.perUser])
      if (!stored) throw new Error('The run was not stored.')
      return stored
    },
    async release(run) {
      await sql(releaseRun, [run.id, run.attempt])
    },
    close() {
      isClosed = true
    },
    async claim(runId) {
      if (isClosed) return null
      try {
        return await transaction(async (sql) => {
          await sql(lockUser, [runId])
          const [run] = await sql<Run>(claimRun, [runId, options.nodeId, options.perUser])
          return run ?? null
        })
      } catch (error) {
        // Another run of the session was claimed at the same moment; the index on active runs let one through.
        if (isUniqueViolation(error)) return null
        throw error
      }
    },
    async waiting() {
      const rows = await sql<{ id: string }>(findWaiting, [options.perUser])
      return rows.map(({ id }) => id)
    },
    abandoned: ({ all }) => sql<Run>(findAbandoned, [all]),
  }
}
