import type { Session, Sql, Statement } from '../../db/client.ts'
import { isForeignKeyViolation } from '../../db/failures.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { sessionColumns } from './rows.ts'

/** A session to be stored; what is absent takes the column's default. */
export type NewSession = Pick<Session, 'tenantId' | 'id' | 'userId' | 'agentId' | 'title' | 'titleSource'> &
  Pick<Session, 'model' | 'systemPrompt' | 'tags'> & { parameters: unknown; metadata: unknown } & Partial<
    Pick<Session, 'clientId' | 'clientDigest' | 'key' | 'templateId' | 'parentId' | 'forkedAtSeq'>
  > & { contextPolicy?: unknown; isStateless?: boolean }

export type OpeningMessage = { role: 'USER' | 'ASSISTANT' | 'SYSTEM'; content: string }

const insertRow: Statement = {
  name: 'session-insert',
  text: `INSERT INTO sessions AS s (tenant_id, id, user_id, agent_id, title, title_source, model, system_prompt,
      parameters, metadata, tags, client_id, client_digest, key, template_id, parent_id, forked_at_seq, last_seq,
      message_count, context_policy, is_stateless, is_active)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18, $19, $20, NOT $20)
    RETURNING ${sessionColumns}`,
}

const insertOpening: Statement = {
  name: 'message-insert-opening',
  text: `INSERT INTO messages (tenant_id, session_id, id, seq, role, content, agent_id, author_id)
    SELECT $1, $2, o.id, o.seq, o.role, o.content, CASE WHEN o.role = 'ASSISTANT' THEN $4::uuid END,
      CASE WHEN o.role <> 'ASSISTANT' THEN $5::uuid END
    FROM jsonb_to_recordset($3::jsonb) AS o(id uuid, seq int, role "MessageRole", content text)`,
}

/** Deleted sessions of a user give up their keys for those that are to have them. */
export const releaseKeys: Statement = {
  name: 'session-release-keys',
  text: `UPDATE sessions SET key = NULL
    WHERE tenant_id = $1 AND user_id = $2 AND key = ANY($3) AND deleted_at IS NOT NULL`,
}

/** The failure to store a session: a `NotFoundError` where its user or template has gone since it was looked up. */
export function failureToInsert(error: unknown): unknown {
  if (isForeignKeyViolation(error, 'sessions_tenant_id_user_id_fkey')) return new NotFoundError('user')
  if (isForeignKeyViolation(error, 'sessions_tenant_id_template_id_fkey'))
    return new NotFoundError('template')
  return error
}

/**
 * Stores a session and the messages that it begins with, as part of the caller's transaction; throws `NotFoundError`
 * where its user or template is gone.
 */
export async function insertSession(
  sql: Sql,
  session: NewSession,
  opening: readonly OpeningMessage[] = [],
): Promise<Session> {
  const [stored] = await sql<Session>(insertRow, [
    session.tenantId,
    session.id,
    session.userId,
    session.agentId,
    session.title,
    session.titleSource,
    session.model,
    session.systemPrompt,
    session.parameters,
    session.metadata,
    session.tags,
    session.clientId ?? null,
    session.clientDigest ?? null,
    session.key ?? null,
    session.templateId ?? null,
    session.parentId ?? null,
    session.forkedAtSeq ?? null,
    opening.length,
    session.contextPolicy ?? null,
    session.isStateless ?? false,
  ]).catch((error) => {
    throw failureToInsert(error)
  })
  if (!stored) throw new Error('The session was not stored.')
  if (opening.length > 0) {
    const messages = opening.map((message, index) => ({ ...message, id: newId(), seq: index + 1 }))
    const { tenantId, id, agentId, userId } = stored
    await sql(insertOpening, [tenantId, id, JSON.stringify(messages), agentId, userId])
  }
  return stored
}
