import type { Statement } from '../../db/client.ts'
import type { RunStatement } from '../../db/steps.ts'
import { NotFoundError } from '../../lib/errors.ts'

const findUser: Statement = {
  name: 'user-by-id',
  text: 'SELECT id FROM users WHERE tenant_id = $1 AND id = $2',
}

/** The id of this user of the tenant; throws a `NotFoundError` where there is no such user. */
export async function requireUser(sql: RunStatement, tenantId: string, userId: string): Promise<string> {
  const [user] = await sql<{ id: string }>(findUser, [tenantId, userId])
  if (!user) throw new NotFoundError('user')
  return user.id
}
