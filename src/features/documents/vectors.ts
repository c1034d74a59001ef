import type { TenantDatabase } from '../../db/client.ts'
import type { VectorExtension } from '../../db/vectors.ts'
import type { Embedder, Vector } from './embedder.ts'
import { createCompareInDatabase, maxComparedInDatabase } from './vectors-compared.ts'
import { createFindByIndex } from './vectors-indexed.ts'
import { compareAll, compareThese } from './vectors-read.ts'
import type { Ranked, Scope } from './words.ts'

/** The order of chunks by how close they are to a question in meaning. */
export type VectorRanking = {
  /**
   * The chunks of a scope whose vectors are closest, best first. Of up to `maxCompared` they are exactly these. Of more,
   * pgvector's index is asked, which may miss one; where it is not made yet, or finds too few, pgvector compares all of up
   * to `maxComparedInDatabase`, exactly. Else those that the words found, `among`, are put in order, too.
   */
  rank(db: TenantDatabase, scope: Scope, asked: Asked): Promise<Ranked[]>
}

export type Asked = { query: Vector; among: readonly Ranked[]; limit: number }

/** Comparing more than this many here takes longer than a question may; 100 documents of 40 pages, a session's most, have about as many. */
export const maxCompared = 10_000

export function createVectorRanking({ model }: Embedder, extension: VectorExtension | null): VectorRanking {
  const findByIndex = extension && createFindByIndex(model, extension)
  const compareInDatabase = extension && createCompareInDatabase(model, extension)
  return {
    async rank(db, scope, { query, among, limit }) {
      if (scope.chunkCount <= maxCompared) return compareAll(db, model, scope, query, limit)
      const found = (await findByIndex?.(db, scope, query, limit)) ?? []
      if (found.length >= limit) return found
      // The index is one for all tenants: it can have seen as many as it looks at, and hardly one in scope among them.
      if (scope.chunkCount <= maxComparedInDatabase) {
        const closest = await compareInDatabase?.(db, scope, query, limit)
        if (closest) return closest
      }
      const known = new Set(found.map(({ id }) => id))
      return compareThese(db, model, [...found, ...among.filter(({ id }) => !known.has(id))], query, limit)
    },
  }
}
