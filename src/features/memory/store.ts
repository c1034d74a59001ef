import type { Memory, Run, Session, Sql, Statement, TenantDatabase } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { LimitError, NotFoundError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { type ChangeEvent, toWire } from '../../realtime/feed-events.ts'
import { lockMessages } from '../messages/removal.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'

/** What a memory belongs to. */
export type MemoryOwner = { userId: string } | { sessionId: string }

/** Who changes memories. A model does so only while its run is running, and still of this attempt. */
export type Changer = 'CLIENT' | Pick<Run, 'id' | 'attempt'>

/** Writes down, in the transaction of the change, what was done. */
export type Recording = (sql: Sql) => Promise<void>

/** The run that was to change a memory is another's meanwhile, has ended or is to end; nothing was changed. */
export class RunLostError extends Error {}

export type NewMemory = { key: string; value: unknown; expiresAt?: Date | null | undefined }

/**
 * Memories as they are stored. A change of a session's is a change of that session: it raises its revision and is told
 * in its feed. Who may is the caller's question.
 */
export type MemoryStore = {
  /**
   * Stores all or none; a key that is there gets the new value. Throws `LimitError` where it holds no more keys, and
   * `RunLostError`.
   */
  save(
    db: TenantDatabase,
    owner: MemoryOwner,
    memories: readonly NewMemory[],
    by: Changer,
    record?: Recording,
  ): Promise<Memory[]>
  /** The memories under these keys, in the order of their keys; all where null. */
  read(db: TenantDatabase, owner: MemoryOwner, keys: readonly string[] | null): Promise<Memory[]>
  /** Throws `NotFoundError` where nothing is under the key, and `RunLostError`. */
  remove(db: TenantDatabase, owner: MemoryOwner, key: string, by: Changer, record?: Recording): Promise<void>
  /** Removes those whose keys begin with `prefix`; gives how many there were. */
  clear(db: TenantDatabase, owner: MemoryOwner, prefix: string, record?: Recording): Promise<number>
}

export const memoryColumns = columnsOf('Memory', 'm')

/** What has expired is gone, whether or not it is erased yet. */
export const isAlive = '(m.expires_at IS NULL OR m.expires_at > now())'

/** One statement for each kind of owner: `%` is the column that names it, `$2` its id. */
const perOwner = (name: string, text: string) => ({
  user: { name: `${name}-of-user`, text: text.replaceAll('%', 'user_id') },
  session: { name: `${name}-of-session`, text: text.replaceAll('%', 'session_id') },
})

const eraseExpired = perOwner(
  'memory-erase-expired',
  `DELETE FROM memories m WHERE m.tenant_id = $1 AND m.% = $2 AND NOT ${isAlive}`,
)

const upsert = perOwner(
  'memory-upsert',
  `INSERT INTO memories AS m (tenant_id, %, id, key, value, source, expires_at)
    SELECT $1, $2, d.id, d.key, d.value, $3::"MemorySource", d."expiresAt"
    FROM jsonb_to_recordset($4::jsonb) AS d(id uuid, key text, value jsonb, "expiresAt" timestamptz)
    ON CONFLICT (tenant_id, %, key) DO UPDATE SET value = excluded.value, source = excluded.source,
      expires_at = excluded.expires_at, updated_at = now()
    RETURNING ${memoryColumns}`,
)

const countKeys = perOwner(
  'memory-count-keys',
  'SELECT count(*)::int AS count FROM memories m WHERE m.tenant_id = $1 AND m.% = $2',
)

const findByKeys = perOwner(
  'memory-by-keys',
  `SELECT ${memoryColumns} FROM memories m
    WHERE m.tenant_id = $1 AND m.% = $2 AND ${isAlive} AND ($3::text[] IS NULL OR m.key = ANY($3))
    ORDER BY m.key COLLATE "C"`,
)

const deleteKey = perOwner(
  'memory-delete',
  `DELETE FROM memories m WHERE m.tenant_id = $1 AND m.% = $2 AND m.key = $3 AND ${isAlive} RETURNING m.key`,
)

const deletePrefix = perOwner(
  'memory-clear',
  `DELETE FROM memories m WHERE m.tenant_id = $1 AND m.% = $2 AND starts_with(m.key, $3) AND ${isAlive}
    RETURNING m.key`,
)

// Those who change a user's memories at the same time take turns, so that the count of keys holds.
const lockUser: Statement = {
  name: 'memory-lock-user',
  text: 'SELECT id FROM users WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE',
}

// Whoever takes the run over, or ends it, waits until the change is committed, or comes first.
const holdRun: Statement = {
  name: 'memory-hold-run',
  text: `SELECT r.id FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING'
      AND r.cancel_requested_at IS NULL AND s.deleted_at IS NULL FOR SHARE OF r`,
}

const touchSession: Statement = {
  name: 'memory-touch-session',
  text: `UPDATE sessions s SET revision = revision + 1, updated_at = clock_timestamp()
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

/** `memory` null: it was removed. */
type KeyChange = { key: string; memory: Memory | null }
type Done<Result> = { result: Result; changed: readonly KeyChange[] }

const memoryChanged = ({ key, memory }: KeyChange, { revision }: Session): ChangeEvent => ({
  type: 'MemoryChanged',
  revision,
  key,
  memory: memory && toWire(memory),
})

export function createMemoryStore({ changes, maxKeys }: { changes: Changes; maxKeys: number }): MemoryStore {
  async function change<Result>(
    db: TenantDatabase,
    owner: MemoryOwner,
    by: Changer,
    work: (sql: Sql) => Promise<Done<Result>>,
  ): Promise<Result> {
    const { tenantId } = db
    const requireHold = async (sql: Sql) => {
      if (by === 'CLIENT') return
      const [held] = await sql(holdRun, [tenantId, by.id, by.attempt])
      if (!held) throw new RunLostError('The run is not held any more.')
    }
    if ('userId' in owner)
      return db.transaction(async (sql) => {
        const [user] = await sql(lockUser, [tenantId, owner.userId])
        if (!user) throw new NotFoundError('user')
        await requireHold(sql)
        return (await work(sql)).result
      })
    const { sessionId } = owner
    return changes.commit(db, sessionId, async (sql) => {
      await lockMessages(sql, { tenantId, sessionId })
      await requireHold(sql)
      const { result, changed } = await work(sql)
      if (changed.length === 0) return { result, events: [] }
      const [session] = await sql<Session>(touchSession, [tenantId, sessionId])
      if (!session) throw new NotFoundError('session')
      return {
        result,
        events: [...changed.map((each) => memoryChanged(each, session)), sessionUpdated(session)],
      }
    })
  }

  return {
    save: (db, owner, memories, by, record) =>
      change(db, owner, by, async (sql) => {
        const [of, id] = kindOf(owner)
        await sql(eraseExpired[of], [db.tenantId, id])
        const rows = JSON.stringify(memories.map((memory) => ({ ...memory, id: newId() })))
        const source: Memory['source'] = by === 'CLIENT' ? 'CLIENT' : 'MODEL'
        const stored = await sql<Memory>(upsert[of], [db.tenantId, id, source, rows])
        const [held] = await sql<{ count: number }>(countKeys[of], [db.tenantId, id])
        if ((held?.count ?? 0) > maxKeys)
          throw new LimitError(
            `This ${of} has ${maxKeys} memories; delete some before you save under new keys.`,
            maxKeys,
          )
        await record?.(sql)
        const byKey = new Map(stored.map((memory) => [memory.key, memory]))
        const result = memories.flatMap(({ key }) => byKey.get(key) ?? [])
        return { result, changed: result.map((memory) => ({ key: memory.key, memory })) }
      }),
    read(db, owner, keys) {
      const [of, id] = kindOf(owner)
      return db.sql<Memory>(findByKeys[of], [db.tenantId, id, keys])
    },
    remove: (db, owner, key, by, record) =>
      change(db, owner, by, async (sql) => {
        const [of, id] = kindOf(owner)
        const [gone] = await sql(deleteKey[of], [db.tenantId, id, key])
        if (!gone) throw new NotFoundError('memory')
        await record?.(sql)
        return { result: undefined, changed: [{ key, memory: null }] }
      }),
    clear: (db, owner, prefix, record) =>
      change(db, owner, 'CLIENT', async (sql) => {
        const [of, id] = kindOf(owner)
        const gone = await sql<{ key: string }>(deletePrefix[of], [db.tenantId, id, prefix])
        if (gone.length > 0) await record?.(sql)
        return { result: gone.length, changed: gone.map(({ key }) => ({ key, memory: null })) }
      }),
  }
}

export const kindOf = (owner: MemoryOwner): readonly ['user' | 'session', string] =>
  'userId' in owner ? ['user', owner.userId] : ['session', owner.sessionId]
