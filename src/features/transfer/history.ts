import type { Viewer } from '../../auth/viewer.ts'
import type { Citation, Message, Session, Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { messageColumns } from '../messages/append.ts'
import { seesDocument, sightOf } from '../sessions/documents.ts'

/** What a reply was given of a document; `isVisible`: whether the reader still sees the document. */
export type HistoryCitation = Citation & { isVisible: boolean }

/** A message, what it was given, and who wrote it by the names that outlive this installation. */
export type HistoryMessage = Message & {
  agentKey: string | null
  authorKey: string | null
  authorName: string | null
  citations: readonly HistoryCitation[]
}

/** A session to export, and its names. */
export type HistorySession = Session & {
  agent: { key: string } | null
  template: { name: string } | null
  user: { externalId: string; name: string | null }
  documents: { document: { id: string; title: string } }[]
}

const readPage: Statement = {
  name: 'transfer-page',
  text: `SELECT ${messageColumns}, a.key AS "agentKey", u.external_id AS "authorKey", u.name AS "authorName"
    FROM messages m
    LEFT JOIN agents a ON a.tenant_id = m.tenant_id AND a.id = m.agent_id
    LEFT JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.author_id
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.seq > $3 AND m.seq <= $4 ORDER BY m.seq LIMIT $5`,
}

const readCitations: Statement = {
  name: 'transfer-citations',
  text: `SELECT ${columnsOf('Citation', 'c')}, ($3::uuid IS NULL OR ${seesDocument('$3')}) AS "isVisible"
    FROM citations c JOIN documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    WHERE c.tenant_id = $1 AND c.message_id = ANY($2) ORDER BY c.message_id, c.marker`,
}

/** Messages may have 256 KiB and more; this many at a time keep a download small. */
const pageSize = 100

/**
 * All messages that the session has now, replaced ones among them, page by page; nothing is held between two pages.
 * `recheck` is called before each, and what it throws ends the reading: rights may end while a slow reader reads.
 */
export async function* readHistory(
  viewer: Viewer,
  session: Session,
  recheck: () => Promise<unknown>,
): AsyncGenerator<HistoryMessage[]> {
  let seq = 0
  for (;;) {
    await recheck()
    const values = [viewer.tenantId, session.id, seq, session.lastSeq, pageSize]
    const page = await viewer.db.sql<Omit<HistoryMessage, 'citations'>>(readPage, values)
    if (page.length > 0) yield await withCitations(viewer, page)
    seq = page.at(-1)?.seq ?? seq
    if (page.length < pageSize) return
  }
}

async function withCitations(
  viewer: Viewer,
  page: readonly Omit<HistoryMessage, 'citations'>[],
): Promise<HistoryMessage[]> {
  const replies = page.filter(({ role }) => role === 'ASSISTANT').map(({ id }) => id)
  const values = [viewer.tenantId, replies, sightOf(viewer)]
  const cited = await viewer.db.sql<HistoryCitation>(readCitations, values)
  const byMessage = Map.groupBy(cited, ({ messageId }) => messageId)
  return page.map((message) => ({ ...message, citations: byMessage.get(message.id) ?? [] }))
}
