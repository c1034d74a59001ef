import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Participant, Session, Statement, TenantDatabase } from '../../db/client.ts'
import { createStatementNames } from '../../db/statement-names.ts'
import type { SessionFilter } from './checks.ts'
import { conditionsOf, createParameters } from './filter.ts'
import { sessionColumns } from './rows.ts'

/** A session as it is now, and who takes part in it beside its own user. */
export type Match = { session: Session; roles: Readonly<Record<string, Participant['role']>> }

const findSessions: Statement = {
  name: 'session-with-roles',
  text: `SELECT ${sessionColumns},
      (SELECT coalesce(jsonb_object_agg(p.user_id, p.role), '{}') FROM participants p
        WHERE p.tenant_id = s.tenant_id AND p.session_id = s.id) AS roles
    FROM sessions s WHERE s.tenant_id = $1 AND s.id = ANY($2) AND NOT s.is_stateless`,
}

/** The sessions that are there, deleted ones included. */
export async function matchSessions(db: TenantDatabase, ids: readonly string[]) {
  const rows = await db.sql<Session & Pick<Match, 'roles'>>(findSessions, [db.tenantId, ids])
  return new Map(rows.map(({ roles, ...session }): [string, Match] => [session.id, { session, roles }]))
}

/** Filters in one statement; each adds a value to its rows and up to 18 parameters to its text. */
const filtersPerStatement = 500

/** Asks of sessions which of many filters fit each, those on people aside. */
export function createFitting() {
  const nameOf = createStatementNames('session-fitting')

  return async (
    db: TenantDatabase,
    ids: readonly string[],
    filters: readonly SessionFilter[],
  ): Promise<ReadonlyMap<string, boolean[]>> => {
    const fitting = new Map<string, boolean[]>(ids.map((id) => [id, []]))
    for (let start = 0; start < filters.length; start += filtersPerStatement) {
      const some = filters.slice(start, start + filtersPerStatement)
      const { text, values } = fittingQuery(db, ids, some)
      // Texts of several filters vary too much to be kept.
      const statement: Statement = { name: filters.length === 1 ? nameOf(text) : '', text }
      const rows = await db.sql<{ id: string; fits: boolean[] }>(statement, values)
      const found = new Map(rows.map(({ id, fits }) => [id, fits]))
      for (const [id, fits] of fitting) fits.push(...(found.get(id) ?? some.map(() => false)))
    }
    return fitting
  }
}

function fittingQuery(
  { tenantId }: TenantDatabase,
  ids: readonly string[],
  filters: readonly SessionFilter[],
) {
  const parameters = createParameters()
  const tenant = parameters.add(tenantId, 'uuid')
  const wanted = parameters.add(ids, 'uuid[]')
  const fits = filters.map((filter) => `(${conditionsOf(filter, tenant, parameters).join(' AND ')}) IS TRUE`)
  const text = `SELECT s.id, ARRAY[${fits.join(', ')}] AS fits FROM sessions s
    WHERE s.tenant_id = ${tenant} AND s.id = ANY(${wanted})`
  return { text, values: parameters.values }
}

/** Who a list is for, as far as that decides what is in it. */
export type Onlooker = Pick<Viewer, 'userId' | 'role'> & { readonly filter: SessionFilter }

/** Whether the session is the viewer's, shared with it or, for admins, of its tenant. */
export const isRelated = ({ userId, role }: Pick<Onlooker, 'userId' | 'role'>, { session, roles }: Match) =>
  actsForTenant({ role }) || session.userId === userId || roles[userId] !== undefined

/** Whether a list of this viewer may have the session, by what its filter says of people. */
export function mayList(onlooker: Onlooker, match: Match): boolean {
  const { participant, deleted } = onlooker.filter
  if (!isRelated(onlooker, match)) return false
  if (participant && !isPartOf(participant, match)) return false
  const { session, roles } = match
  const isOwner = session.userId === onlooker.userId || roles[onlooker.userId] === 'OWNER'
  return !deleted || isOwner || actsForTenant(onlooker)
}

const isPartOf = (userId: string, { session, roles }: Match) =>
  session.userId === userId || roles[userId] !== undefined
