import type { Message, Statement, TenantDatabase } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { createBatch } from '../../lib/batch.ts'
import type { PagePlan } from '../../lib/paging.ts'
import { messageColumns } from './append.ts'

/**
 * Pages of conversations by prepared statements. Pages that are asked for in one turn of the event loop, such as the
 * last three messages of each session of a list, are read by one statement that takes a few rows of each: neither one
 * statement per session, nor Prisma's one that reads every message of them all. `fields` are those of the API that are
 * selected: where the head of a message answers them all, nothing else is read.
 */
export type HotPages = (
  db: TenantDatabase,
  sessionId: string,
  plan: PagePlan,
  fields: ReadonlySet<string>,
) => Promise<Message[]>

const head = ['id', 'seq', 'role', 'content', 'status', 'createdAt']
const headFields: ReadonlySet<string> = new Set([
  '__typename',
  'id',
  'seq',
  'role',
  'content',
  'status',
  'createdAt',
])

/** For callers that do not know what is selected. */
export const everyField: ReadonlySet<string> = new Set(['every'])

const pageStatement = (name: string, columns: string, direction: 'ASC' | 'DESC'): Statement => ({
  name: `message-page-${name}-${direction.toLowerCase()}`,
  text: `SELECT ${columns}, wanted.place::int AS place
    FROM unnest($2::uuid[], $3::int[], $4::int[]) WITH ORDINALITY AS wanted(id, start, take, place)
    CROSS JOIN LATERAL (
      SELECT * FROM messages o WHERE o.tenant_id = $1 AND o.session_id = wanted.id AND o.replaced_at IS NULL
        AND o.seq ${direction === 'ASC' ? '>' : '<'} wanted.start
      ORDER BY o.seq ${direction} LIMIT wanted.take) m`,
})

/** Reads the pages that are named by keys of the form `session start take`. */
const createReader = (statement: Statement) =>
  createBatch<TenantDatabase, string, Message[]>(async (db, keys) => {
    const wanted = keys.map((key) => key.split(' '))
    const columns = [0, 1, 2].map((column) => wanted.map((key) => key[column]))
    const rows = await db.sql<Message & { place: number }>(statement, [db.tenantId, ...columns])
    return Map.groupBy(rows, ({ place }) => keys[place - 1] ?? '')
  })

const createReaders = (name: string, columns: string) => ({
  asc: createReader(pageStatement(name, columns, 'ASC')),
  desc: createReader(pageStatement(name, columns, 'DESC')),
})

export function createHotPages(): HotPages {
  const heads = createReaders('head', columnsOf('Message', 'm', '', head))
  const wholes = createReaders('whole', messageColumns)
  const ends = { asc: 0, desc: 2 ** 31 - 1 }
  return async (db, sessionId, { keys, beyond, take }, fields) => {
    const direction = keys[0]?.direction ?? 'asc'
    const readers = fields.isSubsetOf(headFields) ? heads : wholes
    return (await readers[direction](db, `${sessionId} ${beyond?.[0] ?? ends[direction]} ${take}`)) ?? []
  }
}
