import type { Viewer } from '../../auth/viewer.ts'
import type { Participant, Session, User } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'

/** Somebody who takes part in a session, and since when. */
export type Person = { user: User; role: Participant['role']; since: Date }

/**
 * Everybody who takes part in a session: the user whose it is, then the others as they came. For many sessions at once,
 * it is two statements.
 */
export function createPeople(): (viewer: Viewer, session: Session) => Promise<Person[]> {
  const others = createBatch<Viewer, string, Person[]>(async ({ db, tenantId }, sessionIds) => {
    const rows = await db.prisma.participant.findMany({
      where: { tenantId, sessionId: { in: [...sessionIds] } },
      include: { user: true },
      orderBy: [{ createdAt: 'asc' }, { userId: 'asc' }],
    })
    const bySession = Map.groupBy(rows, ({ sessionId }) => sessionId)
    return new Map(
      [...bySession].map(([sessionId, found]) => [
        sessionId,
        found.map(({ user, role, createdAt }) => ({ user, role, since: createdAt })),
      ]),
    )
  })
  const owners = createBatch<Viewer, string, User>(async ({ db, tenantId }, userIds) => {
    const users = await db.prisma.user.findMany({ where: { tenantId, id: { in: [...userIds] } } })
    return new Map(users.map((user) => [user.id, user]))
  })
  return async (viewer, { id, userId, createdAt }) => {
    const [owner, rest] = await Promise.all([owners(viewer, userId), others(viewer, id)])
    return [...(owner ? [{ user: owner, role: 'OWNER' as const, since: createdAt }] : []), ...(rest ?? [])]
  }
}
