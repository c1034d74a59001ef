import { visibleSessions } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Session, Statement } from '../../db/client.ts'
import { createStatementNames } from '../../db/statement-names.ts'
import { createBatch } from '../../lib/batch.ts'
import { check } from '../../lib/checks.ts'
import { type OrderKey, type Page, type PageArgs, pageOf, planPage } from '../../lib/paging.ts'
import type { SessionChecks, SessionFilter } from './checks.ts'
import type { ResolvedFilter } from './filter.ts'
import { columns, countQuery, forksQuery, idsQuery, type PageRead, pageQuery } from './list-query.ts'
import { createRareTerms } from './rare-terms.ts'
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
  /** The forks of a session that the viewer may see, the newest first; for many sessions at once, it is one statement. */
  forksOf(
    viewer: Viewer,
    session: Session,
    args: PageArgs,
    selection: SessionListSelection,
  ): Promise<Page<Session>>
  /** The session that a message or a run is in; null for a stateless run. For many at once, it is one statement. */
  ofPlace(viewer: Viewer, sessionId: string): Promise<Session | null>
  /** The parent of a fork, unless the viewer may not see it; for many at once, it is one statement. */
  parentOf(viewer: Viewer, session: Session): Promise<Session | null>
}

/** How a page is read, and what of Prisma's is to hang on its rows. */
type Asked = { page: PageRead; order: readonly OrderKey[]; read: SessionRead; query: object }
/** `form`: all that tells one such page from another, but for the parent. */
type AskedForks = Asked & { parentId: string; form: string }
type ForkRow = Session & { place: number; totalCount?: number }

/** A session without forks has a row as well, of nothing but its place. */
const isFork = ({ id }: ForkRow) => id !== null

/** Lists sessions: they are read in SQL, what hangs on them beyond their agents by Prisma. */
export function createSessionList(config: Config['sessions'], checks: SessionChecks): SessionList {
  const nameOf = createStatementNames('session-list')
  const statement = (text: string): Statement => ({ name: nameOf(text), text })
  const resolveTerms = createRareTerms()

  const visible = createBatch<Viewer, string, Session>(async (viewer, ids) => {
    const { db, tenantId } = viewer
    const where = { tenantId, id: { in: [...ids] }, deletedAt: null, ...visibleSessions(viewer) }
    const rows = await db.prisma.session.findMany({ where })
    return new Map(rows.map((row) => [row.id, row]))
  })

  async function countOf(viewer: Viewer, filter: ResolvedFilter) {
    const { text, values } = countQuery(viewer, filter)
    const [row] = await viewer.db.sql<{ count: number }>(statement(text), values)
    return row?.count ?? 0
  }

  function askedOf(
    { orderBy, ...args }: Omit<SessionPageArgs, 'filter'>,
    selection: SessionListSelection,
  ): Asked {
    const column = columns[orderBy.field]
    const direction = orderBy.direction === 'ASC' ? 'asc' : 'desc'
    const order: OrderKey[] = [
      { ...column.key, direction },
      { field: 'id', type: 'uuid', direction },
    ]
    const { query, isCounted } = selection
    const read = readOf(selection, column.key.field)
    return {
      page: { column, plan: planPage(args, config.pageSizes, order), read, isCounted },
      order,
      read,
      query,
    }
  }

  /** Of pages that are asked for in one turn, those that differ in the parent alone are one statement. */
  const forks = createBatch<Viewer, AskedForks, Page<Session>>(async (viewer, asked) => {
    const alike = Map.groupBy(asked, ({ form }) => form)
    const pages = await Promise.all([...alike.values()].map((some) => pagesOfForks(viewer, some)))
    return new Map(pages.flat())
  })

  async function pagesOfForks(viewer: Viewer, alike: readonly AskedForks[]) {
    const [first] = alike
    if (!first) return []
    const { page, order } = first
    const ids = alike.map(({ parentId }) => parentId)
    const { text, values } = forksQuery(viewer, ids, page)
    const found = await viewer.db.sql<ForkRow>(statement(text), values)
    const byPlace = Map.groupBy(found, ({ place }) => place)
    const pages = alike.map((_, index) => {
      const own = byPlace.get(index + 1) ?? []
      return pageOf<Session>(page.plan, order, own.filter(isFork), async () => own[0]?.totalCount ?? 0)
    })
    const listed = pages.flatMap(({ rows }) => rows)
    const whole = new Map((await withRelations(viewer.db, listed, first)).map((row) => [row.id, row]))
    return alike.map((asked, index): [AskedForks, Page<Session>] => {
      const own = pages[index] as Page<Session>
      return [asked, { ...own, rows: own.rows.flatMap(({ id }) => whole.get(id) ?? []) }]
    })
  }

  return {
    ofPlace: async (viewer, sessionId) => (await visible(viewer, sessionId)) ?? null,
    parentOf: async (viewer, { parentId }) =>
      parentId === null ? null : ((await visible(viewer, parentId)) ?? null),
    async idsOf(viewer, given, atMost) {
      const { text, values } = idsQuery(viewer, await resolveTerms(viewer, given, null), atMost + 1)
      const rows = await viewer.db.sql<{ id: string }>(statement(text), values)
      return rows.length > atMost ? null : rows.map(({ id }) => id)
    },
    async page(viewer, { filter: asked, ...args }, selection) {
      const given = asked ? check(checks.list, { filter: asked }).filter : {}
      const { page, order, ...rest } = askedOf(args, selection)
      const filter = await resolveTerms(viewer, given, args.orderBy.field)
      const { text, values } = pageQuery(viewer, filter, page)
      const found = await viewer.db.sql<Session & { totalCount?: number }>(statement(text), values)
      // An empty page has no row that could tell the count.
      const count = async () => found[0]?.totalCount ?? countOf(viewer, filter)
      const { rows, ...list } = pageOf(page.plan, order, found, count)
      return { ...list, rows: await withRelations(viewer.db, rows, rest) }
    },
    async forksOf(viewer, { id: parentId }, args, selection) {
      const orderBy = { field: 'CREATED_AT', direction: 'DESC' } as const
      const asked = askedOf({ ...args, orderBy }, selection)
      const { query, fields, agentFields, isCounted } = selection
      const form = JSON.stringify([asked.page.plan, query, [...fields], [...agentFields], isCounted])
      const page = await forks(viewer, { ...asked, parentId, form })
      if (!page) throw new Error('A page of forks was not read.')
      return page
    },
  }
}
