import type { Statement, TenantDatabase } from '../../db/client.ts'
import { maxIndexed, type VectorExtension } from '../../db/vectors.ts'
import { coarseBytes } from './coarse-vectors.ts'
import type { Vector } from './embedder.ts'
import type { Ranked, Scope } from './words.ts'

/** The closest of all chunks in scope, exactly, compared by the database; null of more dimensions than it has vectors for. */
export type CompareInDatabase = (
  db: TenantDatabase,
  scope: Scope,
  query: Vector,
  limit: number,
) => Promise<Ranked[] | null>

/** A second's work for the database, or some on a busy one. */
export const maxComparedInDatabase = 100_000

export function createCompareInDatabase(model: string, { schema }: VectorExtension): CompareInDatabase {
  // The length of the coarse vector is known without reading it, that of the vector is not.
  const compare = (dimensions: number): Statement => ({
    name: `chunk-compare-vectors-${dimensions}`,
    text: `SELECT c.id, -(c.embedding::${schema}.vector(${dimensions})
          OPERATOR(${schema}.<#>) $3::real[]::${schema}.vector(${dimensions})) AS score
      FROM documents d
        JOIN chunks c ON c.tenant_id = d.tenant_id AND c.document_id = d.id AND c.version = d.indexed_version
      WHERE d.tenant_id = $1 AND d.id = ANY($2::uuid[]) AND c.embedding_model = $4
        AND octet_length(c.coarse_embedding) = ${coarseBytes(dimensions)}
      ORDER BY score DESC LIMIT $5`,
  })

  return async (db, { documentIds }, query, limit) =>
    query.length > maxIndexed
      ? null
      : db.sql<Ranked>(compare(query.length), [db.tenantId, documentIds, query, model, limit])
}
