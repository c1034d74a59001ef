import { actsForTenant, requireEditor, requireOwner, roleIn } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement, Step } from '../../db/client.ts'
import { createStatementNames } from '../../db/statement-names.ts'
import { createBatch } from '../../lib/batch.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { withRelations } from './relations.ts'
import { readOf, type SessionRead, type SessionSelection, sessionColumns } from './rows.ts'

export type Right = 'VIEWER' | 'EDITOR' | 'OWNER'

const findAnyText = ({ columns, join }: Pick<SessionRead, 'columns' | 'join'>) =>
  `SELECT ${columns}, p.role AS "participantRole" FROM sessions s ${join}
    LEFT JOIN participants p ON p.tenant_id = s.tenant_id AND p.session_id = s.id AND p.user_id = $3
    WHERE s.tenant_id = $1 AND s.id = $2`

const findText = (read: Pick<SessionRead, 'columns' | 'join'>) =>
  `${findAnyText(read)} AND NOT s.is_stateless`

const findPlace: Statement = {
  name: 'session-place-with-role',
  text: findAnyText({ columns: sessionColumns, join: '' }),
}

const findSession: Statement = {
  name: 'session-with-role',
  text: findText({ columns: sessionColumns, join: '' }),
}

const findRoles: Statement = {
  name: 'participant-roles',
  text: `SELECT session_id AS "sessionId", role FROM participants
    WHERE tenant_id = $1 AND user_id = $2 AND session_id = ANY($3)`,
}

/**
 * A session that the viewer has this right in; throws `NotFoundError`, or `ForbiddenError` short of the right, with
 * `refusal` where only its owners have it.
 */
export async function requireSession(
  viewer: Viewer,
  sessionId: string,
  right: Right,
  refusal?: string,
): Promise<Session> {
  const session = checked(viewer, await findRow(viewer, sessionId, findSession), right, refusal)
  if (session.deletedAt !== null) throw new NotFoundError('session')
  return session
}

/** The same, as a step. */
export const requiring = (viewer: Viewer, sessionId: string, right: Right): Step<Session> => ({
  statement: findSession,
  values: [viewer.tenantId, sessionId, viewer.userId],
  read([row]: SessionRow[]) {
    const session = checked(viewer, row, right)
    if (session.deletedAt !== null) throw new NotFoundError('session')
    return session
  },
})

/** The same for where a run is that the viewer may see: a session, or the place of a stateless run. */
export async function requirePlace(viewer: Viewer, sessionId: string, right: Right): Promise<Session> {
  const place = await requireRow(viewer, sessionId, right, findPlace)
  if (place.deletedAt !== null) throw new NotFoundError('run')
  return place
}

/** A session that the viewer may see, with what is selected on it, or null. */
export function createFind(): (
  viewer: Viewer,
  sessionId: string,
  selection: SessionSelection,
) => Promise<Session | null> {
  const nameOf = createStatementNames('session-find')
  return async (viewer, sessionId, selection) => {
    const read = readOf(selection)
    const text = findText(read)
    const row = await findRow(viewer, sessionId, { name: nameOf(text), text })
    if (!row || row.deletedAt !== null || !roleOf(viewer, row)) return null
    return (await withRelations(viewer.db, [row], { read, query: selection.query }))[0] ?? null
  }
}

type SessionRow = Session & { participantRole: Right | null }

async function findRow(viewer: Viewer, sessionId: string, statement: Statement) {
  const values = [viewer.tenantId, sessionId, viewer.userId]
  return (await viewer.db.sql<SessionRow>(statement, values))[0]
}

const roleOf = (viewer: Viewer, { userId, participantRole }: SessionRow) =>
  roleIn(viewer, { ownerId: userId, participantRole })

/** The same as `requireSession`, for a session that may be deleted; a deleted one is there for its owners only. */
export const requireAnySession = (viewer: Viewer, sessionId: string, right: Right): Promise<Session> =>
  requireRow(viewer, sessionId, right, findSession)

async function requireRow(viewer: Viewer, sessionId: string, right: Right, statement: Statement) {
  return checked(viewer, await findRow(viewer, sessionId, statement), right)
}

function checked(viewer: Viewer, row: SessionRow | undefined, right: Right, refusal?: string): Session {
  const role = row && roleOf(viewer, row)
  if (!row || !role) throw new NotFoundError('session')
  if (row.deletedAt !== null && role !== 'OWNER') throw new NotFoundError('session')
  if (right === 'EDITOR') requireEditor(role)
  if (right === 'OWNER') requireOwner(role, refusal)
  return row
}

/** Those of these sessions that the viewer may see. */
export async function visibleTo(viewer: Viewer, sessions: Session[]): Promise<Session[]> {
  const isOwn = ({ userId }: Session) => userId === viewer.userId
  if (actsForTenant(viewer) || sessions.every(isOwn)) return sessions
  const values = [viewer.tenantId, viewer.userId, sessions.map(({ id }) => id)]
  const shared = await viewer.db.sql<{ sessionId: string }>(findRoles, values)
  const ids = new Set(shared.map(({ sessionId }) => sessionId))
  return sessions.filter((session) => isOwn(session) || ids.has(session.id))
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
