import { actsForTenant, visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Session, Statement } from '../../db/client.ts'
import { createStatementNames } from '../../db/statement-names.ts'
import { createBatch } from '../../lib/batch.ts'
import { check } from '../../lib/checks.ts'
import { type OrderKey, type Page, type PageArgs, type PagePlan, pageOf, planPage } from '../../lib/paging.ts'
import type { SessionChecks, SessionFilter } from './checks.ts'
import { conditionsOf, createParameters, type Parameters, type ResolvedFilter } from './filter.ts'
import { withRelations } from './relations.ts'
import { readOf, type SessionRead, type SessionSelection } from './rows.ts'

export type SessionOrder = { field: keyof typeof columns; direction: 'ASC' | 'DESC' }

export type SessionPageArgs = PageArgs & { filter?: unknown; orderBy: SessionOrder }

/** `isCounted`: whether the total is selected, too. */
export type SessionListSelection = SessionSelection & { isCounted: boolean }

export type SessionList = {
  /** A page of the sessions that the viewer may see; one statement for what lists usually show. */
  page(viewer: Viewer, args: SessionPageArgs, selection: SessionListSelection): Promise<Page<Session>>
  /** The ids of the sessions that the viewer may see and the filter fits; null where they are more than `atMost`. */
  idsOf(viewer: Viewer, filter: SessionFilter, atMost: number): Promise<string[] | null>
  /** The parent of a fork, unless the viewer may not see it; for many at once, it is one statement. */
  parentOf(viewer: Viewer, session: Session): Promise<Session | null>
}

type Column = { type: 'timestamptz' | 'text' | 'int'; sql: string; key: Omit<OrderKey, 'direction'> }

