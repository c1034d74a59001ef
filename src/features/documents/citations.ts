import type { Viewer } from '../../auth/viewer.ts'
import type { Citation, Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { createBatch } from '../../lib/batch.ts'

/** The passages that a reply was given, in the order of their numbers; for many replies at once, it is one statement. */
export type Citations = { of(viewer: Viewer, messageId: string): Promise<readonly Citation[]> }

const findCitations: Statement = {
  name: 'citation-of-messages',
  text: `SELECT ${columnsOf('Citation', 'c')} FROM citations c
    WHERE c.tenant_id = $1 AND c.message_id = ANY($2) ORDER BY c.marker`,
}

export function createCitations(): Citations {
  const ofMessages = createBatch<Viewer['db'], string, Citation[]>(async (db, messageIds) => {
    const rows = await db.sql<Citation>(findCitations, [db.tenantId, messageIds])
    return Map.groupBy(rows, ({ messageId }) => messageId)
  })
  return { of: async ({ db }, messageId) => (await ofMessages(db, messageId)) ?? [] }
}

/** Whether a text refers to an excerpt by its number, alone or in a list: [2], [1, 2]. */
export function refersTo(text: string | null, marker: number): boolean {
  for (const [, numbers = ''] of (text ?? '').matchAll(/\[([\d,;\s]{1,40})\]/g))
    if (numbers.split(/[,;\s]+/).includes(String(marker))) return true
  return false
}
