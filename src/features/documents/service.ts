import { isDeepStrictEqual } from 'node:util'
import { actsForTenant, onVisibleSession, visibleDocuments } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Document, Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { findByPart } from '../../db/text-parts.ts'
import { closing } from '../../lib/async.ts'
import { createBatch } from '../../lib/batch.ts'
import { ForbiddenError, invalid, LimitError, NotFoundError } from '../../lib/errors.ts'
import { encodeId, newId } from '../../lib/ids.ts'
import { type Page, type PageArgs, readPage } from '../../lib/paging.ts'
import { changeRecorded, recordUnlessOwn } from '../audit/record.ts'
import type { DocumentChecks } from './checks.ts'
import type { MimeType } from './extraction.ts'
import type { Indexing } from './indexing.ts'
import type { DocumentNews } from './news.ts'

/** A document is seen by its owner, by admins, and by whoever sees a session that it hangs on; the first two change it. */
export type Documents = {
  /** A page of the documents that the viewer may see, the newest first; `query` is Prisma's selection of what hangs on them. */
  page(viewer: Viewer, args: DocumentList, query: object): Promise<Page<Document>>
  /** A document that the viewer may see, or null; for many at once, it is one statement. */
  find(viewer: Viewer, documentId: string): Promise<Document | null>
  /** The documents of a session that the viewer sees, by title; for many sessions at once, it is one statement. */
  ofSession(viewer: Viewer, sessionId: string): Promise<readonly Document[]>
  /** Stores a document and has it indexed; throws `LimitError` where the viewer has too many. */
  create(viewer: Viewer, input: unknown): Promise<Document>
  /** Changes what is given. A new content is indexed anew, and the one before is searched until that is done. */
  update(viewer: Viewer, input: unknown): Promise<Document>
  /**
   * The document as it is, then as it is after each change; ends when it is gone or no longer visible, within 5 s. Throws
   * `NotFoundError` where it is not visible now.
   */
  follow(viewer: Viewer, documentId: string): Promise<AsyncIterableIterator<Document>>
  /** Erases a document, also from the sessions that it hangs on and from the replies that cite it. */
  remove(viewer: Viewer, documentId: string): Promise<{ id: string }>
}

export type DocumentFilter = {
  title?: string | null | undefined
  status?: Document['status'] | null | undefined
  sessionId?: string | null | undefined
}

export type DocumentList = PageArgs & { filter?: DocumentFilter | null | undefined }

export const documentPageSizes = { default: 20, max: 100 }

export const documentColumns = columnsOf('Document', 'd')

