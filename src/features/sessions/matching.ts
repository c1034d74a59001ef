import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Participant, Session, Statement, TenantDatabase } from '../../db/client.ts'
import type { SessionFilter } from './checks.ts'
import { conditionsOf, createParameters } from './filter.ts'
import { createStatementNames } from './list.ts'
import { sessionColumns } from './rows.ts'

/** A session as it is now: who takes part in it, and which filters fit it (those on people aside). */
export type Match = {
  session: Session
  roles: Readonly<Record<string, Participant['role']>>
  fits: readonly boolean[]
}

type Row = Session & Pick<Match, 'roles' | 'fits'>

/** Filters in one statement; each adds a value to its rows and up to 18 parameters to its text. */
const filtersPerStatement = 500

/** Asks of changed sessions at once what lists of any viewer of the tenant need to know of them. */
export function createMatching() {
  const nameOf = createStatementNames('session-match')

  return async (
    db: TenantDatabase,
    ids: readonly string[],
    filters: readonly SessionFilter[],
  ): Promise<ReadonlyMap<string, Match>> => {
    const matches = new Map<string, Match>()
    for (let start = 0; start === 0 || start < filters.length; start += filtersPerStatement) {
      const { text, values } = matchQuery(db, ids, filters.slice(start, start + filtersPerStatement))
      // Text that varies with what is asked for is not worth to be kept beyond the simplest.
      const statement: Statement = { name: filters.length === 1 ? nameOf(text) : '', text }
      for (const { roles, fits, ...session } of await db.sql<Row>(statement, values)) {
        const earlier = matches.get(session.id)
        // Of one that was changed in between, the newer row: its next change is on its way.
        matches.set(session.id, { session, roles, fits: [...(earlier?.fits ?? []), ...fits] })
      }
    }
    return matches
  }
}

function matchQuery({ tenantId }: TenantDatabase, ids: readonly string[], filters: readonly SessionFilter[]) {
  const parameters = createParameters()
  const tenant = parameters.add(tenantId, 'uuid')
  const wanted = parameters.add(ids, 'uuid[]')
  const fits = filters.map((filter) => `(${conditionsOf(filter, tenant, parameters).join(' AND ')}) IS TRUE`)
  const text = `SELECT ${sessionColumns}, ARRAY[${fits.join(', ')}]::boolean[] AS fits,
      (SELECT coalesce(jsonb_object_agg(p.user_id, p.role), '{}') FROM participants p
        WHERE p.tenant_id = s.tenant_id AND p.session_id = s.id) AS roles
    FROM sessions s WHERE s.tenant_id = ${tenant} AND s.id = ANY(${wanted})`
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
