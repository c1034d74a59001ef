import type { Message, Statement, TenantDatabase } from '../../db/client.ts'
import type { PagePlan } from '../../lib/paging.ts'
import { messageColumns } from './append.ts'

/**
 * Pages of conversations by prepared statements. Pages of one form that are asked for in one tick, such as the last
 * three messages of each session of a list, are read by one statement that takes a few rows of each: neither one
 * statement per session, nor Prisma's one that reads every message of them all.
 */
export type HotPages = {
  read(db: TenantDatabase, sessionId: string, plan: PagePlan): Promise<Message[]>
}

const pageStatement = (direction: 'ASC' | 'DESC'): Statement => ({
  name: `message-page-${direction.toLowerCase()}`,
  text: `SELECT ${messageColumns} FROM unnest($2::uuid[]) AS wanted(id) CROSS JOIN LATERAL (
      SELECT * FROM messages o WHERE o.tenant_id = $1 AND o.session_id = wanted.id AND o.replaced_at IS NULL
        AND o.seq ${direction === 'ASC' ? '>' : '<'} $3 ORDER BY o.seq ${direction} LIMIT $4) m`,
})

const statements = { asc: pageStatement('ASC'), desc: pageStatement('DESC') }
const ends = { asc: 0, desc: 2 ** 31 - 1 }

type Batch = { sessionIds: Set<string>; rows: Promise<Map<string, Message[]>> }

export function createHotPages(): HotPages {
  const batches = new Map<string, Batch>()

  function startBatch(
    db: TenantDatabase,
    key: string,
    direction: 'asc' | 'desc',
    start: unknown,
    take: number,
  ): Batch {
    const sessionIds = new Set<string>()
    const read = async () => {
      // By the end of the tick everybody who asks for such a page has joined.
      await new Promise(process.nextTick)
      batches.delete(key)
      const rows = await db.sql<Message>(statements[direction], [db.tenantId, [...sessionIds], start, take])
      return Map.groupBy(rows, ({ sessionId }) => sessionId)
    }
    const batch = { sessionIds, rows: read() }
    batches.set(key, batch)
    return batch
  }

  return {
    async read(db, sessionId, { keys, beyond, take }) {
      const direction = keys[0]?.direction ?? 'asc'
      const start = beyond?.[0] ?? ends[direction]
      const key = [db.tenantId, direction, start, take].join()
      const batch = batches.get(key) ?? startBatch(db, key, direction, start, take)
      batch.sessionIds.add(sessionId)
      return (await batch.rows).get(sessionId) ?? []
    },
  }
}
