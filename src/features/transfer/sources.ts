import type { Viewer } from '../../auth/viewer.ts'
import type { Sql, Statement } from '../../db/client.ts'
import { holdVisible, replaceDocuments } from '../sessions/documents.ts'
import type { SessionDocument } from './document.ts'

/** The ids of the documents here that a file may refer to. */
export type Sources = ReadonlySet<string>

/**
 * Those of the documents named in files that the importer sees, which stay until the end of the transaction. What is of
 * another tenant, is not there, or is not for the importer to see is left out alike.
 */
export async function holdSources(
  sql: Sql,
  viewer: Viewer,
  files: readonly SessionDocument[],
): Promise<Sources> {
  const named = files.flatMap(({ session, messages }) => [
    ...(session.documents ?? []).map(({ id }) => id),
    ...messages.flatMap(({ citations }) => citations ?? []).flatMap(({ document }) => document ?? []),
  ])
  return new Set(await holdVisible(sql, viewer, [...new Set(named)]))
}

// Erased with the document, as those of replies that were given here.
const insertCitations: Statement = {
  name: 'transfer-insert-citations',
  text: `INSERT INTO citations (tenant_id, message_id, marker, document_id, score, page, heading, start_offset, end_offset, content)
    SELECT $1, c."messageId", c.marker, c.document, c.score, c.page, c.heading, c."startOffset", c."endOffset", c.text
    FROM jsonb_to_recordset($2::jsonb) AS c("messageId" uuid, marker int, document uuid, score float8, page int,
      heading text, "startOffset" int, "endOffset" int, text text)`,
}

const batchSize = 500

/** Stores what a session and its messages, which are stored under `messageIds` in their order, draw on. */
export async function storeSources(
  sql: Sql,
  { tenantId, id: sessionId }: { tenantId: string; id: string },
  { session, messages }: SessionDocument,
  { sources, messageIds }: { sources: Sources; messageIds: readonly string[] },
): Promise<void> {
  const documentIds = new Set((session.documents ?? []).map(({ id }) => id).filter((id) => sources.has(id)))
  if (documentIds.size > 0) await sql(replaceDocuments, [tenantId, sessionId, [...documentIds]])
  const cited = messages.flatMap(({ citations }, index) =>
    (citations ?? [])
      .filter(({ document }) => document && sources.has(document))
      .map((citation) => ({ ...citation, messageId: messageIds[index] })),
  )
  for (let start = 0; start < cited.length; start += batchSize)
    await sql(insertCitations, [tenantId, JSON.stringify(cited.slice(start, start + batchSize))])
}
