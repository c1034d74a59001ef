import type { Config } from '../../config.ts'
import type { Session, Sql, Statement } from '../../db/client.ts'
import { createKeyedQueue } from '../../lib/async.ts'
import { LimitError } from '../../lib/errors.ts'
import { sessionColumns } from './rows.ts'

/** Whose active sessions with which agent; those without an agent count together. */
export type Place = { tenantId: string; userId: string; agentId: string | null }

/**
 * The limit of active sessions of a user with an agent. All of it runs in the caller's transaction, which must begin
 * with `hold`: whatever can raise the number of a user's active sessions then happens one after another.
 */
export type ActiveLimit = {
  /** Runs a transaction that begins with `hold` after those of the user that this node has begun: none waits with a connection. */
  inTurn<Result>(userId: string, transaction: () => Promise<Result>): Promise<Result>
  /** Waits for its turn; taken before any lock of a row, so that two transactions never wait for each other. */
  hold(sql: Sql, userId: string): Promise<void>
  hasRoom(sql: Sql, place: Place): Promise<boolean>
  /** Makes room for one more and gives the sessions that had to give way; a `LimitError` under the policy `reject`. */
  makeRoom(sql: Sql, place: Place): Promise<Session[]>
}

const lockUser: Statement = {
  name: 'session-lock-active',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
}

const countActive: Statement = {
  name: 'session-count-active',
  text: `SELECT count(*)::int AS count,
      (SELECT max_active_sessions_per_user FROM agents WHERE tenant_id = $1 AND id = $3) AS limit
    FROM sessions
    WHERE tenant_id = $1 AND user_id = $2 AND agent_id IS NOT DISTINCT FROM $3 AND is_active AND deleted_at IS NULL`,
}

const deactivateOldest: Statement = {
  name: 'session-deactivate-oldest',
  text: `UPDATE sessions s SET is_active = false, revision = revision + 1, updated_at = now()
    WHERE s.tenant_id = $1 AND s.id IN (
      SELECT id FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND agent_id IS NOT DISTINCT FROM $3
        AND is_active AND deleted_at IS NULL
      ORDER BY last_message_at, id LIMIT $4)
    RETURNING ${sessionColumns}`,
}

/** Until the end of the transaction no other adds to the sessions of the user that are active or have a key. */
export async function holdUser(sql: Sql, userId: string): Promise<void> {
  await sql(lockUser, [userId])
}

export function createActiveLimit(config: Config['sessions']): ActiveLimit {
  async function countOf(sql: Sql, { tenantId, userId, agentId }: Place) {
    const [row] = await sql<{ count: number; limit: number | null }>(countActive, [tenantId, userId, agentId])
    return { count: row?.count ?? 0, limit: row?.limit ?? config.maxActivePerAgent }
  }

  return {
    inTurn: createKeyedQueue(),
    hold: holdUser,
    async hasRoom(sql, place) {
      const { count, limit } = await countOf(sql, place)
      return count < limit
    },
    async makeRoom(sql, place) {
      const { count, limit } = await countOf(sql, place)
      const surplus = count + 1 - limit
      if (surplus <= 0) return []
      if (config.limitPolicy === 'reject')
        throw new LimitError(
          `There are ${limit} active sessions ${place.agentId ? 'with this' : 'without an'} agent already, which is the limit; deactivate or delete one.`,
          limit,
        )
      return sql<Session>(deactivateOldest, [place.tenantId, place.userId, place.agentId, surplus])
    },
  }
}
