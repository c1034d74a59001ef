import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Sql, Statement } from '../../db/client.ts'
import { NotFoundError } from '../../lib/errors.ts'

/** SQL: whether the user sees the document `d`; the same rule as `visibleDocuments` of the policy. */
export const seesDocument = (user: string) => `(d.user_id = ${user} OR EXISTS (
    SELECT FROM session_documents sd JOIN sessions s ON s.tenant_id = sd.tenant_id AND s.id = sd.session_id
    WHERE sd.tenant_id = d.tenant_id AND sd.document_id = d.id AND s.deleted_at IS NULL
      AND (s.user_id = ${user} OR EXISTS (SELECT FROM participants p
        WHERE p.tenant_id = s.tenant_id AND p.session_id = s.id AND p.user_id = ${user}))))`

/** The user whose sight counts, or null for whoever sees all of the tenant. */
export const sightOf = (viewer: Viewer): string | null => (actsForTenant(viewer) ? null : viewer.userId)

// Locked, so that none of them is deleted before it is attached.
const lockVisible: Statement = {
  name: 'session-lock-documents',
  text: `SELECT d.id FROM documents d
    WHERE d.tenant_id = $1 AND d.id = ANY($2) AND ($3::uuid IS NULL OR ${seesDocument('$3')}) FOR KEY SHARE OF d`,
}

/** Makes documents that are held those of a session. */
export const replaceDocuments: Statement = {
  name: 'session-replace-documents',
  text: `WITH detached AS (DELETE FROM session_documents
      WHERE tenant_id = $1 AND session_id = $2 AND document_id <> ALL($3))
    INSERT INTO session_documents (tenant_id, session_id, document_id)
    SELECT $1, $2, id FROM unnest($3::uuid[]) AS id ON CONFLICT DO NOTHING`,
}

/** Those of the documents that the viewer sees; none of them is deleted before the end of the transaction. */
export async function holdVisible(sql: Sql, viewer: Viewer, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return []
  const visible = await sql<{ id: string }>(lockVisible, [viewer.tenantId, ids, sightOf(viewer)])
  return visible.map(({ id }) => id)
}

/** The ids, each once; throws `NotFoundError` unless the viewer sees all of the documents. */
export async function requireDocuments(
  sql: Sql,
  viewer: Viewer,
  documentIds: readonly string[],
): Promise<string[]> {
  const ids = [...new Set(documentIds)]
  if ((await holdVisible(sql, viewer, ids)).length < ids.length) throw new NotFoundError('document')
  return ids
}

/**
 * Makes these the documents of a session, in the caller's transaction; nothing is changed where none are given. Throws
 * `NotFoundError` unless the viewer sees all of them.
 */
export async function attachDocuments(
  sql: Sql,
  viewer: Viewer,
  sessionId: string,
  documentIds: readonly string[] | null | undefined,
): Promise<void> {
  if (!documentIds) return
  const ids = await requireDocuments(sql, viewer, documentIds)
  await sql(replaceDocuments, [viewer.tenantId, sessionId, ids])
}
