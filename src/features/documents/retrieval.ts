import type { Viewer } from '../../auth/viewer.ts'
import type { Document, Statement } from '../../db/client.ts'
import type { Log } from '../../telemetry/log.ts'
import { seesDocument, sightOf } from '../sessions/documents.ts'
import type { DocumentChecks } from './checks.ts'
import type { Embedder, Payer } from './embedder.ts'
import { documentColumns } from './service.ts'
import type { VectorRanking } from './vectors.ts'
import { hasOperators, type Query, type Ranked, rankByWords, type Scope } from './words.ts'

/** An excerpt of a document. `score` is to be compared within one result only; offsets are UTF-16 units. */
export type Passage = {
  chunkId: string
  documentId: string
  title: string
  seq: number
  startOffset: number
  endOffset: number
  page: number | null
  heading: string | null
  content: string
  score: number
}

export type Hit = { passage: Passage; document: Document }

export type RetrieveInput = {
  query: string
  documentIds?: readonly string[] | null | undefined
  sessionIds?: readonly string[] | null | undefined
  limit?: number | null | undefined
}

export type Retrieval = {
  /**
   * The passages that fit a query best, of the documents that the viewer may see: of those that are named and those of
   * the sessions that are named, or where nothing is named, of all.
   */
  retrieve(viewer: Viewer, input: RetrieveInput): Promise<Hit[]>
  /** The same for a question, of these documents, whoever may see them; what is still being indexed for the first time has none. */
  passages(payer: Payer, documentIds: readonly string[], question: string, limit: number): Promise<Passage[]>
}

/** The most documents that are looked through, the newest ones. */
const maxDocuments = 5_000
const defaultLimit = 8
/** How many of each ranking count. */
const rankedMax = 50
/** What the words find for the vectors to put in order where there are too many chunks to compare. */
const reorderedMax = 500
/** The usual constant of reciprocal rank fusion: how much the first places of a ranking stand out. */
const fusionConstant = 60
/**
 * Ranks alone do not tell a good match from a bad one: beside vectors, what shares with the question only its small words
 * does not count.
 */
const tellingShare = 0.2
/** A question waits no longer for its vector; its words do as well. */
const embedTimeoutMs = 5_000

const findScope: Statement = {
  name: 'document-scope',
  text: `SELECT d.id, d.chunk_count AS "chunkCount" FROM documents d
    WHERE d.tenant_id = $1 AND d.indexed_version IS NOT NULL AND ($2::uuid IS NULL OR ${seesDocument('$2')})
      AND (d.id = ANY($3::uuid[]) OR ($3 IS NULL AND $4::uuid[] IS NULL) OR EXISTS (
        SELECT FROM session_documents sd JOIN sessions s ON s.tenant_id = sd.tenant_id AND s.id = sd.session_id
        WHERE sd.tenant_id = d.tenant_id AND sd.document_id = d.id AND sd.session_id = ANY($4) AND s.deleted_at IS NULL
          AND ($2 IS NULL OR s.user_id = $2 OR EXISTS (SELECT FROM participants p
            WHERE p.tenant_id = s.tenant_id AND p.session_id = s.id AND p.user_id = $2))))
    ORDER BY d.id DESC LIMIT ${maxDocuments}`,
}

const findIndexed: Statement = {
  name: 'document-indexed',
  text: `SELECT d.id, d.chunk_count AS "chunkCount" FROM documents d
    WHERE d.tenant_id = $1 AND d.id = ANY($2) AND d.indexed_version IS NOT NULL`,
}

const readPassages: Statement = {
  name: 'chunk-read-passages',
  text: `SELECT c.id AS "chunkId", c.document_id AS "documentId", d.title, c.seq, c.start_offset AS "startOffset",
      c.end_offset AS "endOffset", c.page, c.heading, c.content
    FROM chunks c JOIN documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    WHERE c.tenant_id = $1 AND c.id = ANY($2)`,
}

