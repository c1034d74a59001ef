import type { Session, Sql, Statement, SystemDatabase } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Changes } from '../sessions/changes.ts'
import { leaveNotice } from '../sessions/list-notices.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'

export type Retention = {
  /**
   * Deactivates the sessions in which nothing happened for `afterDays`, and erases those that were deleted as long
   * ago, of all tenants; drops what is too old of the audit log and of notices to lists, and what was revoked longer ago
   * than any token lives. Batch by batch, each of its own; an aborted or failed sweep keeps what it did, and the next
   * one goes on from there.
   */
  sweep(signal: AbortSignal): Promise<Swept>
}

export type Swept = { deactivated: number; erased: number }

/** The most sessions in one transaction, and the messages that those which it erases may have together. */
const batchSize = 500
const batchMessages = 5_000

// Skips what is locked: it is in use right now, or in the hands of another sweep.
const deactivateQuiet: Statement = {
  name: 'retention-deactivate',
  text: `UPDATE sessions s SET is_active = false, revision = revision + 1, updated_at = now()
    FROM (SELECT tenant_id, id FROM sessions
      WHERE is_active AND deleted_at IS NULL AND updated_at < now() - make_interval(days => $1)
      ORDER BY updated_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED) quiet
    WHERE s.tenant_id = quiet.tenant_id AND s.id = quiet.id RETURNING ${sessionColumns}`,
}

const lockErasable: Statement = {
  name: 'retention-lock-erasable',
  text: `SELECT tenant_id AS "tenantId", id, last_seq AS "lastSeq" FROM sessions
    WHERE deleted_at < now() - make_interval(days => $1)
    ORDER BY deleted_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`,
}

const named = `(tenant_id, %) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))`

const detachForks: Statement = {
  name: 'retention-detach-forks',
  text: `UPDATE sessions SET parent_id = NULL, forked_at_seq = NULL WHERE ${named.replace('%', 'parent_id')}`,
}

const eraseSessions: Statement = {
  name: 'retention-erase',
  text: `DELETE FROM sessions WHERE ${named.replace('%', 'id')}`,
}

// Skips what is still being answered, and what is locked. OFFSET 0: looked up for each, where PostgreSQL would compare each
// with all runs.
const eraseStateless: Statement = {
  name: 'retention-erase-stateless',
  text: `DELETE FROM sessions WHERE (tenant_id, id) IN (
      SELECT s.tenant_id, s.id FROM sessions s
      WHERE s.is_stateless AND s.updated_at < now() - make_interval(hours => $1) AND NOT EXISTS (SELECT FROM runs r
        WHERE r.tenant_id = s.tenant_id AND r.session_id = s.id AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') OFFSET 0)
      ORDER BY s.updated_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)
    RETURNING id`,
}

// Nobody looks for one that is older than a minute.
const forgetNotices: Statement = {
  name: 'retention-forget-list-notices',
  text: `DELETE FROM list_notices WHERE (tenant_id, created_at, id) IN (
      SELECT tenant_id, created_at, id FROM list_notices WHERE created_at < now() - interval '5 minutes' LIMIT 5000)
    RETURNING id`,
}

const forgetEntries: Statement = {
  name: 'retention-forget-audit',
  text: `DELETE FROM audit_entries WHERE (tenant_id, id) IN (
      SELECT tenant_id, id FROM audit_entries WHERE created_at < now() - make_interval(days => $1)
      ORDER BY created_at LIMIT 5000)
    RETURNING id`,
}

const forgetRevocations: Statement = {
  name: 'retention-forget-revocations',
  text: `DELETE FROM token_revocations WHERE (tenant_id, id) IN (
      SELECT tenant_id, id FROM token_revocations WHERE revoked_at < now() - make_interval(days => $1, mins => 5)
      ORDER BY revoked_at LIMIT 5000)
    RETURNING id`,
}

type Dependencies = {
  system: SystemDatabase
  changes: Changes
  /** Days; 0 keeps sessions as they are. */
  afterDays: number
  /** Hours that a stateless run stays after its end. */
  statelessHours: number
  /** Days; 0 keeps the audit log for ever. */
  auditDays: number
  /** Days that a token lives at most. */
  tokenDays: number
  log: Log
}

export function createRetention({
  system,
  changes,
  afterDays,
  statelessHours,
  auditDays,
  tokenDays,
  log,
}: Dependencies): Retention {
  async function deactivateBatch(): Promise<number> {
    const sessions = await system.sql<Session>(deactivateQuiet, [afterDays])
    for (const session of sessions) await changes.announce(session, [sessionUpdated(session)])
    return sessions.length
  }

  // Their feeds ended when they were deleted; lists of what is deleted are left to be told.
  async function eraseBatch(): Promise<number> {
    const erased = await system.transaction(async (sql) => {
      const locked = await sql<Pick<Session, 'tenantId' | 'id' | 'lastSeq'>>(lockErasable, [afterDays])
      let messages = 0
      const batch = locked.filter(({ lastSeq }, index) => {
        messages += lastSeq
        return index === 0 || messages <= batchMessages
      })
      if (batch.length === 0) return []
      const keys = [batch.map(({ tenantId }) => tenantId), batch.map(({ id }) => id)]
      // One session alone may be long, and what hangs on it goes with it in one statement.
      await allowLongStatements(sql, 600)
      await sql(detachForks, keys)
      await sql(eraseSessions, keys)
      return withNotices(sql, batch)
    })
    for (const { notice, ...session } of erased) changes.list(session, { notices: [notice] })
    return erased.length
  }

  return {
    async sweep(signal) {
      const startedAt = performance.now()
      const deactivated = afterDays > 0 ? await untilNone(deactivateBatch, signal) : 0
      const erased = afterDays > 0 ? await untilNone(eraseBatch, signal) : 0
      await untilNone(async () => (await system.sql(eraseStateless, [statelessHours])).length, signal)
      await untilNone(async () => (await system.sql(forgetNotices, [])).length, signal)
      if (auditDays > 0)
        await untilNone(async () => (await system.sql(forgetEntries, [auditDays])).length, signal)
      await untilNone(async () => (await system.sql(forgetRevocations, [tokenDays])).length, signal)
      const durationMs = Math.round(performance.now() - startedAt)
      log.info({ deactivated, erased, afterDays, durationMs }, 'old sessions were tidied up')
      return { deactivated, erased }
    },
  }
}

/** One notice for each tenant, however many of its sessions were erased. */
async function withNotices<Erased extends { tenantId: string }>(sql: Sql, batch: readonly Erased[]) {
  const notices = new Map<string, string>()
  for (const { tenantId } of batch)
    if (!notices.has(tenantId)) notices.set(tenantId, await leaveNotice(sql, { tenantId, userId: null }))
  return batch.map((erased) => ({ ...erased, notice: notices.get(erased.tenantId) ?? '' }))
}

/** Repeats a batch until it finds nothing; gives how much it found in all. */
async function untilNone(batch: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    signal.throwIfAborted()
    const count = await batch()
    if (count === 0) return total
    total += count
  }
}
