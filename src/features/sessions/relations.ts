import type { Session, TenantDatabase } from '../../db/client.ts'

/**
 * The sessions with what a selection of Prisma's wants to hang on them. Prisma reads the sessions anew for it, which takes
 * several times as long as they took. One that was erased in between is left out.
 */
export async function withRelations(
  db: TenantDatabase,
  sessions: readonly Session[],
  query: object,
): Promise<Session[]> {
  if (sessions.length === 0) return []
  const ids = sessions.map(({ id }) => id)
  const found = await db.prisma.session.findMany({
    ...query,
    where: { tenantId: db.tenantId, id: { in: ids } },
  })
  const byId = new Map(found.map((session) => [session.id, session]))
  // The rows as they were listed: their cursors say where they stood then.
  return sessions.flatMap((session) => {
    const whole = byId.get(session.id)
    return whole ? { ...whole, ...session } : []
  })
}
