import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement } from '../../db/client.ts'
import { invalid, NotFoundError } from '../../lib/errors.ts'
import { encodeId, newId } from '../../lib/ids.ts'
import type { Accounts } from '../accounts/service.ts'
import { recordAction } from '../audit/record.ts'
import { type Doomed, eraseMessages } from '../messages/removal.ts'
import type { Participants } from '../participants/service.ts'
import type { Runs } from '../runs/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'

export type Erasure = {
  /**
   * Removes all that a person has left, and the person: every session it owns; in others' sessions its messages, what
   * was answered to them, and its part in them; its templates, memories and documents. What it used stays counted, under
   * a name that stands for nobody. In small steps, each whole by itself: after a failure the same call goes on where it
   * stopped.
   */
  eraseUser(viewer: Viewer, userId: string): Promise<Receipt>
}

/** How much was erased, or made anonymous (`usageRecords`), by this call. */
export type Receipt = {
  sessions: number
  messages: number
  runs: number
  participations: number
  templates: number
  memories: number
  documents: number
  usageRecords: number
}

const maxPerStep = 500

const findUser: Statement = {
  name: 'erasure-user',
  text: 'SELECT id FROM users WHERE tenant_id = $1 AND id = $2',
}

// Those of others' sessions that it waits for, too.
const findUnended: Statement = {
  name: 'erasure-unended-runs',
  text: `SELECT r.id FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.tenant_id = $1 AND (r.user_id = $2 OR s.user_id = $2) AND s.deleted_at IS NULL
      AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') ORDER BY r.id DESC`,
}

const findOwnSession: Statement = {
  name: 'erasure-own-session',
  text: `SELECT s.id,
      (SELECT count(*)::int FROM messages m WHERE m.tenant_id = s.tenant_id AND m.session_id = s.id) AS messages,
      (SELECT count(*)::int FROM runs r WHERE r.tenant_id = s.tenant_id AND r.session_id = s.id) AS runs
    FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND NOT s.is_stateless LIMIT 1`,
}

