import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Statement } from '../../db/client.ts'
import { createStatementNames } from '../../db/statement-names.ts'
import { partLookUp } from '../../db/text-parts.ts'
import { encodeId, idPrefixes } from '../../lib/ids.ts'
import type { SessionFilter } from './checks.ts'
import { conditionsOf, createParameters, type ResolvedFilter } from './filter.ts'
import type { columns } from './list-query.ts'

/**
 * Terms of a filter that one index finds together. `isOf`: the order whose own index begins with them; `by`: what that index
 * has them in the order of, asked for so that no other is read to its end for terms that fit much.
 */
type Group = { terms: readonly (keyof SessionFilter)[]; isOf?: keyof typeof columns; by?: string }

const groups: readonly Group[] = [
  { terms: ['title'] },
  { terms: ['metadata', 'tags'] },
  { terms: ['model'] },
  { terms: ['agent'], isOf: 'LAST_MESSAGE_AT' },
  { terms: ['createdAfter', 'createdBefore'], isOf: 'CREATED_AT', by: 's.created_at DESC' },
  {
    terms: ['lastMessageAfter', 'lastMessageBefore'],
    isOf: 'LAST_MESSAGE_AT',
    by: 's.last_message_at DESC',
  },
]

/** Terms that fit more sessions than this are so common that the order's index soon meets a page of them. */
const mostRare = 1_000

/**
 * Looks rare terms up first, where the list is that of a whole tenant: the index of the order would be followed to its end
 * for the few sessions that have them. The sessions of one user are few enough to be looked at one by one.
 */
export function createRareTerms() {
  const nameOf = createStatementNames('session-rare')

  return async (
    viewer: Viewer,
    given: SessionFilter,
    order: keyof typeof columns | null,
  ): Promise<ResolvedFilter> => {
    if (!actsForTenant(viewer) || given.userId || given.participant || given.externalUserId) return given
    const filter = await withAgentId(viewer, given)
    if (filter === null) return { ids: [] }
    const asked = groups.filter(
      // A title may be what an empty search box sends.
      ({ terms, isOf }) =>
        isOf !== order && terms.some((term) => filter[term] != null && filter[term] !== ''),
    )
    if (asked.length === 0) return filter
    const { text, values } = lookUp(viewer.tenantId, filter, asked)
    const [found = {}] = await viewer.db.searchSql<Record<string, string[] | null>>(
      { name: nameOf(text), text },
      values,
    )
    const [rarest] = asked
      .flatMap(({ terms }, index) => {
        const ids = found[index]
        return ids && ids.length <= mostRare ? [{ terms, ids }] : []
      })
      .sort((one, other) => one.ids.length - other.ids.length)
    if (!rarest) return filter
    const rest = Object.entries(filter).filter(
      ([term]) => !rarest.terms.includes(term as keyof SessionFilter),
    )
    return { ...Object.fromEntries(rest), ids: rarest.ids }
  }
}

const findAgent: Statement = {
  name: 'session-agent-by-key',
  text: 'SELECT id FROM agents WHERE tenant_id = $1 AND key = $2',
}

/** By its id PostgreSQL knows how many sessions an agent has, by its key it does not. Null where there is no such agent. */
async function withAgentId({ db, tenantId }: Viewer, filter: SessionFilter): Promise<SessionFilter | null> {
  if (!filter.agent || filter.agent.startsWith(`${idPrefixes.Agent}_`)) return filter
  const [agent] = await db.sql<{ id: string }>(findAgent, [tenantId, filter.agent])
  return agent ? { ...filter, agent: encodeId('Agent', agent.id) } : null
}

const titled = { table: 'session_titles', id: 'session_id', text: 't.title' }

/** One more than are rare of each group, in a column of its number; null for what is common without being counted. */
function lookUp(tenantId: string, filter: SessionFilter, asked: readonly Group[]) {
  const parameters = createParameters()
  const tenant = parameters.add(tenantId, 'uuid')
  const { deleted, title } = filter
  const found = asked.map(({ terms, by }, index) => {
    if (title && terms.includes('title'))
      return `${partLookUp(titled, title, { tenant, add: parameters.add, atMost: mostRare + 1 })} AS "${index}"`
    const own = Object.fromEntries(terms.map((term) => [term, filter[term]]))
    const conditions = conditionsOf({ deleted, ...own }, tenant, parameters)
    const where = [`s.tenant_id = ${tenant}`, ...conditions].join(' AND ')
    return `ARRAY(SELECT s.id FROM sessions s WHERE ${where} ${by ? `ORDER BY ${by}` : ''}
      LIMIT ${mostRare + 1}) AS "${index}"`
  })
  // The tenant, which comes first, is filled in by whoever runs it.
  return { text: `SELECT ${found.join(', ')}`, values: parameters.values.slice(1) }
}
