import type { Statement } from '../../db/client.ts'
import { sessionColumns } from '../sessions/rows.ts'

/** What is found, changed and erased of a person; `$1` is the tenant, and, but for what is told of one session, `$2` the user. */

/** Rows that one statement erases, so that none takes long. */
const maxPerStep = 500

// Those of others' sessions that it waits for, too.
export const findUnended: Statement = {
  name: 'erasure-unended-runs',
  text: `SELECT r.id FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.tenant_id = $1 AND (r.user_id = $2 OR s.user_id = $2) AND s.deleted_at IS NULL
      AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') ORDER BY r.id DESC`,
}

export const findOwnSession: Statement = {
  name: 'erasure-own-session',
  text: `SELECT s.id,
      (SELECT count(*)::int FROM messages m WHERE m.tenant_id = s.tenant_id AND m.session_id = s.id) AS messages,
      (SELECT count(*)::int FROM runs r WHERE r.tenant_id = s.tenant_id AND r.session_id = s.id) AS runs
    FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND NOT s.is_stateless LIMIT 1`,
}

// What forks have from it, and from each other; what their owners changed since is their own.
export const clearForks: Statement = {
  name: 'erasure-clear-forks',
  text: `WITH RECURSIVE fork AS (
      SELECT f.id FROM sessions f WHERE f.tenant_id = $1 AND f.parent_id = $2
      UNION ALL
      SELECT f.id FROM sessions f JOIN fork ON f.tenant_id = $1 AND f.parent_id = fork.id)
    UPDATE sessions s SET revision = s.revision + 1, updated_at = now(),
      title = CASE WHEN s.title = own.title THEN NULL ELSE s.title END,
      title_source = CASE WHEN s.title = own.title THEN NULL ELSE s.title_source END,
      system_prompt = CASE WHEN s.system_prompt = own.system_prompt THEN NULL ELSE s.system_prompt END,
      metadata = CASE WHEN s.metadata = own.metadata THEN '{}' ELSE s.metadata END,
      tags = CASE WHEN s.tags = own.tags THEN '{}' ELSE s.tags END
    FROM fork, sessions own
    WHERE s.tenant_id = $1 AND s.id = fork.id AND s.user_id <> own.user_id AND own.tenant_id = $1 AND own.id = $2
    RETURNING ${sessionColumns}`,
}

// With its messages and its run.
export const eraseStateless: Statement = {
  name: 'erasure-stateless-runs',
  text: `WITH doomed AS (SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.is_stateless
      LIMIT ${maxPerStep})
    DELETE FROM sessions s USING doomed WHERE s.tenant_id = $1 AND s.id = doomed.id
    RETURNING s.message_count AS messages`,
}

export const findSessionWrittenIn: Statement = {
  name: 'erasure-session-written-in',
  text: 'SELECT session_id AS id FROM messages WHERE tenant_id = $1 AND author_id = $2 LIMIT 1',
}

export const lockSession: Statement = {
  name: 'erasure-lock-session',
  text: `SELECT ${sessionColumns} FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 FOR NO KEY UPDATE`,
}

// What it wrote, and the replies to that: those of the runs, and, where a reply was copied or imported and has none,
// those that stand below, but for the results of tools that another person gave. The newest first, so that no reply outlives the question that tells whose it is.
export const findMessages: Statement = {
  name: 'erasure-messages',
  text: `SELECT m.id, m.seq, m.content, m.replaced_at AS "replacedAt" FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND (m.author_id = $3
      OR m.run_id IN (SELECT r.id FROM runs r
        JOIN messages q ON q.tenant_id = r.tenant_id AND q.id = r.user_message_id
        WHERE r.tenant_id = $1 AND r.session_id = $2 AND q.author_id = $3)
      OR (m.role IN ('ASSISTANT', 'TOOL') AND $3 = (SELECT q.author_id FROM messages q
        WHERE q.tenant_id = $1 AND q.session_id = $2 AND q.role = 'USER' AND q.seq < m.seq
        ORDER BY q.seq DESC LIMIT 1)
        AND NOT EXISTS (SELECT FROM users other WHERE other.tenant_id = $1 AND other.id = m.author_id
          AND other.role <> 'SERVICE')))
    ORDER BY m.seq DESC LIMIT ${maxPerStep}`,
}

