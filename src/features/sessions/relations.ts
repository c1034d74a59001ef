import type { Session, TenantDatabase } from '../../db/client.ts'
import type { SessionRead } from './rows.ts'

/**
 * Sessions with all that is selected on them: what was read beside them, and what a selection of Prisma's wants to hang on
 * them. Prisma reads the sessions anew for it, which takes several times as long; one that was erased in between is left
 * out.
 */
export async function withRelations<Row extends Session>(
  db: TenantDatabase,
  sessions: readonly Row[],
  { read, query }: { read: SessionRead; query: object },
): Promise<Row[]> {
  for (const session of sessions) read.attach(session)
  if (read.isWhole || sessions.length === 0) return [...sessions]
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
