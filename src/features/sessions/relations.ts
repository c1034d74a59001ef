import type { Agent, Session, Statement, TenantDatabase } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'

const findAgents: Statement = {
  name: 'agent-by-ids',
  text: `SELECT ${columnsOf('Agent')} FROM agents WHERE tenant_id = $1 AND id = ANY($2)`,
}

/**
 * The sessions with what a selection of Prisma's wants to hang on them. Agents, which every list shows, are read by a
 * prepared statement; for anything else Prisma reads the sessions anew, which takes several times as long. One that
 * was erased in between is left out.
 */
export async function withRelations(
  db: TenantDatabase,
  sessions: readonly Session[],
  query: object,
): Promise<Session[]> {
  const wanted = JSON.stringify(query)
  if (wanted === '{}' || sessions.length === 0) return [...sessions]
  if (wanted === '{"include":{"agent":true}}') return withAgents(db, sessions)
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

async function withAgents(db: TenantDatabase, sessions: readonly Session[]): Promise<Session[]> {
  const ids = [...new Set(sessions.flatMap(({ agentId }) => agentId ?? []))]
  const agents = ids.length > 0 ? await db.sql<Agent>(findAgents, [db.tenantId, ids]) : []
  const byId = new Map(agents.map((agent) => [agent.id, agent]))
  return sessions.map((session) => ({ ...session, agent: byId.get(session.agentId ?? '') ?? null }))
}