const readDocuments: Statement = {
  name: 'document-of-hits',
  text: `SELECT ${documentColumns} FROM documents d WHERE d.tenant_id = $1 AND d.id = ANY($2)`,
}

type Dependencies = {
  checks: DocumentChecks
  /** Null: by words alone. */
  meaning: { embedder: Embedder; vectors: VectorRanking } | null
  log: Log
}

export function createRetrieval({ checks, meaning, log }: Dependencies): Retrieval {
  async function vectorRank(payer: Payer, scope: Scope, query: Query, among: readonly Ranked[]) {
    // Meaning knows no operators.
    if (!meaning || query.isExact) return []
    const { embedder, vectors } = meaning
    try {
      const [vector] = await embedder.embed(payer, [query.text], AbortSignal.timeout(embedTimeoutMs))
      if (!vector) return []
      return await vectors.rank(payer.db, scope, { query: vector, among, limit: rankedMax })
    } catch (error) {
      log.warn({ err: error }, 'a question is looked up by its words alone')
      return []
    }
  }

  async function find(payer: Payer, scope: Scope, query: Query, limit: number): Promise<Passage[]> {
    const { db } = payer
    if (scope.chunkCount === 0) return []
    const { ranked, wholeScore } = await rankByWords(db, scope, query, meaning ? reorderedMax : limit)
    const byVectors = await vectorRank(payer, scope, query, ranked)
    const telling = ranked.slice(0, rankedMax).filter(({ score }) => score >= wholeScore * tellingShare)
    const best = byVectors.length > 0 ? fused([telling, byVectors]) : ranked
    const chosen = best.slice(0, limit)
    const ids = chosen.map(({ id }) => id)
    const rows = await db.sql<Omit<Passage, 'score'>>(readPassages, [db.tenantId, ids])
    const byId = new Map(rows.map((row) => [row.chunkId, row]))
    // One that was erased in between is left out.
    return chosen.flatMap(({ id, score }) => {
      const row = byId.get(id)
      return row ? { ...row, score } : []
    })
  }

  return {
    async retrieve(viewer, asked) {
      const { query, documentIds, sessionIds, limit } = checks.query(asked)
      const { db, tenantId } = viewer
      const values = [tenantId, sightOf(viewer), documentIds ?? null, sessionIds ?? null]
      const scope = scopeOf(await db.sql<ScopeRow>(findScope, values))
      const passages = await find(
        viewer,
        scope,
        { text: query, isExact: hasOperators(query) },
        limit ?? defaultLimit,
      )
      const ids = [...new Set(passages.map(({ documentId }) => documentId))]
      const documents = await db.sql<Document>(readDocuments, [tenantId, ids])
      const byId = new Map(documents.map((document) => [document.id, document]))
      return passages.flatMap((passage) => {
        const document = byId.get(passage.documentId)
        return document ? { passage, document } : []
      })
    },
    async passages(payer, documentIds, question, limit) {
      const { db } = payer
      const scope = scopeOf(await db.sql<ScopeRow>(findIndexed, [db.tenantId, documentIds]))
      return find(payer, scope, { text: question, isExact: false }, limit)
    },
  }
}

type ScopeRow = { id: string; chunkCount: number }

const scopeOf = (rows: readonly ScopeRow[]): Scope => ({
  documentIds: rows.map(({ id }) => id),
  chunkCount: rows.reduce((sum, { chunkCount }) => sum + chunkCount, 0),
})

/** Reciprocal rank fusion: what stands high in either ranking comes first, what does in both before all. */
function fused(rankings: readonly (readonly Ranked[])[]): Ranked[] {
  const scores = new Map<string, number>()
  for (const ranking of rankings)
    for (const [index, { id }] of ranking.entries())
      scores.set(id, (scores.get(id) ?? 0) + 1 / (fusionConstant + index + 1))
  return [...scores].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score)
}
