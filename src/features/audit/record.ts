import type { Viewer } from '../../auth/viewer.ts'
import type { Sql, Statement } from '../../db/client.ts'
import { encodeId, newId } from '../../lib/ids.ts'

/** What is told of a change: the mutation, and what it was done to as the API names it. Never what was said. */
export type Action = { action: string; target: string | null }

const insertEntry: Statement = {
  name: 'audit-insert',
  text: `INSERT INTO audit_entries (tenant_id, id, action, actor_id, actor_role, target)
    VALUES ($1, $2, $3, $4, $5::"UserRole", $6)`,
}

/** As a row for Prisma, in a transaction with the change itself. */
export const entryOf = (viewer: Viewer, { action, target }: Action) => {
  const { userId, role } = viewer.servedBy ?? viewer
  return { tenantId: viewer.tenantId, id: newId(), action, target, actorId: userId, actorRole: role }
}

/** Writes it down in the transaction of the change itself, so that there is neither without the other. */
export async function recordAction(sql: Sql, viewer: Viewer, done: Action): Promise<void> {
  const { tenantId, id, action, actorId, actorRole, target } = entryOf(viewer, done)
  await sql(insertEntry, [tenantId, id, action, actorId, actorRole, target])
}

/** The same for what people may do to their own: it is written down where somebody else does it. */
export async function recordUnlessOwn(
  sql: Sql,
  viewer: Viewer,
  ownerId: string,
  done: Action,
): Promise<void> {
  if (viewer.servedBy || ownerId !== viewer.userId) await recordAction(sql, viewer, done)
}

/** `recordAction` of what was done to a session. */
export const recordOfSession = (sql: Sql, viewer: Viewer, action: string, sessionId: string): Promise<void> =>
  recordAction(sql, viewer, { action, target: encodeId('Session', sessionId) })
