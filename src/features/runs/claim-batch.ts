import type { Config } from '../../config.ts'
import type { Database, Run, Statement } from '../../db/client.ts'
import type { Changes } from '../sessions/changes.ts'
import { isNextIn, leaseEnd, lockTenant, lockUsers, tenantHas, userHas } from './room.ts'
import type { Claimed, RunPlace } from './rows.ts'
import { runColumns, runStarted } from './rows.ts'

/**
 * Waiting runs of one tenant claimed together: one transaction for all of them, where one each would have them wait for
 * one another. What is `left` has a session that somebody else is changing, and is to be claimed by itself.
 */
export type ClaimBatch = (
  tenantId: string,
  places: readonly RunPlace[],
) => Promise<{ claimed: Claimed[]; left: RunPlace[] }>

// Nobody is waited for: whoever locks two sessions in another order would wait for this, too.
const lockSessions: Statement = {
  name: 'run-lock-sessions',
  text: `SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.id = ANY($2) FOR NO KEY UPDATE SKIP LOCKED`,
}

const claimRuns: Statement = {
  name: 'run-claim-batch',
  text: `WITH turn AS (
      SELECT r.id, o.place, r.user_id, row_number() OVER (PARTITION BY r.user_id ORDER BY o.place) AS of_user
      FROM unnest($2::uuid[]) WITH ORDINALITY AS o (id, place)
      JOIN runs r ON r.tenant_id = $1 AND r.id = o.id
      WHERE r.status = 'QUEUED' AND r.cancel_requested_at IS NULL AND ${isNextIn('r.session_id')}
    ), fitting AS (
      SELECT t.id, row_number() OVER (ORDER BY t.place) AS of_tenant FROM turn t
      WHERE t.of_user + ${userHas('$1', 't.user_id')} <= $5
    ), claimed AS (
      UPDATE runs r SET status = 'RUNNING', node_id = $3, attempt = attempt + 1,
        started_at = coalesce(started_at, clock_timestamp()), lease_until = ${leaseEnd('$4')},
        updated_at = clock_timestamp()
      FROM fitting f, (SELECT ${tenantHas('$1')} AS running) AS t
      WHERE r.tenant_id = $1 AND r.id = f.id AND f.of_tenant + t.running <= $6 RETURNING r.*
    ), told AS (
      UPDATE sessions s SET revision = revision + 1 FROM claimed r
      WHERE s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL RETURNING s.id, s.revision
    )
    SELECT ${runColumns}, t.revision AS "sessionRevision" FROM claimed r LEFT JOIN told t ON t.id = r.session_id`,
}

type Dependencies = { database: Database; changes: Changes; config: Config['runs']; nodeId: string }

export function createClaimBatch({ database, changes, config, nodeId }: Dependencies): ClaimBatch {
  const { perUser, perTenant, leaseMs } = config
  return async (tenantId, places) => {
    const { locked, rows } = await database.forTenant(tenantId).transaction(async (sql) => {
      const sessionIds = places.map(({ sessionId }) => sessionId)
      const locks = await sql<{ id: string }>(lockSessions, [tenantId, sessionIds])
      const locked = new Set(locks.map(({ id }) => id))
      const mine = places.filter(({ sessionId }) => locked.has(sessionId))
      await sql(lockTenant, [tenantId])
      await sql(lockUsers, [tenantId, [...new Set(mine.map(({ userId }) => userId))]])
      const values = [tenantId, mine.map(({ id }) => id), nodeId, leaseMs, perUser, perTenant]
      return { locked, rows: await sql<Run & { sessionRevision: number | null }>(claimRuns, values) }
    })
    const claimed = await Promise.all(
      rows.map(async ({ sessionRevision: revision, ...run }) => {
        const events = revision === null ? [] : [runStarted(run, { revision })]
        await changes.announce({ tenantId, id: run.sessionId }, events)
        return { run, revision }
      }),
    )
    return { claimed, left: places.filter(({ sessionId }) => !locked.has(sessionId)) }
  }
}