export const countRunsOf: Statement = {
  name: 'erasure-count-runs',
  text: `SELECT count(*)::int AS count FROM runs
    WHERE tenant_id = $1 AND (user_message_id = ANY($2) OR assistant_message_id = ANY($2))`,
}

// A title that a model made may tell what the person wrote.
export const dropMadeTitle: Statement = {
  name: 'erasure-drop-made-title',
  text: `UPDATE sessions SET title = NULL, title_source = NULL
    WHERE tenant_id = $1 AND id = $2 AND title_source = 'MODEL'`,
}

// It had another's question answered anew: the reply stays, who asked for it does not.
export const eraseRuns: Statement = {
  name: 'erasure-runs',
  text: `WITH doomed AS (SELECT tenant_id, id FROM runs WHERE tenant_id = $1 AND user_id = $2 LIMIT ${maxPerStep}),
      released AS (UPDATE messages m SET run_id = NULL FROM doomed
        WHERE m.tenant_id = doomed.tenant_id AND m.run_id = doomed.id)
    DELETE FROM runs r USING doomed WHERE r.tenant_id = doomed.tenant_id AND r.id = doomed.id RETURNING r.id`,
}

export const findShared: Statement = {
  name: 'erasure-shared-sessions',
  text: `SELECT s.id FROM participants p JOIN sessions s ON s.tenant_id = p.tenant_id AND s.id = p.session_id
    WHERE p.tenant_id = $1 AND p.user_id = $2 AND s.deleted_at IS NULL`,
}

export const eraseParticipations: Statement = {
  name: 'erasure-participations',
  text: 'DELETE FROM participants WHERE tenant_id = $1 AND user_id = $2 RETURNING session_id',
}

export const releaseTemplates: Statement = {
  name: 'erasure-release-templates',
  text: `UPDATE sessions SET template_id = NULL WHERE tenant_id = $1 AND id IN (
      SELECT s.id FROM templates t JOIN sessions s ON s.tenant_id = t.tenant_id AND s.template_id = t.id
      WHERE t.tenant_id = $1 AND t.author_id = $2 LIMIT ${maxPerStep})
    RETURNING id`,
}

export const eraseTemplates: Statement = {
  name: 'erasure-templates',
  text: 'DELETE FROM templates WHERE tenant_id = $1 AND author_id = $2 RETURNING id',
}

export const eraseMemories: Statement = {
  name: 'erasure-memories',
  text: 'DELETE FROM memories WHERE tenant_id = $1 AND user_id = $2 RETURNING id',
}

// With all that was indexed of them, which is much; replies of others that cite them lose the excerpts.
export const eraseDocuments: Statement = {
  name: 'erasure-documents',
  text: `DELETE FROM documents WHERE tenant_id = $1 AND id IN (
      SELECT id FROM documents WHERE tenant_id = $1 AND user_id = $2 LIMIT 2)
    RETURNING id`,
}

export const renameUsage: Statement = {
  name: 'erasure-rename-usage',
  text: `UPDATE usage_records SET user_id = $3 WHERE tenant_id = $1 AND run_id IN (
      SELECT run_id FROM usage_records WHERE tenant_id = $1 AND user_id = $2 LIMIT ${maxPerStep})
    RETURNING run_id`,
}

// What it has read goes with it; what it used stays in the sum of its tenant. Rollups that name it are out of date by now.
export const eraseUserRow: Statement = {
  name: 'erasure-erase-user',
  text: `WITH days AS (DELETE FROM usage_days WHERE tenant_id = $1 AND subject_id = $2),
      rollups AS (DELETE FROM usage_rollups WHERE tenant_id = $1 AND user_id = $2::uuid::text),
      quota AS (DELETE FROM quotas WHERE tenant_id = $1 AND subject_id = $2)
    DELETE FROM users WHERE tenant_id = $1 AND id = $2`,
}
