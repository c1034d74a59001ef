import type { Database, Document, Statement, TenantDatabase } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { maxIndexed } from '../../db/vectors.ts'
import type { Jobs } from '../../jobs/queue.ts'
import { newId } from '../../lib/ids.ts'
import type { Log } from '../../telemetry/log.ts'
import { chunksOf, type Piece } from './chunking.ts'
import type { Embedder } from './embedder.ts'
import { extractText } from './extraction.ts'
import type { DocumentNews } from './news.ts'
import { UnreadableContent } from './pdf.ts'
import { createVectorStore } from './vector-store.ts'
import { maxCompared } from './vectors.ts'

type Offered = Pick<Document, 'tenantId' | 'userId' | 'id' | 'version'>

/**
 * Documents become chunks in background jobs, on whichever node is free. Who has the fewest in line comes first: one document
 * waits for one of those that are at work, not for a thousand of others. A job may be cut off anywhere and done again:
 * chunks are numbered, and those that are stored are passed over. It works on one version of a content; where there is a
 * newer one, or the document is gone, its next statement finds no row and it ends.
 */
export type Indexing = {
  /** Has the latest content of a document indexed. Resolves when that is stored as a job, or left to the next sweep. */
  offer(document: Offered): Promise<void>
}

const indexJob = 'document-index'
const sweepJob = 'document-sweep'
const vectorIndexJob = 'document-vector-index'

/** Chunks that are stored in one statement. */
const batchSize = 100

const findContent: Statement = {
  name: 'document-content',
  text: `SELECT d.user_id AS "userId", d.mime_type AS "mimeType", d.status,
      CASE WHEN d.status = 'INDEXING' THEN c.content END AS content FROM documents d
    JOIN document_contents c ON c.tenant_id = d.tenant_id AND c.document_id = d.id AND c.version = d.version
    WHERE d.tenant_id = $1 AND d.id = $2 AND d.version = $3`,
}

const noteProgress: Statement = {
  name: 'document-note-progress',
  text: `UPDATE documents SET progress = greatest(progress, $4), updated_at = clock_timestamp()
    WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status = 'INDEXING' RETURNING id`,
}

const countStored: Statement = {
  name: 'document-count-chunks',
  text: `SELECT coalesce(max(seq), 0) AS count FROM chunks
    WHERE tenant_id = $1 AND document_id = $2 AND version = $3`,
}

// The lock on the document's row keeps a newer version, and the end of this one, from coming in between.
const storeChunks: Statement = {
  name: 'document-store-chunks',
  text: `WITH d AS (
      UPDATE documents SET updated_at = clock_timestamp()
      WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status = 'INDEXING' RETURNING id
    ), stored AS (
      INSERT INTO chunks (tenant_id, document_id, version, id, seq, start_offset, end_offset, page, heading, content, words)
      SELECT $1, $2, $3, c.id, c.seq, c."start", c."end", c.page, c.heading, c.text,
        to_tsvector('public.parley', coalesce(c.heading || E'\\n', '') || c.text)
      FROM d, jsonb_to_recordset($4::jsonb) AS c(id uuid, seq int, "start" int, "end" int, page int, heading text, text text)
      ON CONFLICT DO NOTHING)
    SELECT id FROM d`,
}

const markReady: Statement = {
  name: 'document-mark-ready',
  text: `UPDATE documents SET status = 'READY', error = NULL, progress = 1, chunk_count = $4, indexed_version = version,
      embedding_model = $5, updated_at = clock_timestamp()
    WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status = 'INDEXING' RETURNING id`,
}

const markFailed: Statement = {
  name: 'document-mark-failed',
  text: `UPDATE documents SET status = 'FAILED', error = $4, updated_at = clock_timestamp()
    WHERE tenant_id = $1 AND id = $2 AND version = $3 AND status = 'INDEXING' RETURNING id`,
}

