import { requireEditor, requireOwner, roleIn } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { sessionColumns } from './rows.ts'

export type Right = 'VIEWER' | 'EDITOR' | 'OWNER'

const findSession: Statement = {
  name: 'session-with-role',
  text: `SELECT ${sessionColumns}, p.role AS "participantRole" FROM sessions s
    LEFT JOIN participants p ON p.tenant_id = s.tenant_id AND p.session_id = s.id AND p.user_id = $3
    WHERE s.tenant_id = $1 AND s.id = $2`,
}

const findRoles: Statement = {
  name: 'participant-roles',
  text: `SELECT session_id AS "sessionId", role FROM participants
    WHERE tenant_id = $1 AND user_id = $2 AND session_id = ANY($3)`,
}

/** A session that the viewer has this right in; throws `NotFoundError`, or `ForbiddenError` short of the right. */
export async function requireSession(viewer: Viewer, sessionId: string, right: Right): Promise<Session> {
  const session = await requireAnySession(viewer, sessionId, right)
  if (session.deletedAt !== null) throw new NotFoundError('session')
  return session
}

/** A session that the viewer may see, or null. */
export async function findVisibleSession(viewer: Viewer, sessionId: string): Promise<Session | null> {
  try {
    return await requireSession(viewer, sessionId, 'VIEWER')
  } catch (error) {
    if (error instanceof NotFoundError) return null
    throw error
  }
}

/** The same, for a session that may be deleted; a deleted one is there for its owners only. */
export async function requireAnySession(viewer: Viewer, sessionId: string, right: Right): Promise<Session> {
  const values = [viewer.tenantId, sessionId, viewer.userId]
  const [row] = await viewer.db.sql<Session & { participantRole: Right | null }>(findSession, values)
  const role = row && roleIn(viewer, { ownerId: row.userId, participantRole: row.participantRole })
  if (!row || !role) throw new NotFoundError('session')
  if (row.deletedAt !== null && role !== 'OWNER') throw new NotFoundError('session')
  if (right === 'EDITOR') requireEditor(role)
  if (right === 'OWNER') requireOwner(role)
  return row
}

/** What the viewer is to the sessions of a list, read for all of them at once. */
export function createRoles(): (viewer: Viewer, session: Session) => Promise<Right> {
  const participantRole = createBatch<Viewer, string, Right>(async (viewer, sessionIds) => {
    const values = [viewer.tenantId, viewer.userId, sessionIds]
    const rows = await viewer.db.sql<{ sessionId: string; role: Right }>(findRoles, values)
    return new Map(rows.map(({ sessionId, role }) => [sessionId, role]))
  })
  return async (viewer, session) =>
    roleIn(viewer, { ownerId: session.userId, participantRole: null }) ??
    (await participantRole(viewer, session.id)) ??
    'VIEWER'
}