// What forks have from it, and from each other; what their owners changed since is their own.
const clearForks: Statement = {
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
const eraseStateless: Statement = {
  name: 'erasure-stateless-runs',
  text: `WITH doomed AS (SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.is_stateless
      LIMIT ${maxPerStep})
    DELETE FROM sessions s USING doomed WHERE s.tenant_id = $1 AND s.id = doomed.id
    RETURNING s.message_count AS messages`,
}

const findSessionWrittenIn: Statement = {
  name: 'erasure-session-written-in',
  text: 'SELECT session_id AS id FROM messages WHERE tenant_id = $1 AND author_id = $2 LIMIT 1',
}

const lockSession: Statement = {
  name: 'erasure-lock-session',
  text: `SELECT ${sessionColumns} FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 FOR NO KEY UPDATE`,
}

// What it wrote, and the replies to that: those of the runs, and, where a reply was copied or imported and has none,
// those that stand below. The newest first, so that no reply outlives the question that tells whose it is.
const findMessages: Statement = {
  name: 'erasure-messages',
  text: `SELECT m.id, m.seq, m.content, m.replaced_at AS "replacedAt" FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND (m.author_id = $3
      OR m.run_id IN (SELECT r.id FROM runs r
        JOIN messages q ON q.tenant_id = r.tenant_id AND q.id = r.user_message_id
        WHERE r.tenant_id = $1 AND r.session_id = $2 AND q.author_id = $3)
      OR (m.role IN ('ASSISTANT', 'TOOL') AND $3 = (SELECT q.author_id FROM messages q
        WHERE q.tenant_id = $1 AND q.session_id = $2 AND q.role = 'USER' AND q.seq < m.seq
        ORDER BY q.seq DESC LIMIT 1)))
    ORDER BY m.seq DESC LIMIT ${maxPerStep}`,
}

const countRunsOf: Statement = {
  name: 'erasure-count-runs',
  text: `SELECT count(*)::int AS count FROM runs
    WHERE tenant_id = $1 AND (user_message_id = ANY($2) OR assistant_message_id = ANY($2))`,
}

// A title that a model made may tell what the person wrote.
const dropMadeTitle: Statement = {
  name: 'erasure-drop-made-title',
  text: `UPDATE sessions SET title = NULL, title_source = NULL
    WHERE tenant_id = $1 AND id = $2 AND title_source = 'MODEL'`,
}

// It had another's question answered anew: the reply stays, who asked for it does not.
const eraseRuns: Statement = {
  name: 'erasure-runs',
  text: `WITH doomed AS (SELECT tenant_id, id FROM runs WHERE tenant_id = $1 AND user_id = $2 LIMIT ${maxPerStep}),
      released AS (UPDATE messages m SET run_id = NULL FROM doomed
        WHERE m.tenant_id = doomed.tenant_id AND m.run_id = doomed.id)
    DELETE FROM runs r USING doomed WHERE r.tenant_id = doomed.tenant_id AND r.id = doomed.id RETURNING r.id`,
}

const findShared: Statement = {
  name: 'erasure-shared-sessions',
  text: `SELECT s.id FROM participants p JOIN sessions s ON s.tenant_id = p.tenant_id AND s.id = p.session_id
    WHERE p.tenant_id = $1 AND p.user_id = $2 AND s.deleted_at IS NULL`,
}

const eraseParticipations: Statement = {
  name: 'erasure-participations',
  text: 'DELETE FROM participants WHERE tenant_id = $1 AND user_id = $2 RETURNING session_id',
}

const releaseTemplates: Statement = {
  name: 'erasure-release-templates',
  text: `UPDATE sessions s SET template_id = NULL FROM templates t
    WHERE t.tenant_id = $1 AND t.author_id = $2 AND s.tenant_id = t.tenant_id AND s.template_id = t.id`,
}

const eraseTemplates: Statement = {
  name: 'erasure-templates',
  text: 'DELETE FROM templates WHERE tenant_id = $1 AND author_id = $2 RETURNING id',
}

const eraseMemories: Statement = {
  name: 'erasure-memories',
  text: 'DELETE FROM memories WHERE tenant_id = $1 AND user_id = $2 RETURNING id',
}

// With all that was indexed of them, which is much; replies of others that cite them lose the excerpts.
const eraseDocuments: Statement = {
  name: 'erasure-documents',
  text: `DELETE FROM documents WHERE tenant_id = $1 AND id IN (
      SELECT id FROM documents WHERE tenant_id = $1 AND user_id = $2 LIMIT 2)
    RETURNING id`,
}

const allowLongStatements: Statement = {
  name: 'erasure-allow-long-statements',
  text: `SELECT set_config('statement_timeout', '60000', true)`,
}

const renameUsage: Statement = {
  name: 'erasure-rename-usage',
  text: `UPDATE usage_records SET user_id = $3 WHERE tenant_id = $1 AND run_id IN (
      SELECT run_id FROM usage_records WHERE tenant_id = $1 AND user_id = $2 LIMIT ${maxPerStep})
    RETURNING run_id`,
}

// What it has read goes with it; what it used stays in the sum of its tenant.
const eraseUserRow: Statement = {
  name: 'erasure-erase-user',
  text: `WITH days AS (DELETE FROM usage_days WHERE tenant_id = $1 AND subject_id = $2),
      quota AS (DELETE FROM quotas WHERE tenant_id = $1 AND subject_id = $2)
    DELETE FROM users WHERE tenant_id = $1 AND id = $2`,
}

type Dependencies = {
  sessions: Sessions
  participants: Participants
  runs: Runs
  accounts: Accounts
  changes: Changes
}

export function createErasure({ sessions, participants, runs, accounts, changes }: Dependencies): Erasure {
  async function cancelRuns(viewer: Viewer, userId: string) {
    const unended = await viewer.db.sql<{ id: string }>(findUnended, [viewer.tenantId, userId])
    for (const { id } of unended) await runs.cancel(viewer, id)
  }

  async function eraseOwnSessions(viewer: Viewer, userId: string, receipt: Receipt) {
    const key = [viewer.tenantId, userId]
    type Found = { id: string; messages: number; runs: number }
    for (;;) {
      const [own] = await viewer.db.sql<Found>(findOwnSession, key)
      if (!own) return
      const forks = await viewer.db.sql<Session>(clearForks, [viewer.tenantId, own.id])
      for (const fork of forks)
        await changes.announce(fork, [fork.deletedAt === null ? sessionUpdated(fork) : changedUnseen(fork)])
      await sessions.purge(viewer, own.id)
      receipt.sessions += 1
      receipt.messages += own.messages
      receipt.runs += own.runs
    }
  }

  async function eraseStatelessRuns({ db, tenantId }: Viewer, userId: string, receipt: Receipt) {
    receipt.runs += await untilNone(async () => {
      const erased = await db.sql<{ messages: number }>(eraseStateless, [tenantId, userId])
      receipt.messages += erased.reduce((sum, { messages }) => sum + messages, 0)
      return erased
    })
  }

  async function eraseWritten(viewer: Viewer, userId: string, receipt: Receipt) {
    for (;;) {
      const key = [viewer.tenantId, userId]
      const [session] = await viewer.db.sql<{ id: string }>(findSessionWrittenIn, key)
      if (!session) return
      await eraseStep(viewer, session.id, userId, receipt)
    }
  }

  const eraseStep = ({ db, tenantId }: Viewer, sessionId: string, userId: string, receipt: Receipt) =>
    changes.commit(db, sessionId, async (sql) => {
      const [session] = await sql<Session>(lockSession, [tenantId, sessionId])
      const doomed = await sql<Doomed>(findMessages, [tenantId, sessionId, userId])
      if (!session || doomed.length === 0) return { result: undefined, events: [] }
      const ids = doomed.map(({ id }) => id)
      const [asked] = await sql<{ count: number }>(countRunsOf, [tenantId, ids])
      await sql(dropMadeTitle, [tenantId, sessionId])
      const { session: changed, events } = await eraseMessages(sql, { tenantId, sessionId }, doomed, session)
      receipt.messages += doomed.length
      receipt.runs += asked?.count ?? 0
      return { result: undefined, events: changed.deletedAt === null ? events : [changedUnseen(changed)] }
    })

  async function leaveSessions(viewer: Viewer, userId: string, receipt: Receipt) {
    const key = [viewer.tenantId, userId]
    for (const { id } of await viewer.db.sql<{ id: string }>(findShared, key)) {
      await participants.remove(viewer, { sessionId: id, userId })
      receipt.participations += 1
    }
    // Those in deleted sessions, which nobody watches.
    receipt.participations += (await viewer.db.sql(eraseParticipations, key)).length
  }

  async function eraseTenantRows(viewer: Viewer, userId: string, receipt: Receipt) {
    const { db, tenantId } = viewer
    receipt.runs += await untilNone(() => db.sql(eraseRuns, [tenantId, userId]))
    receipt.templates += await db.transaction(async (sql) => {
      await sql(releaseTemplates, [tenantId, userId])
      return (await sql(eraseTemplates, [tenantId, userId])).length
    })
    receipt.memories += (await db.sql(eraseMemories, [tenantId, userId])).length
    receipt.documents += await untilNone(() =>
      db.transaction(async (sql) => {
        await sql(allowLongStatements, [])
        return sql(eraseDocuments, [tenantId, userId])
      }),
    )
    const nobody = newId()
    receipt.usageRecords += await untilNone(() => db.sql(renameUsage, [tenantId, userId, nobody]))
    await db.transaction(async (sql) => {
      await sql(eraseUserRow, [tenantId, userId])
      await recordAction(sql, viewer, { action: 'eraseUser', target: encodeId('User', userId) })
    })
  }

  return {
    async eraseUser(viewer, userId) {
      if (userId === viewer.userId)
        throw invalid('userId', 'is your own; another admin can erase you, or a service token')
      const [user] = await viewer.db.sql(findUser, [viewer.tenantId, userId])
      if (!user) throw new NotFoundError('user')
      const receipt = {
        sessions: 0,
        messages: 0,
        runs: 0,
        participations: 0,
        templates: 0,
        memories: 0,
        documents: 0,
        usageRecords: 0,
      }
      await cancelRuns(viewer, userId)
      // Out of others' sessions first: from there on it cannot write in them any more.
      await leaveSessions(viewer, userId, receipt)
      await eraseOwnSessions(viewer, userId, receipt)
      await eraseStatelessRuns(viewer, userId, receipt)
      await eraseWritten(viewer, userId, receipt)
      await eraseTenantRows(viewer, userId, receipt)
      accounts.forget(userId)
      return receipt
    },
  }
}

/** Repeats a step until it changes nothing; gives how many rows it changed in all. */
async function untilNone(step: () => Promise<object[]>): Promise<number> {
  let total = 0
  for (;;) {
    const { length } = await step()
    if (length === 0) return total
    total += length
  }
}
