import type { Run, Statement, SystemDatabase } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/client.ts'
import { runColumns } from './rows.ts'

/**
 * The run rows are the queue. A claim is one conditional update: it succeeds for one node only, and only for the
 * oldest waiting run of a session that answers nothing else. The lease that it takes is kept up by heartbeats; the
 * `attempt` that it counts fences off whoever held the run before.
 */
export type Claims = {
  /** Takes a waiting run for this node, if it is its turn. */
  claim(runId: string): Promise<Run | null>
  /** Waiting runs whose turn it may be, oldest first. */
  waiting(): Promise<string[]>
  /** Runs that nobody works on any more: their lease ran out, or `all` is set and this is the only node there can be. */
  abandoned(options: { all: boolean }): Promise<Run[]>
}

/** How long a node may be silent before its runs count as abandoned; it says so about every second. */
export const leaseSeconds = 15

/** Candidates looked at in one go. */
const batchSize = 50

const isNextInSession = `NOT EXISTS (SELECT FROM runs o WHERE o.tenant_id = r.tenant_id AND o.session_id = r.session_id
    AND (o.status IN ('RUNNING', 'REQUIRES_ACTION') OR (o.status = 'QUEUED' AND o.id < r.id)))`

const userHasRoom = (limit: string) => `(SELECT count(*) FROM runs u WHERE u.tenant_id = r.tenant_id
    AND u.user_id = r.user_id AND u.status = 'RUNNING') < ${limit}`

const claimRun: Statement = {
  name: 'run-claim',
  text: `UPDATE runs r SET status = 'RUNNING', node_id = $2, attempt = attempt + 1, started_at = clock_timestamp(),
      lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}), updated_at = clock_timestamp()
    WHERE r.id = $1 AND r.status = 'QUEUED' AND ${isNextInSession} AND ${userHasRoom('$3')}
    RETURNING ${runColumns}`,
}

// Two claims at one moment would count the user's runs without each other; the second has to look after the first.
const lockUser: Statement = {
  name: 'run-lock-user',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('runs of ' || r.tenant_id || r.user_id, 0))
    FROM runs r WHERE r.id = $1`,
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
  return {
    async claim(runId) {
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