// What is searched stays; what a version that failed or was overtaken left goes.
const dropOtherChunks: Statement = {
  name: 'document-drop-other-chunks',
  text: `DELETE FROM chunks c USING documents d WHERE d.tenant_id = $1 AND d.id = $2 AND c.tenant_id = d.tenant_id
      AND c.document_id = d.id AND c.version IS DISTINCT FROM d.indexed_version`,
}

const countAhead: Statement = {
  name: 'document-count-ahead',
  text: `SELECT count(*)::int AS ahead FROM documents
    WHERE tenant_id = $1 AND user_id = $2 AND status = 'INDEXING' AND id <> $3`,
}

/** Documents without vectors that one sweep takes. */
const sweptAtOnce = 1_000

// Whose job was never stored, or was given up after its last try; and whose vectors are of another model, or missing: those
// after the last one that a sweep took, so that what fails time and again keeps no other from its turn.
const findForgotten: Statement = {
  name: 'document-forgotten',
  text: `SELECT *, row_number() OVER (PARTITION BY "tenantId", "userId")::int - 1 AS ahead FROM (
      SELECT tenant_id AS "tenantId", user_id AS "userId", id, version, false AS "lacksVectors" FROM documents
      WHERE status = 'INDEXING' AND updated_at < now() - interval '3 minutes'
      UNION ALL
      (SELECT tenant_id, user_id, id, version, true FROM documents
        WHERE status = 'READY' AND $1::text IS NOT NULL AND embedding_model IS DISTINCT FROM $1
          AND (tenant_id, id) > ($2::uuid, $3::uuid)
        ORDER BY tenant_id, id LIMIT ${sweptAtOnce})) AS d
    ORDER BY "lacksVectors", "tenantId", id`,
}

type Forgotten = Offered & { ahead: number; lacksVectors: boolean }

const firstId = '00000000-0000-0000-0000-000000000000'

// Of fewer chunks than these all are compared.
const findDimensions: Statement = {
  name: 'chunk-vector-dimensions',
  text: `SELECT cardinality(embedding) AS dimensions FROM chunks WHERE embedding_model = $1 OFFSET ${maxCompared} LIMIT 1`,
}

type Dependencies = {
  database: Database
  jobs: Jobs
  embedder: Embedder | null
  news: DocumentNews
  log: Log
}

type Work = { tenantId: string; documentId: string; version: number }
type Found = { userId: string; mimeType: string; status: Document['status']; content: Buffer }

