import { z } from 'zod'
import { actingUser, actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Statement } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { ForbiddenError, invalid, NotFoundError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { requireUser } from './users.ts'

/** A user by id, or by the `sub` of its tokens; at most one of the two. */
export type UserReference = {
  userId?: string | null | undefined
  externalUserId?: string | null | undefined
}

const findUser: Statement = {
  name: 'user-by-external-id',
  text: 'SELECT id FROM users WHERE tenant_id = $1 AND external_id = $2',
}

const insertUser: Statement = {
  name: 'user-insert-unseen',
  text: `INSERT INTO users (tenant_id, id, external_id) VALUES ($1, $2, $3)
    ON CONFLICT (tenant_id, external_id) DO NOTHING`,
}

/** The user with this `sub`, if there was one. */
export async function findByExternalId({ db, tenantId }: Viewer, externalId: string) {
  const [user] = await db.sql<{ id: string }>(findUser, [tenantId, externalId])
  return user?.id ?? null
}

/** The user with this `sub`; one who has never signed in gets its record now. */
export async function ensureUser(viewer: Viewer, externalId: string): Promise<string> {
  const known = await findByExternalId(viewer, externalId)
  if (known) return known
  await viewer.db.sql(insertUser, [viewer.tenantId, newId(), externalId])
  const made = await findByExternalId(viewer, externalId)
  if (!made) throw new Error('The user was neither stored nor found.')
  return made
}

/** Throws where a user is named in both ways. */
export function refuseBoth({ userId, externalUserId }: UserReference): void {
  if (userId && externalUserId) throw invalid('externalUserId', 'cannot be combined with userId')
}

/** A reference to a user as input. */
export const userReference = {
  userId: z.uuid().nullish(),
  externalUserId: text({ min: 1, max: 255 }).nullish(),
}

const referenceCheck = z.object(userReference)

/**
 * Who does something: the viewer, or the user whom a service token names, with no more rights than that user has. Throws
 * a `ForbiddenError` where anybody else names another, and a `NotFoundError` where there is no such user.
 */
export async function actingFor(viewer: Viewer, reference: UserReference): Promise<Viewer> {
  const { userId, externalUserId } = check(referenceCheck, reference)
  refuseBoth({ userId, externalUserId })
  if (!externalUserId && (!userId || userId === viewer.userId)) return viewer
  if (viewer.role !== 'SERVICE')
    throw new ForbiddenError(
      `${externalUserId ? 'externalUserId' : 'userId'}: only a service token may act for another user.`,
    )
  const id = externalUserId
    ? await findByExternalId(viewer, externalUserId)
    : userId && (await requireUser(viewer.db.sql, viewer.tenantId, userId))
  if (!id) throw new NotFoundError('user')
  if (id === viewer.userId) return viewer
  return { ...viewer, userId: id, role: 'USER', servedBy: { userId: viewer.userId, role: viewer.role } }
}

/** Whose a new session is: the viewer's, or that of the user whom an admin or a service token acts for. */
export async function ownerOf(viewer: Viewer, reference: UserReference): Promise<string> {
  refuseBoth(reference)
  const { externalUserId } = reference
  if (externalUserId) {
    if (actsForTenant(viewer)) return ensureUser(viewer, externalUserId)
    throw new ForbiddenError('externalUserId: only an admin or a service token may name another user.')
  }
  const userId = actingUser(viewer, reference.userId)
  if (userId === viewer.userId) return userId
  return requireUser(viewer.db.sql, viewer.tenantId, userId)
}
