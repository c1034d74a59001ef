import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { recordOfSession } from '../audit/record.ts'
import { requireAnySession, requireSession } from './access.ts'
import type { ActiveLimit } from './active-limit.ts'
import type { Changes } from './changes.ts'
import { sessionColumns, sessionDeleted, sessionUpdated } from './rows.ts'

export type Lifecycle = {
  /** Takes the session out of every ordinary read; it can be restored. */
  remove(viewer: Viewer, sessionId: string): Promise<{ id: string; deletedAt: Date }>
  /**
   * Brings a deleted session back; one that is not deleted stays as it is. One that was active is active again where
   * the limit has room for it and inactive where not: restoring neither fails nor takes the place of another.
   */
  restore(viewer: Viewer, sessionId: string): Promise<Session>
  /** Erases the session, deleted or not, with its messages and runs. Its forks stay, without a parent. */
  purge(viewer: Viewer, sessionId: string): Promise<{ id: string }>
}

const markDeleted: Statement = {
  name: 'session-delete',
  text: `UPDATE sessions s SET deleted_at = now(), revision = revision + 1, updated_at = now()
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL RETURNING ${sessionColumns}`,
}

const markRestored: Statement = {
  name: 'session-restore',
  text: `UPDATE sessions s SET deleted_at = NULL, is_active = is_active AND $3, revision = revision + 1,
      updated_at = now()
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NOT NULL AND s.agent_id IS NOT DISTINCT FROM $4
    RETURNING ${sessionColumns}`,
}

// After their session, as the end of a run locks them, and before what hangs on them goes: a heartbeat writes a run, then
// its reply.
const lockRuns: Statement = {
  name: 'session-lock-runs',
  text: 'SELECT id FROM runs WHERE tenant_id = $1 AND session_id = $2 ORDER BY id FOR UPDATE',
}

const lockSession: Statement = {
  name: 'session-lock-whole',
  text: 'SELECT id FROM sessions WHERE tenant_id = $1 AND id = $2 FOR UPDATE',
}

const releaseForks: Statement = {
  name: 'session-release-forks',
  text: 'UPDATE sessions SET parent_id = NULL, forked_at_seq = NULL WHERE tenant_id = $1 AND parent_id = $2',
}

const findPeople: Statement = {
  name: 'session-people-of-erased',
  text: 'SELECT user_id AS id FROM participants WHERE tenant_id = $1 AND session_id = $2',
}

const erase: Statement = {
  name: 'session-erase',
  text: `DELETE FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

export function createLifecycle({ limit, changes }: { limit: ActiveLimit; changes: Changes }): Lifecycle {
  return {
    async remove(viewer, sessionId) {
      await requireSession(viewer, sessionId, 'OWNER')
      return changes.commit(viewer.db, sessionId, async (sql) => {
        const [session] = await sql<Session>(markDeleted, [viewer.tenantId, sessionId])
        if (!session?.deletedAt) throw new NotFoundError('session')
        await recordOfSession(sql, viewer, 'deleteSession', sessionId)
        return { result: { id: sessionId, deletedAt: session.deletedAt }, events: [sessionDeleted(session)] }
      })
    },
    async restore(viewer, sessionId) {
      const { tenantId, userId, agentId } = await requireAnySession(viewer, sessionId, 'OWNER')
      const restored = await limit.inTurn(userId, () =>
        changes.commit<Session | undefined>(viewer.db, sessionId, async (sql) => {
          await limit.hold(sql, userId)
          const hasRoom = await limit.hasRoom(sql, { tenantId, userId, agentId })
          const [session] = await sql<Session>(markRestored, [tenantId, sessionId, hasRoom, agentId])
          if (!session) return { result: session, events: [] }
          await recordOfSession(sql, viewer, 'restoreSession', sessionId)
          return { result: session, events: [sessionUpdated(session)], listed: { shown: true } }
        }),
      )
      return restored ?? requireSession(viewer, sessionId, 'OWNER')
    },
    async purge(viewer, sessionId) {
      await requireAnySession(viewer, sessionId, 'OWNER')
      return changes.commit(viewer.db, sessionId, async (sql) => {
        const key = [viewer.tenantId, sessionId]
        for (const statement of [lockSession, lockRuns, releaseForks]) await sql(statement, key)
        const people = await sql<{ id: string }>(findPeople, key)
        await allowLongStatements(sql)
        const [session] = await sql<Session>(erase, key)
        if (!session) throw new NotFoundError('session')
        await recordOfSession(sql, viewer, 'purgeSession', sessionId)
        // As if the erasure were a change of its own, so that no reader takes it for one that it has seen.
        const event = sessionDeleted({ ...session, revision: session.revision + 1 })
        const hidden = session.deletedAt === null ? [session.userId, ...people.map(({ id }) => id)] : []
        return { result: { id: sessionId }, events: [event], listed: { hidden } }
      })
    },
  }
}