const columns = {
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

/** Lists sessions: they are read in SQL, what hangs on them beyond their agents by Prisma. */
export function createSessionList(config: Config['sessions'], checks: SessionChecks): SessionList {
  const nameOf = createStatementNames('session-list')
  const statement = (text: string): Statement => ({ name: nameOf(text), text })

  const visible = createBatch<Viewer, string, Session>(async (viewer, ids) => {
    const { db, tenantId } = viewer
    const where = { tenantId, id: { in: [...ids] }, deletedAt: null, ...visibleSessions(viewer) }
    const rows = await db.prisma.session.findMany({ where })
    return new Map(rows.map((row) => [row.id, row]))
  })

  async function countOf(viewer: Viewer, filter: ResolvedFilter) {
    const parameters = createParameters()
    const text = `SELECT ${countText(branchesOf(viewer, filter, parameters))} AS count`
    const [row] = await viewer.db.sql<{ count: number }>(statement(text), parameters.values)
    return row?.count ?? 0
  }

  return {
    parentOf: async (viewer, { parentId }) =>
      parentId === null ? null : ((await visible(viewer, parentId)) ?? null),
    async idsOf(viewer, given, atMost) {
      const { text, values } = idsQuery(viewer, await resolveTerms(viewer, given), atMost + 1)
      const rows = await viewer.db.sql<{ id: string }>(statement(text), values)
      return rows.length > atMost ? null : rows.map(({ id }) => id)
    },
    async page(viewer, { filter: asked, orderBy, ...args }, selection) {
      const { filter: given } = check(checks.list, { filter: asked ?? {} })
      const column: Column = columns[orderBy.field]
      const direction = orderBy.direction === 'ASC' ? 'asc' : 'desc'
      const order: OrderKey[] = [
        { ...column.key, direction },
        { field: 'id', type: 'uuid', direction },
      ]
      const sizes = { default: config.defaultPageSize, max: config.maxPageSize }
      const plan = planPage(args, sizes, order)
      const filter = await resolveTerms(viewer, given)
      const read = readOf(selection)
      const { text, values } = pageQuery(viewer, filter, { column, plan, read, ...selection })
      const found = await viewer.db.sql<Session & { totalCount: number }>(statement(text), values)
      // An empty page has no row that could tell the count.
      const total = selection.isCounted ? found[0]?.totalCount : undefined
      const count = async () => total ?? countOf(viewer, filter)
      const page = pageOf(plan, order, found.map(read.sessionOf), count)
      return read.isWhole
        ? page
        : { ...page, rows: await withRelations(viewer.db, page.rows, selection.query) }
    },
  }
}

const findByTerms: Statement = {
  name: 'session-by-terms',
  text: `SELECT id FROM sessions WHERE tenant_id = $1 AND metadata @> $2::jsonb AND tags @> $3::text[] LIMIT $4`,
}

/** Terms that fit more sessions than this are so common that the order's index soon meets a page of them. */
const rareTerms = 1_000

/**
 * Looks rare metadata and tags up first, where the list is that of a whole tenant: their own index is asked by that
 * look-up alone. The sessions of one user are few enough to be looked at one by one.
 */
async function resolveTerms(viewer: Viewer, filter: SessionFilter): Promise<ResolvedFilter> {
  const { metadata, tags, ...rest } = filter
  const isOfOneUser = !actsForTenant(viewer) || filter.userId || filter.participant || filter.externalUserId
  if (isOfOneUser || !(metadata || tags)) return filter
  const terms = [JSON.stringify(metadata ?? {}), tags ?? []]
  const found = await viewer.db.searchSql<{ id: string }>(findByTerms, [...terms, rareTerms + 1])
  return found.length > rareTerms ? filter : { ...rest, ids: found.map(({ id }) => id) }
}

type PageRead = { column: Column; plan: PagePlan; read: SessionRead; isCounted: boolean }

function pageQuery(viewer: Viewer, filter: ResolvedFilter, { column, plan, read, isCounted }: PageRead) {
  const parameters = createParameters()
  const branches = branchesOf(viewer, filter, parameters)
  const beyond = beyondOf(column, plan, parameters)
  const direction = plan.keys[0]?.direction ?? 'asc'
  const order = (key: string, id: string) =>
    `ORDER BY ${key} ${direction}${column.key.nullable ? ` NULLS ${plan.backward ? 'FIRST' : 'LAST'}` : ''}, ${id} ${direction}`
  // Each branch gives as many as the page could need, in the order of its index.
  const most = parameters.add(plan.take + plan.skip, 'int')
  const parts = branches.map(
    ({ from, where }) =>
      `(SELECT s.* FROM ${from} WHERE ${[where, ...beyond].join(' AND ')}
        ${order(column.sql, 's.id')} LIMIT ${most})`,
  )
  const total = isCounted ? `, ${countText(branches)} AS "totalCount"` : ''
  const text = `SELECT ${read.columns}${total} FROM (SELECT * FROM (${parts.join(' UNION ALL ')}) AS s
    ${order(column.sql, 's.id')} LIMIT ${parameters.add(plan.take, 'int')} OFFSET ${parameters.add(plan.skip, 'int')}) AS s
    ${read.join} ${order(column.sql, 's.id')}`
  return { text, values: parameters.values }
}

const countText = (branches: readonly Branch[]) =>
  `(${branches.map(({ from, where }) => `(SELECT count(*) FROM ${from} WHERE ${where})`).join(' + ')})::int`

function idsQuery(viewer: Viewer, filter: ResolvedFilter, most: number) {
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
function branchesOf(viewer: Viewer, filter: ResolvedFilter, parameters: Parameters): Branch[] {
  const tenant = parameters.add(viewer.tenantId, 'uuid')
  const isForTenant = actsForTenant(viewer)
  const conditions = conditionsOf(filter, tenant, parameters)
  const userId = isForTenant ? filter.participant : viewer.userId
  if (!userId)
    return [{ from: 'sessions s', where: [`s.tenant_id = ${tenant}`, ...conditions].join(' AND ') }]
  const user = parameters.add(userId, 'uuid')
  if (filter.participant && !isForTenant) {
    const participant = parameters.add(filter.participant, 'uuid')
    conditions.push(`(s.user_id = ${participant} OR EXISTS (SELECT FROM participants o
      WHERE o.tenant_id = s.tenant_id AND o.session_id = s.id AND o.user_id = ${participant}))`)
  }
  const own = [`s.tenant_id = ${tenant}`, `s.user_id = ${user}`, ...conditions]
  const shared = [
    `p.tenant_id = ${tenant}`,
    `p.user_id = ${user}`,
    'p.user_id <> s.user_id',
    ...(filter.deleted && !isForTenant ? [`p.role = 'OWNER'`] : []),
    ...conditions,
  ]
  return [
    { from: 'sessions s', where: own.join(' AND ') },
    {
      from: 'participants p JOIN sessions s ON s.tenant_id = p.tenant_id AND s.id = p.session_id',
      where: shared.join(' AND '),
    },
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
