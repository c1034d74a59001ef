import { ForbiddenError } from '../lib/errors.ts'
import type { Viewer } from './viewer.ts'

/** The row rules: which rows of the tenant a viewer may see and change. Services and node look-ups apply them. */

export const actsForTenant = (viewer: Pick<Viewer, 'role'>): boolean => viewer.role !== 'USER'

/** Those that it may see something of, with the places of its stateless runs. */
const reachableSessions = (viewer: Viewer) =>
  actsForTenant(viewer)
    ? {}
    : { OR: [{ userId: viewer.userId }, { participants: { some: { userId: viewer.userId } } }] }

/** Prisma filter: the sessions that the viewer may see. Deleted ones are left to the caller. */
export const visibleSessions = (viewer: Viewer) => ({ isStateless: false, ...reachableSessions(viewer) })

/**
 * SQL condition: `user`, a parameter, may write messages in `sessions s`; null stands for one that acts for the tenant.
 * The same as `roleIn` and `requireEditor`.
 */
export const isEditorSql = (user: string): string =>
  `(${user}::uuid IS NULL OR s.user_id = ${user} OR EXISTS (SELECT FROM participants p
    WHERE p.tenant_id = s.tenant_id AND p.session_id = s.id AND p.user_id = ${user} AND p.role IN ('OWNER', 'EDITOR')))`

/**
 * SQL FROM list: the sessions that others share with `user`, as `s`, with its part in each as `p`. Each is looked up by
 * itself: where few of a tenant share much, the planner expects much to be shared with everybody, and would rather go
 * through all sessions of the tenant, for somebody whom nobody shares with too.
 */
export const sharedWith = (user: string, tenant = '$1'): string =>
  `(SELECT * FROM participants p WHERE p.tenant_id = ${tenant} AND p.user_id = ${user} OFFSET 0) p CROSS JOIN LATERAL
    (SELECT * FROM sessions s WHERE s.tenant_id = ${tenant} AND s.id = p.session_id AND s.user_id <> p.user_id OFFSET 0) s`

/**
 * Prisma filter: what hangs on sessions (messages, runs) that the viewer may see and that are not deleted, or on its
 * stateless runs.
 */
export const onVisibleSession = (viewer: Viewer) => ({
  session: { deletedAt: null, ...reachableSessions(viewer) },
})

/** Prisma filter: the memories that the viewer may see: its own, and those of sessions that it may see. */
export const visibleMemories = (viewer: Viewer) =>
  actsForTenant(viewer)
    ? { OR: [{ sessionId: null }, onVisibleSession(viewer)] }
    : { OR: [{ userId: viewer.userId }, onVisibleSession(viewer)] }

/**
 * Prisma filter: the documents that the viewer may see, its own and those of sessions that it sees. Those of its own sessions
 * and of shared ones are apart: together PostgreSQL would read all sessions of the tenant for them.
 */
export const visibleDocuments = (viewer: Viewer) => {
  if (actsForTenant(viewer)) return {}
  const own = { userId: viewer.userId }
  const shared = { participants: { some: own } }
  const ofSessions = [own, shared].map((session) => ({
    sessions: { some: { session: { deletedAt: null, ...session } } },
  }))
  return { OR: [own, ...ofSessions] }
}

/** Prisma filter: the users that the viewer may know of, which are those that it shares sessions with. */
export const knownUsers = (viewer: Viewer) => {
  if (actsForTenant(viewer)) return {}
  const takesPart = { participants: { some: { userId: viewer.userId } } }
  return {
    OR: [
      { id: viewer.userId },
      { participations: { some: { session: { OR: [{ userId: viewer.userId }, takesPart] } } } },
      { sessions: { some: takesPart } },
    ],
  }
}

export type SessionAccess = { ownerId: string; participantRole: 'OWNER' | 'EDITOR' | 'VIEWER' | null }

/** What the viewer is to a session: owner by right or by role, editor, viewer, or nothing (it is not told of it). */
export function roleIn(
  viewer: Viewer,
  { ownerId, participantRole }: SessionAccess,
): SessionAccess['participantRole'] {
  if (ownerId === viewer.userId || actsForTenant(viewer)) return 'OWNER'
  return participantRole
}

/** Throws unless the role may write messages, steer runs and change the settings of the session. */
export function requireEditor(role: SessionAccess['participantRole']): void {
  if (role !== 'OWNER' && role !== 'EDITOR')
    throw new ForbiddenError('A viewer of a session cannot change it.')
}

/** Throws, with this message, unless the role may do what goes beyond the conversation, such as who sees it. */
export function requireOwner(
  role: SessionAccess['participantRole'],
  refusal = 'Only the owner of a session can do this.',
): void {
  if (role !== 'OWNER') throw new ForbiddenError(refusal)
}

/** The user whose things are asked for: the viewer's own, or another's where the viewer acts for the tenant. */
export function actingUser(viewer: Viewer, userId: string | null | undefined): string {
  if (!userId || userId === viewer.userId) return viewer.userId
  if (!actsForTenant(viewer))
    throw new ForbiddenError('userId: only an admin or a service token may name another user.')
  return userId
}
