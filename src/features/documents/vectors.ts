import type { Statement, TenantDatabase } from '../../db/client.ts'
import { cosine, type Embedder } from './embedder.ts'
import type { Ranked, Scope } from './words.ts'

/**
 * Above this many chunks comparing each of them takes longer than a question may, so the vectors only put the best
 * matches of the words in order.
 */
export const maxCompared = 10_000

const pageSize = 2_000

const readVectors: Statement = {
  name: 'chunk-read-vectors',
  text: `SELECT c.id, c.document_id AS "documentId", c.version, c.seq, c.embedding FROM chunks c
    JOIN documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id AND d.indexed_version = c.version
    WHERE c.tenant_id = $1 AND c.document_id = ANY($2::uuid[]) AND c.embedding_model = $3
      AND (c.document_id, c.version, c.seq) > ($4, $5, $6)
    ORDER BY c.document_id, c.version, c.seq LIMIT ${pageSize}`,
}

const readVectorsOf: Statement = {
  name: 'chunk-read-vectors-of',
  text: `SELECT c.id, c.embedding FROM chunks c
    WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) AND c.embedding_model = $3`,
}

type Row = { id: string; documentId: string; version: number; seq: number; embedding: Buffer }

/** The chunks whose vectors are closest to that of the query, best first; `among` are those that the words found. */
export async function rankByVectors(
  db: TenantDatabase,
  embedder: Embedder,
  scope: Scope,
  { query, among, limit }: { query: Buffer; among: readonly Ranked[]; limit: number },
): Promise<Ranked[]> {
  const { tenantId } = db
  let best: Ranked[] = []
  const take = (rows: readonly Pick<Row, 'id' | 'embedding'>[]) => {
    const compared = rows.flatMap(({ id, embedding }) => {
      const score = cosine(query, embedding)
      return score === null ? [] : { id, score }
    })
    best = [...best, ...compared].sort((a, b) => b.score - a.score).slice(0, limit)
  }
  if (scope.chunkCount > maxCompared) {
    const ids = among.map(({ id }) => id)
    take(await db.sql<Row>(readVectorsOf, [tenantId, ids, embedder.model]))
    return best
  }
  const documentIds = [...scope.documentIds].sort()
  for (let after: Partial<Row> = {}; ; ) {
    const place = [
      after.documentId ?? '00000000-0000-0000-0000-000000000000',
      after.version ?? 0,
      after.seq ?? 0,
    ]
    const page = await db.sql<Row>(readVectors, [tenantId, documentIds, embedder.model, ...place])
    take(page)
    const last = page.at(-1)
    if (!last || page.length < pageSize) return best
    after = last
  }
}
