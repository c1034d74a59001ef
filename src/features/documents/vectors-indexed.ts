import type { Statement, TenantDatabase } from '../../db/client.ts'
import { indexedVector, maxIndexed, type VectorExtension, vectorIndexName } from '../../db/vectors.ts'
import type { Vector } from './embedder.ts'
import type { Ranked, Scope } from './words.ts'

/**
 * The chunks in scope that the index finds to be closest, best first; null where there is no index yet. The index is an
 * approximation, and may miss one.
 */
export type FindByIndex = (
  db: TenantDatabase,
  scope: Scope,
  query: Vector,
  limit: number,
) => Promise<Ranked[] | null>

const findIndex: Statement = {
  name: 'chunk-vector-index',
  text: `SELECT FROM pg_index WHERE indexrelid = to_regclass('public.' || $1::text) AND indisvalid`,
}

/**
 * The index knows no scopes: it goes on from the closest chunk to ever farther ones until enough are in scope, or it has
 * seen so many. More candidates at a time find more of the closest. Without sorts there is no order but the index's: by
 * its guesses PostgreSQL would at times compute every distance.
 */
const tuneSearch: Statement = {
  name: 'chunk-vector-search',
  text: `SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', '200', true),
    set_config('hnsw.max_scan_tuples', '40000', true), set_config('enable_sort', 'off', true)`,
}

export function createFindByIndex(model: string, { schema }: VectorExtension): FindByIndex {
  // Innermost the order alone, with a fence around it, so that documents are looked at one by one as they come. The number
  // of dimensions stands in the text, as in that of the index. Twice as many as asked for, since chunks of a version that is
  // not searched yet are among them.
  const findClosest = (dimensions: number): Statement => ({
    name: `chunk-find-vectors-${dimensions}`,
    text: `SELECT c.id, -c.distance AS score FROM (
        SELECT f.* FROM (
          SELECT c.id, c.document_id, c.version, ${indexedVector(schema, dimensions)}
            OPERATOR(${schema}.<#>) $3::real[]::${schema}.halfvec(${dimensions}) AS distance
          FROM chunks c WHERE c.tenant_id = $1 AND c.embedding_model = $4 AND cardinality(c.embedding) = ${dimensions}
          ORDER BY distance OFFSET 0
        ) AS f WHERE f.document_id = ANY($2::uuid[]) LIMIT 2 * $5
      ) AS c JOIN documents d ON d.tenant_id = $1 AND d.id = c.document_id AND d.indexed_version = c.version
      ORDER BY score DESC LIMIT $5`,
  })

  return async (db, { documentIds }, query, limit) => {
    const dimensions = query.length
    if (dimensions > maxIndexed) return null
    return db.transaction(async (sql) => {
      const [index] = await sql(findIndex, [vectorIndexName(dimensions)])
      if (!index) return null
      await sql(tuneSearch, [])
      return sql<Ranked>(findClosest(dimensions), [db.tenantId, documentIds, query, model, limit])
    })
  }
}
