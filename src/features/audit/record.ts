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
  if (!isOwn(viewer, ownerId)) await recordAction(sql, viewer, done)
}

/** Whether people do it to their own; a service that acts for them does it to another's. */
const isOwn = (viewer: Viewer, ownerId: string) => !viewer.servedBy && ownerId === viewer.userId

/** A change of what `ownerId` owns: one statement where it is its own, else in a transaction with `recordUnlessOwn`. */
export const changeRecorded = <Result>(
  viewer: Viewer,
  ownerId: string,
  done: Action,
  change: (sql: Sql) => Promise<Result>,
): Promise<Result> =>
  isOwn(viewer, ownerId)
    ? change(viewer.db.sql)
    : viewer.db.transaction(async (sql) => {
        const result = await change(sql)
        await recordAction(sql, viewer, done)
        return result
      })

/** `recordAction` of what was done to a session. */
export const recordOfSession = (sql: Sql, viewer: Viewer, action: string, sessionId: string): Promise<void> =>
  recordAction(sql, viewer, { action, target: encodeId('Session', sessionId) })
