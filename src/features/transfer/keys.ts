import type { Sql, Statement } from '../../db/client.ts'
import { holdUser } from '../sessions/active-limit.ts'
import { releaseKeys } from '../sessions/insert.ts'

const takeFreeKeys: Statement = {
  name: 'transfer-take-keys',
  text: `UPDATE sessions s SET key = w.key FROM unnest($3::uuid[], $4::text[]) AS w(id, key)
    WHERE s.tenant_id = $1 AND s.id = w.id
      AND NOT EXISTS (SELECT FROM sessions o WHERE o.tenant_id = $1 AND o.user_id = $2 AND o.key = w.key)
    RETURNING s.id, s.key`,
}

type Keyed = { id: string; key: string }

/**
 * Gives new sessions of a user the keys that they had elsewhere, and tells which got theirs: a key that another session has
 * stays with that one, and of two new ones with the same key the first gets it. The last thing of the caller's transaction:
 * nobody else makes a session of the user until its end.
 */
export async function takeKeys(
  sql: Sql,
  { tenantId, userId }: { tenantId: string; userId: string },
  wanted: readonly Keyed[],
): Promise<ReadonlyMap<string, string>> {
  if (wanted.length === 0) return new Map()
  const idOfKey = new Map(wanted.toReversed().map(({ id, key }) => [key, id]))
  const keys = [...idOfKey.keys()]
  await holdUser(sql, userId)
  await sql(releaseKeys, [tenantId, userId, keys])
  const taken = await sql<Keyed>(takeFreeKeys, [tenantId, userId, [...idOfKey.values()], keys])
  return new Map(taken.map(({ id, key }) => [id, key]))
}
