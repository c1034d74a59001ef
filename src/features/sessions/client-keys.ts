import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/failures.ts'
import { ConflictError, LimitError } from '../../lib/errors.ts'
import { sessionColumns } from './rows.ts'

const findByClientIds: Statement = {
  name: 'session-by-client-ids',
  text: `SELECT ${sessionColumns} FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.client_id = ANY($3)
    AND NOT s.is_stateless`,
}

/**
 * The sessions that the same request made of a user's under these keys, by the key. Throws a `ConflictError` where another
 * request used one of them, or what it made was deleted.
 */
export async function madeUnder(
  { db, tenantId }: Viewer,
  userId: string,
  clientIds: readonly string[],
  digest: string,
): Promise<Map<string, Session>> {
  const sessions = await db.sql<Session>(findByClientIds, [tenantId, userId, clientIds])
  const other = sessions.find(({ clientDigest, deletedAt }) => clientDigest !== digest || deletedAt !== null)
  if (other)
    throw new ConflictError(
      `clientId: ${JSON.stringify(other.clientId)} was used before to create another session.`,
    )
  return new Map(sessions.map((session) => [session.clientId ?? '', session]))
}

/** What is there already under a key, or what `make` makes; where a racing twin was first, its session for both. */
export async function onceOnly<Result>(
  find: () => Promise<Result | null> | null,
  make: () => Promise<Result>,
): Promise<Result> {
  const earlier = await find()
  if (earlier) return earlier
  try {
    return await make()
  } catch (error) {
    // Where the twin took the last place, it is the limit that its copy meets.
    const twin = isUniqueViolation(error) || error instanceof LimitError ? await find() : null
    if (twin) return twin
    throw error
  }
}