export function createIndexing({ database, jobs, embedder, news, log }: Dependencies): Indexing {
  const vectors = embedder && createVectorStore(embedder)

  async function offer(document: Offered) {
    const { tenantId, userId, id } = document
    try {
      const [row] = await database
        .forTenant(tenantId)
        .sql<{ ahead: number }>(countAhead, [tenantId, userId, id])
      await send(document, row?.ahead ?? 0)
    } catch (error) {
      log.warn({ err: error, documentId: id }, 'a document waits for the next sweep to be indexed')
    }
  }

  function send({ tenantId, userId, id: documentId, version }: Offered, ahead: number) {
    const work: Work = { tenantId, documentId, version }
    return jobs.send(indexJob, work, { singletonKey: `${documentId}:${version}`, group: userId, ahead })
  }

  async function index(work: Work, signal: AbortSignal) {
    const db = database.forTenant(work.tenantId)
    const key = [work.tenantId, work.documentId, work.version]
    const [found] = await db.sql<Found>(findContent, key)
    if (!found || found.status === 'FAILED') return
    const { userId } = found
    // Searched already: what is missing are vectors.
    if (found.status === 'READY') return vectors?.complete(db, { ...work, userId }, signal)
    try {
      await indexContent(db, work, found, signal)
    } catch (error) {
      if (!(error instanceof UnreadableContent)) throw error
      await finish(db, work, markFailed, [`The content ${error.message}.`])
    }
  }

  async function indexContent(db: TenantDatabase, work: Work, content: Found, signal: AbortSignal) {
    const key = [work.tenantId, work.documentId, work.version]
    const note = createProgress(async (share) => {
      await db.sql(noteProgress, [...key, share])
      await tell(work)
    })
    // Reading takes about a third of the time, storing and vectors the rest.
    const text = await extractText(content, (share) => note(share / 3), signal)
    const [stored] = await db.sql<{ count: number }>(countStored, key)
    let count = 0
    let batch: (Piece & { id: string; seq: number })[] = []
    const store = async () => {
      signal.throwIfAborted()
      const [current] = await db.sql(storeChunks, [...key, JSON.stringify(batch)])
      note((1 + (batch.at(-1)?.end ?? 0) / text.text.length) / 3)
      batch = []
      return current !== undefined
    }
    for (const piece of chunksOf(text)) {
      count += 1
      if (count <= (stored?.count ?? 0)) continue
      batch.push({ ...piece, id: newId(), seq: count })
      if (batch.length === batchSize && !(await store())) return
    }
    if (count === 0) throw new UnreadableContent('has no text')
    if (batch.length > 0 && !(await store())) return
    const model = await embed(db, { ...work, userId: content.userId }, count, note, signal)
    await finish(db, work, markReady, [count, model])
  }

  /** The model whose vectors all chunks have now; null where there is none, or it is out of reach: words do as well. */
  async function embed(
    db: TenantDatabase,
    work: Work & { userId: string },
    count: number,
    note: (share: number) => void,
    signal: AbortSignal,
  ) {
    if (!vectors) return null
    try {
      await vectors.add(db, work, (done) => note((2 + done / count) / 3), signal)
      return vectors.model
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ err: error, documentId: work.documentId }, 'a document is indexed without vectors for now')
      return null
    }
  }

  const tell = ({ tenantId, documentId: id }: Work) => news.tell({ tenantId, id })

  async function finish(db: TenantDatabase, work: Work, mark: Statement, values: unknown[]) {
    const key = [work.tenantId, work.documentId]
    await db.transaction(async (sql) => {
      await allowLongStatements(sql)
      const [marked] = await sql(mark, [...key, work.version, ...values])
      if (marked) await sql(dropOtherChunks, key)
    })
    await tell(work)
  }

  jobs.work<Work>(indexJob, index)
  // Where this node's next sweep begins; other nodes may be elsewhere, as each goes round them all.
  let sweptTo = { tenantId: firstId, id: firstId }
  jobs.work(sweepJob, async () => {
    const values = [embedder?.model ?? null, sweptTo.tenantId, sweptTo.id]
    const forgotten = await database.system.sql<Forgotten>(findForgotten, values)
    const lacking = forgotten.filter(({ lacksVectors }) => lacksVectors)
    const last = lacking.length === sweptAtOnce ? lacking.at(-1) : undefined
    sweptTo = last ?? { tenantId: firstId, id: firstId }
    for (const document of forgotten) await send(document, document.ahead)
  })
  jobs.schedule(sweepJob, '*/5 * * * *')
  jobs.work(vectorIndexJob, async () => {
    if (!database.vectors || !embedder) return
    const [chunk] = await database.system.sql<{ dimensions: number }>(findDimensions, [embedder.model])
    if (chunk && chunk.dimensions <= maxIndexed) await database.vectors.keepIndex(chunk.dimensions)
  })
  jobs.schedule(vectorIndexJob, '*/10 * * * *')
  return { offer }
}

const progressEveryMs = 500

/** Stores how far the work is, now and then; what fails here is not worth failing for. */
function createProgress(store: (share: number) => Promise<void>) {
  let notedAtMs = 0
  return (share: number) => {
    if (performance.now() - notedAtMs < progressEveryMs) return
    notedAtMs = performance.now()
    store(share).catch(() => {})
  }
}
