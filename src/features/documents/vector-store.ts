import type { Statement, TenantDatabase } from '../../db/client.ts'
import { coarsen } from './coarse-vectors.ts'
import type { Embedder } from './embedder.ts'

/** Gives the chunks of a document the vectors that they lack; what is cut off goes on where it stopped. */
export type VectorStore = {
  readonly model: string
  /** Tells after each batch how many chunks got theirs. Throws where the provider fails. */
  add(db: TenantDatabase, work: Work, onDone: (count: number) => void, signal: AbortSignal): Promise<void>
  /** The same for a document that is searched already, which is marked as complete then. */
  complete(db: TenantDatabase, work: Work, signal: AbortSignal): Promise<void>
}

type Work = { documentId: string; version: number; userId: string }

/** Texts in one request to the provider. */
const batchSize = 64
const requestTimeoutMs = 60_000

const findMissing: Statement = {
  name: 'chunk-missing-vectors',
  text: `SELECT id, coalesce(heading || E'\\n', '') || content AS text FROM chunks
    WHERE tenant_id = $1 AND document_id = $2 AND version = $3 AND embedding_model IS DISTINCT FROM $4
    ORDER BY seq LIMIT ${batchSize}`,
}

const storeVectors: Statement = {
  name: 'chunk-store-vectors',
  text: `UPDATE chunks c SET embedding = v.embedding::real[], coarse_embedding = v.coarse, embedding_model = $2
    FROM unnest($3::uuid[], $4::text[], $5::bytea[]) AS v(id, embedding, coarse)
    WHERE c.tenant_id = $1 AND c.id = v.id`,
}

const markComplete: Statement = {
  name: 'document-mark-embedded',
  text: `UPDATE documents SET embedding_model = $4
    WHERE tenant_id = $1 AND id = $2 AND indexed_version = $3 AND status = 'READY'`,
}

export function createVectorStore({ model, embed }: Embedder): VectorStore {
  const add: VectorStore['add'] = async (db, { documentId, version, userId }, onDone, signal) => {
    for (let count = 0; ; ) {
      const values = [db.tenantId, documentId, version, model]
      const missing = await db.sql<{ id: string; text: string }>(findMissing, values)
      if (missing.length === 0) return
      const ending = AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)])
      const texts = missing.map(({ text }) => text)
      const vectors = await embed({ db, userId }, texts, ending)
      // Arrays in an array are to PostgreSQL one of two dimensions, which comes apart in single numbers.
      const arrays = vectors.map((vector) => `{${vector.join()}}`)
      const ids = missing.map(({ id }) => id)
      await db.sql(storeVectors, [db.tenantId, model, ids, arrays, vectors.map(coarsen)])
      count += missing.length
      onDone(count)
    }
  }
  return {
    model,
    add,
    async complete(db, work, signal) {
      await add(db, work, () => {}, signal)
      await db.sql(markComplete, [db.tenantId, work.documentId, work.version, model])
    },
  }
}
