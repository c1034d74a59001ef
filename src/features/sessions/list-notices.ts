import type { Sql, Statement } from '../../db/client.ts'
import { newId } from '../../lib/ids.ts'

/** Whose lists an announcement is for: those of one user, or of everybody in the tenant. */
export type Audience = { tenantId: string; userId: string | null }

/** Adds a notice for each row of `source`, which has `tenant_id`; the id is in `id`, whom it is for in `userId`. */
export const insertNotices = (source: string, id: string, userId: string) =>
  `INSERT INTO list_notices (tenant_id, created_at, id, user_id)
    SELECT tenant_id, clock_timestamp(), ${id}, ${userId} FROM ${source}`

const insertNotice: Statement = {
  name: 'list-notice-insert',
  text: insertNotices('(SELECT $1::uuid AS tenant_id) AS of', '$2', '$3'),
}

/**
 * Leaves a notice with a change whose announcement to lists no other row tells, as the last step of its transaction; gives
 * its id, by which those who were told know it.
 */
export async function leaveNotice(sql: Sql, { tenantId, userId }: Audience): Promise<string> {
  const id = newId()
  await sql(insertNotice, [tenantId, id, userId])
  return id
}

const findNotices: Statement = {
  name: 'list-notices-of-late',
  text: `SELECT wanted.tenant_id AS "tenantId", n.id, n.user_id AS "userId"
    FROM unnest($1::uuid[]) AS wanted (tenant_id)
    CROSS JOIN LATERAL (SELECT id, user_id, created_at FROM list_notices
      WHERE tenant_id = wanted.tenant_id AND created_at >= now() - make_interval(secs => $2)
      ORDER BY created_at DESC LIMIT $3) n`,
}

export type Notice = Audience & { id: string }

/** The notices of the last seconds, at most so many of each tenant. */
export const noticesOf = (sql: Sql, tenantIds: readonly string[], seconds: number, atMost: number) =>
  sql<Notice>(findNotices, [tenantIds, seconds, atMost])
