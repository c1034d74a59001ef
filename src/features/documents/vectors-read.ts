import type { Statement, TenantDatabase } from '../../db/client.ts'
import { createCeiling } from './coarse-vectors.ts'
import type { Vector } from './embedder.ts'
import type { Ranked, Scope } from './words.ts'

/** Vectors are read from the database and compared here: what every PostgreSQL can. */

/** About so many chunks are read at a time. */
const batchSize = 2_000

const readCoarse: Statement = {
  name: 'chunk-read-coarse-vectors',
  text: `SELECT c.id, c.coarse_embedding AS coarse FROM documents d
    JOIN chunks c ON c.tenant_id = d.tenant_id AND c.document_id = d.id AND c.version = d.indexed_version
    WHERE d.tenant_id = $1 AND d.id = ANY($2::uuid[]) AND c.embedding_model = $3`,
}

// As the bytes that PostgreSQL would send it in: digits take several times as long to read.
const readVectors: Statement = {
  name: 'chunk-read-vectors',
  text: `SELECT c.id, array_send(c.embedding) AS sent FROM chunks c
    WHERE c.tenant_id = $1 AND c.id = ANY($2::uuid[]) AND c.embedding_model = $3`,
}

/** So many are compared exactly at a time: in most cases there is no second time. */
const exactBatchSize = 200

/**
 * The closest of all chunks in scope, exactly. Only those are compared in full that may be among them by their coarse
 * vectors: some hundreds of 10,000, and all where all are about the same.
 */
export async function compareAll(
  db: TenantDatabase,
  model: string,
  { documentIds, chunkCount }: Scope,
  query: Vector,
  limit: number,
): Promise<Ranked[]> {
  const ceilingOf = createCeiling(query)
  const documentsAtOnce = Math.ceil((documentIds.length * batchSize) / chunkCount)
  const candidates: Ranked[] = []
  for (let start = 0; start < documentIds.length; start += documentsAtOnce) {
    const ids = documentIds.slice(start, start + documentsAtOnce)
    const rows = await db.sql<{ id: string; coarse: Buffer }>(readCoarse, [db.tenantId, ids, model])
    for (const { id, coarse } of rows) {
      const ceiling = ceilingOf(coarse)
      if (ceiling !== null) candidates.push({ id, score: ceiling })
    }
  }
  candidates.sort((a, b) => b.score - a.score)
  let best: Ranked[] = []
  for (let start = 0; start < candidates.length; start += exactBatchSize) {
    const chunks = candidates.slice(start, start + exactBatchSize)
    // The others can only be farther.
    if (best.length === limit && (chunks[0] as Ranked).score <= (best.at(-1) as Ranked).score) break
    best = closest([...best, ...(await compareThese(db, model, chunks, query, limit))], limit)
  }
  return best
}

/** The closest of these chunks. */
export async function compareThese(
  db: TenantDatabase,
  model: string,
  chunks: readonly Ranked[],
  query: Vector,
  limit: number,
): Promise<Ranked[]> {
  const ids = chunks.map(({ id }) => id)
  const rows = await db.sql<{ id: string; sent: Buffer }>(readVectors, [db.tenantId, ids, model])
  return closest(
    rows.map(({ id, sent }) => ({ id, score: similarity(query, sent) })),
    limit,
  )
}

/** A score of null is of another model. */
const closest = (compared: readonly { id: string; score: number | null }[], limit: number): Ranked[] =>
  compared
    .flatMap(({ id, score }) => (score === null ? [] : { id, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, limit)

/** An array of floats, sent: five 32-bit numbers about the array, then before each float its length. */
const headBytes = 20
const floatBytes = 8

/** The cosine of two vectors of length 1; null where they are of different models. */
function similarity(query: Vector, sent: Buffer): number | null {
  if (sent.length !== headBytes + floatBytes * query.length) return null
  const floats = new DataView(sent.buffer, sent.byteOffset + headBytes + 4)
  let sum = 0
  for (let index = 0; index < query.length; index += 1)
    sum += (query[index] as number) * floats.getFloat32(index * floatBytes)
  return sum
}
