import { actsForTenant, sharedWith } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { OrderKey, PagePlan } from '../../lib/paging.ts'
import { conditionsOf, createParameters, type Parameters, type ResolvedFilter } from './filter.ts'
import type { SessionRead } from './rows.ts'

type Query = { text: string; values: readonly unknown[] }

export type Column = { type: 'timestamptz' | 'text' | 'int'; sql: string; key: Omit<OrderKey, 'direction'> }

export const columns = {
  LAST_MESSAGE_AT: {
    type: 'timestamptz',
    sql: 's.last_message_at',
    key: { field: 'lastMessageAt', type: 'date' },
  },
  UPDATED_AT: { type: 'timestamptz', sql: 's.updated_at', key: { field: 'updatedAt', type: 'date' } },
  CREATED_AT: { type: 'timestamptz', sql: 's.created_at', key: { field: 'createdAt', type: 'date' } },
  TITLE: { type: 'text', sql: 's.title', key: { field: 'title', type: 'text', nullable: true } },
  MESSAGE_COUNT: { type: 'int', sql: 's.message_count', key: { field: 'messageCount', type: 'int' } },
} as const satisfies Record<string, Column>

/** Sessions from one index: the lists of a user are one of these for its own and one for those shared with it. */
type Branch = { from: string; where: string }

/** How one page is read: from where on, by which column, and what of each session. */
export type PageRead = { column: Column; plan: PagePlan; read: SessionRead; isCounted: boolean }

/** A page of a list; `totalCount` stands in each row where it is counted. */
export function pageQuery(viewer: Viewer, filter: ResolvedFilter, page: PageRead): Query {
  const parameters = createParameters()
  const { select, from, order } = pageParts(page, branchesOf(viewer, filter, parameters), parameters)
  return {
    text: `SELECT ${select} FROM (${from}) AS s ${page.read.join} ${order}`,
    values: parameters.values,
  }
}

/** The same page of the forks of each of these sessions: rows with its number in `place`, one at least for each. */
export function forksQuery(viewer: Viewer, parentIds: readonly string[], page: PageRead): Query {
  const parameters = createParameters()
  const wanted = parameters.add(parentIds, 'uuid[]')
  const branches = branchesOf(viewer, {}, parameters, ['s.parent_id = wanted.id'])
  const { select, from, order } = pageParts(page, branches, parameters)
  const text = `SELECT ${select}, wanted.place::int AS place
    FROM unnest(${wanted}) WITH ORDINALITY AS wanted(id, place) LEFT JOIN LATERAL (${from}) AS s ON true
    ${page.read.join} ${order}`
  return { text, values: parameters.values }
}

function pageParts(
  { column, plan, read, isCounted }: PageRead,
  branches: readonly Branch[],
  parameters: Parameters,
) {
  const beyond = beyondOf(column, plan, parameters)
  const direction = plan.keys[0]?.direction ?? 'asc'
  const nulls = column.key.nullable ? ` NULLS ${plan.backward ? 'FIRST' : 'LAST'}` : ''
  const order = `ORDER BY ${column.sql} ${direction}${nulls}, s.id ${direction}`
  // Each branch gives as many as the page could need, in the order of its index.
  // Their number is read by a subquery for the reason for which the user is, in `branchesOf`.
  const most = `(SELECT ${parameters.add(plan.take + plan.skip, 'int')})`
  const parts = branches.map(
    ({ from, where }) =>
      `(SELECT s.* FROM ${from} WHERE ${[where, ...beyond].join(' AND ')} ${order} LIMIT ${most})`,
  )
  const [take, skip] = [parameters.add(plan.take, 'int'), parameters.add(plan.skip, 'int')]
  return {
    select: `${read.columns}${isCounted ? `, ${countText(branches)} AS "totalCount"` : ''}`,
    from: `SELECT * FROM (${parts.join(' UNION ALL ')}) AS s ${order} LIMIT ${take} OFFSET ${skip}`,
    order,
  }
}

/** How many sessions there are in all pages, as `count`. */
export function countQuery(viewer: Viewer, filter: ResolvedFilter): Query {
  const parameters = createParameters()
  const text = `SELECT ${countText(branchesOf(viewer, filter, parameters))} AS count`
  return { text, values: parameters.values }
}

const countText = (branches: readonly Branch[]) =>
  `(${branches.map(({ from, where }) => `(SELECT count(*) FROM ${from} WHERE ${where})`).join(' + ')})::int`

/** The ids of as many as `most`. */
export function idsQuery(viewer: Viewer, filter: ResolvedFilter, most: number): Query {
  const parameters = createParameters()
  const branches = branchesOf(viewer, filter, parameters)
  const limit = parameters.add(most, 'int')
  const parts = branches.map(({ from, where }) => `(SELECT s.id FROM ${from} WHERE ${where} LIMIT ${limit})`)
  return {
    text: `SELECT id FROM (${parts.join(' UNION ALL ')}) AS place LIMIT ${limit}`,
    values: parameters.values,
  }
}

/**
 * What the viewer may see and the filter wants. A deleted session is there for its owners only. An admin who asks for
 * somebody's sessions gets them from the same indexes as that person would.
 */
function branchesOf(
  viewer: Viewer,
  filter: ResolvedFilter,
  parameters: Parameters,
  more: readonly string[] = [],
): Branch[] {
  const tenant = parameters.add(viewer.tenantId, 'uuid')
  const isForTenant = actsForTenant(viewer)
  const conditions = [...conditionsOf(filter, tenant, parameters), ...more]
  const userId = isForTenant ? filter.participant : viewer.userId
  if (!userId)
    return [{ from: 'sessions s', where: [`s.tenant_id = ${tenant}`, ...conditions].join(' AND ') }]
  // Read by a subquery the user is anybody to the planner: one whom nobody shares with would seem so much cheaper than the
  // average that PostgreSQL planned each list anew, which takes longer than to read it.
  const user = `(SELECT ${parameters.add(userId, 'uuid')})`
  if (filter.participant && !isForTenant) {
    const participant = parameters.add(filter.participant, 'uuid')
    conditions.push(`(s.user_id = ${participant} OR EXISTS (SELECT FROM participants o
      WHERE o.tenant_id = s.tenant_id AND o.session_id = s.id AND o.user_id = ${participant}))`)
  }
  const own = [`s.tenant_id = ${tenant}`, `s.user_id = ${user}`, ...conditions]
  const shared = [...(filter.deleted && !isForTenant ? [`p.role = 'OWNER'`] : []), ...conditions]
  return [
    { from: 'sessions s', where: own.join(' AND ') },
    { from: sharedWith(user, tenant), where: shared.join(' AND ') || 'true' },
  ]
}

/** The conditions that the cursor adds: both keys run the same way, so that a row comparison says it. */
function beyondOf(column: Column, { keys, beyond, backward }: PagePlan, parameters: Parameters): string[] {
  if (!beyond) return []
  const than = keys[0]?.direction === 'asc' ? '>' : '<'
  const [value, id] = beyond
  const idValue = parameters.add(id, 'uuid')
  if (value === null) {
    const rest = `(${column.sql} IS NULL AND s.id ${than} ${idValue})`
    return [backward ? `(${column.sql} IS NOT NULL OR ${rest})` : rest]
  }
  const further = `(${column.sql}, s.id) ${than} (${parameters.add(value, column.type)}, ${idValue})`
  return [column.key.nullable && !backward ? `(${further} OR ${column.sql} IS NULL)` : further]
}
