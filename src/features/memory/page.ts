import type { Memory, Statement, TenantDatabase } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { type OrderKey, type Page, type PageArgs, pageOf, planPage } from '../../lib/paging.ts'
import { isAlive, kindOf, type MemoryOwner, memoryColumns } from './store.ts'

export const memoryPageSizes = { default: 50, max: 100 }

export type MemoryPageArgs = PageArgs & {
  keys?: readonly string[] | null | undefined
  prefix?: string | null | undefined
}

const byKey: readonly OrderKey[] = [{ field: 'key', direction: 'asc', type: 'text' }]

const isAsked = `m.tenant_id = $1 AND ${isAlive} AND ($3::text[] IS NULL OR m.key = ANY($3))
  AND ($4::text IS NULL OR starts_with(m.key, $4))`

function pageStatement(of: 'user' | 'session', direction: 'asc' | 'desc'): Statement {
  return {
    name: `memory-page-of-${of}-${direction}`,
    text: `SELECT p.* FROM unnest($2::uuid[]) AS owner(id) CROSS JOIN LATERAL (
        SELECT ${memoryColumns} FROM memories m WHERE m.${of}_id = owner.id AND ${isAsked}
          AND ($5::text IS NULL OR m.key ${direction === 'asc' ? '>' : '<'} $5 COLLATE "C")
        ORDER BY m.key COLLATE "C" ${direction} LIMIT $6 OFFSET $7) p`,
  }
}

const pages = {
  user: { asc: pageStatement('user', 'asc'), desc: pageStatement('user', 'desc') },
  session: { asc: pageStatement('session', 'asc'), desc: pageStatement('session', 'desc') },
}

const count = (of: 'user' | 'session'): Statement => ({
  name: `memory-count-of-${of}`,
  text: `SELECT count(*)::int AS count FROM memories m WHERE m.${of}_id = $2 AND ${isAsked}`,
})

const counts = { user: count('user'), session: count('session') }

type Asked = { owner: MemoryOwner; args: MemoryPageArgs }

/** Reads pages of memories by key; those of many sessions that are asked for at once are one statement. */
export function createMemoryPages() {
  const rowsOf = createBatch<TenantDatabase, string, Memory[]>(async (db, keys) => {
    const found = new Map<string, Memory[]>()
    const alike = Map.groupBy(keys, (key) => JSON.stringify([shapeOf(parse(key))]))
    for (const group of alike.values()) {
      const asked = group.map(parse)
      const [first] = asked
      if (!first) continue
      const ids = asked.map(({ owner }) => kindOf(owner)[1])
      const { statement, values } = planOf(first)
      const rows = await db.sql<Memory>(statement, [db.tenantId, ids, ...values])
      const byOwner = Map.groupBy(rows, ({ userId, sessionId }) => userId ?? sessionId)
      for (const [index, key] of group.entries()) found.set(key, byOwner.get(ids[index] ?? '') ?? [])
    }
    return found
  })

  return async (db: TenantDatabase, owner: MemoryOwner, args: MemoryPageArgs): Promise<Page<Memory>> => {
    const { plan, filter } = planOf({ owner, args })
    const rows = (await rowsOf(db, JSON.stringify({ owner, args }))) ?? []
    return pageOf(plan, byKey, rows, async () => {
      const [of, id] = kindOf(owner)
      const [counted] = await db.sql<{ count: number }>(counts[of], [db.tenantId, id, ...filter])
      return counted?.count ?? 0
    })
  }
}

const parse = (key: string) => JSON.parse(key) as Asked
const shapeOf = ({ owner, args }: Asked) => [kindOf(owner)[0], args]

function planOf({ owner, args: { keys, prefix, ...args } }: Asked) {
  const plan = planPage(args, memoryPageSizes, byKey)
  const filter = [keys ?? null, prefix ?? null]
  const statement = pages[kindOf(owner)[0]][plan.backward ? 'desc' : 'asc']
  return { plan, filter, statement, values: [...filter, plan.beyond?.[0] ?? null, plan.take, plan.skip] }
}