// Two at one moment would count without each other.
const lockOwner: Statement = {
  name: 'document-lock-owner',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('documents of ' || $1::text || $2::text, 0))`,
}

const insertDocument: Statement = {
  name: 'document-insert',
  text: `WITH stored AS (
      INSERT INTO documents AS d (tenant_id, id, user_id, title, mime_type, bytes, metadata)
      SELECT $1, $2, $3, $4, $5, $6, $7
      WHERE (SELECT count(*) FROM documents WHERE tenant_id = $1 AND user_id = $3) < $9
      RETURNING d.*
    ), content AS (
      INSERT INTO document_contents (tenant_id, document_id, version, content)
      SELECT tenant_id, id, version, $8 FROM stored)
    SELECT ${documentColumns} FROM stored d`,
}

// What is not given comes as null.
const updateDocument: Statement = {
  name: 'document-update',
  text: `WITH stored AS (
      UPDATE documents d SET updated_at = clock_timestamp(), title = coalesce($3, d.title),
        metadata = coalesce($4, d.metadata),
        mime_type = CASE WHEN $5::bytea IS NULL THEN d.mime_type ELSE $6 END,
        bytes = coalesce(length($5), d.bytes),
        version = CASE WHEN $5 IS NULL THEN d.version ELSE d.version + 1 END,
        status = CASE WHEN $5 IS NULL THEN d.status ELSE 'INDEXING' END,
        error = CASE WHEN $5 IS NULL THEN d.error END,
        progress = CASE WHEN $5 IS NULL THEN d.progress ELSE 0 END
      WHERE d.tenant_id = $1 AND d.id = $2 RETURNING d.*
    ), content AS (
      UPDATE document_contents c SET version = stored.version, content = $5 FROM stored
      WHERE $5 IS NOT NULL AND c.tenant_id = stored.tenant_id AND c.document_id = stored.id)
    SELECT ${documentColumns} FROM stored d`,
}

// A document has thousands of chunks, which go with it.
const deleteDocument: Statement = {
  name: 'document-delete',
  text: 'DELETE FROM documents WHERE tenant_id = $1 AND id = $2 RETURNING id',
}

const findOfSessions: Statement = {
  name: 'document-of-sessions',
  text: `SELECT ${documentColumns}, sd.session_id AS "sessionId" FROM session_documents sd
    JOIN documents d ON d.tenant_id = sd.tenant_id AND d.id = sd.document_id
    WHERE sd.tenant_id = $1 AND sd.session_id = ANY($2) ORDER BY d.title, d.id`,
}

type Dependencies = { checks: DocumentChecks; perUser: number; indexing: Indexing; news: DocumentNews }

export function createDocuments({ checks, perUser, indexing, news }: Dependencies): Documents {
  const findVisible = createBatch<Viewer, string, Document>(async (viewer, ids) => {
    const where = { tenantId: viewer.tenantId, id: { in: [...ids] }, ...visibleDocuments(viewer) }
    const found = await viewer.db.prisma.document.findMany({ where })
    return new Map(found.map((document) => [document.id, document]))
  })
  const ofSessions = createBatch<Viewer, string, Document[]>(async ({ db, tenantId }, sessionIds) => {
    const rows = await db.sql<Document & { sessionId: string }>(findOfSessions, [tenantId, sessionIds])
    return Map.groupBy(rows, ({ sessionId }) => sessionId)
  })
  const find = async (viewer: Viewer, id: string) => (await findVisible(viewer, id)) ?? null

  async function requireOwn(viewer: Viewer, id: string): Promise<Document> {
    const document = await find(viewer, id)
    if (!document) throw new NotFoundError('document')
    if (document.userId !== viewer.userId && !actsForTenant(viewer))
      throw new ForbiddenError('Only its owner and admins can change a document.')
    return document
  }

  return {
    find,
    ofSession: async (viewer, sessionId) => (await ofSessions(viewer, sessionId)) ?? [],
    async page(viewer, { filter, ...args }, query) {
      checks.list({ filter: { title: filter?.title } })
      const ids = actsForTenant(viewer) ? await findRare(viewer, filter ?? {}) : null
      const where = {
        tenantId: viewer.tenantId,
        ...(ids ? { id: { in: ids } } : {}),
        ...(await listedTo(viewer)),
        ...conditionsOf(viewer, filter),
      }
      const { document } = viewer.db.prisma
      return readPage({
        args,
        sizes: documentPageSizes,
        order: [{ field: 'id', direction: 'desc', type: 'uuid' }],
        find: (page) => document.findMany({ ...query, ...page, where: { AND: [where, page.where] } }),
        count: () => document.count({ where }),
      })
    },
    async create(viewer, asked) {
      const { title, mimeType, metadata, bytes } = checks.create(asked)
      const { tenantId, userId } = viewer
      const document = await viewer.db.transaction(async (sql) => {
        await sql(lockOwner, [tenantId, userId])
        const [stored] = await sql<Document>(insertDocument, [
          ...[tenantId, newId(), userId, title, mimeType, bytes.length],
          ...[metadata ?? {}, bytes, perUser],
        ])
        if (!stored)
          throw new LimitError(
            `You have ${perUser} documents already, which is the limit (DOCUMENTS_PER_USER); delete one.`,
            perUser,
          )
        return stored
      })
      await indexing.offer(document)
      return document
    },
    async update(viewer, asked) {
      const { documentId, title, metadata, ...input } = checks.update(asked)
      const owned = await requireOwn(viewer, documentId)
      const mimeType = input.mimeType ?? (owned.mimeType as MimeType)
      const content = checks.contentOf(input, mimeType)
      if (input.mimeType && !content) throw invalid('mimeType', 'goes with a new text or base64 only')
      const values = [viewer.tenantId, documentId, title ?? null, metadata ?? null, content, mimeType]
      const done = { action: 'updateDocument', target: encodeId('Document', documentId) }
      const document = await changeRecorded(viewer, owned.userId, done, async (sql) => {
        const [changed] = await sql<Document>(updateDocument, values)
        if (!changed) throw new NotFoundError('document')
        return changed
      })
      await news.tell(document)
      if (content) await indexing.offer(document)
      return document
    },
    async remove(viewer, documentId) {
      const { userId } = await requireOwn(viewer, documentId)
      await viewer.db.transaction(async (sql) => {
        await allowLongStatements(sql)
        const [gone] = await sql(deleteDocument, [viewer.tenantId, documentId])
        if (!gone) throw new NotFoundError('document')
        const target = encodeId('Document', documentId)
        await recordUnlessOwn(sql, viewer, userId, { action: 'deleteDocument', target })
      })
      await news.tell({ tenantId: viewer.tenantId, id: documentId })
      return { id: documentId }
    },
    async follow(viewer, id) {
      // Attached before it is read: what changes in between is told.
      const changes = await news.follow({ tenantId: viewer.tenantId, id })
      const first = await find(viewer, id)
      if (!first) {
        await changes.return?.()
        throw new NotFoundError('document')
      }
      async function* documents() {
        let last = first as Document
        yield last
        for await (const _change of changes) {
          const document = await find(viewer, id)
          if (!document) return
          if (isDeepStrictEqual(document, last)) continue
          last = document
          yield document
        }
      }
      return closing(documents(), () => void changes.return?.())
    },
  }
}

/** A list names the documents of its viewer's sessions one by one, up to so many. */
const mostShown = 1_000

const findShown: Statement = {
  name: 'document-shown-to',
  text: `SELECT DISTINCT d.document_id AS id FROM (
      SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.deleted_at IS NULL
      UNION ALL
      SELECT s.id FROM participants p JOIN sessions s ON s.tenant_id = p.tenant_id AND s.id = p.session_id
      WHERE p.tenant_id = $1 AND p.user_id = $2 AND s.deleted_at IS NULL) AS s
    JOIN session_documents d ON d.tenant_id = $1 AND d.session_id = s.id LIMIT ${mostShown + 1}`,
}

/** As `visibleDocuments` says; one alternative to its own documents would be asked of every document of the tenant. */
async function listedTo(viewer: Viewer) {
  if (actsForTenant(viewer)) return {}
  const { db, tenantId, userId } = viewer
  const shown = await db.sql<{ id: string }>(findShown, [tenantId, userId])
  if (shown.length > mostShown) return visibleDocuments(viewer)
  return { OR: [{ userId }, { id: { in: shown.map(({ id }) => id) } }] }
}

const titled = { table: 'documents', id: 'id', text: 't.title' }

/** What more documents have is so common that the order of a list soon meets a page of it. */
const mostRare = 1_000

// For `searchSql`: behind row-level security no index serves the comparison of an enum.
const findInStatus: Statement = {
  name: 'document-in-status',
  text: `SELECT d.id FROM documents d WHERE d.tenant_id = $1 AND d.status = $2::text::"DocumentStatus"
    ORDER BY d.id DESC LIMIT ${mostRare + 1}`,
}

/**
 * The ids of the documents that have what few of a whole tenant have, or null; what one user may see is little enough to
 * be looked at.
 */
async function findRare({ db }: Viewer, { title, status }: DocumentFilter): Promise<string[] | null> {
  const titledSo = title ? await findByPart(db, 'document-found', titled, title) : null
  if (titledSo || !status) return titledSo
  const found = await db.searchSql<{ id: string }>(findInStatus, [status])
  return found.length <= mostRare ? found.map(({ id }) => id) : null
}

function conditionsOf(viewer: Viewer, filter: DocumentFilter | null | undefined) {
  const { title, status, sessionId } = filter ?? {}
  return {
    AND: [
      title ? { title: { contains: title, mode: 'insensitive' as const } } : {},
      status ? { status } : {},
      sessionId ? { sessions: { some: { sessionId, ...onVisibleSession(viewer) } } } : {},
    ],
  }
}
