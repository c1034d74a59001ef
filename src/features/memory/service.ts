import { z } from 'zod'
import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Database, Memory, Statement, SystemDatabase } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import { check, text } from '../../lib/checks.ts'
import { invalid, NotFoundError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import type { Page, PageArgs } from '../../lib/paging.ts'
import { findByExternalId, ownerOf as userOf } from '../accounts/people.ts'
import { recordUnlessOwn } from '../audit/record.ts'
import type { Sessions } from '../sessions/service.ts'
import { createMemoryCheck, memoryKey } from './checks.ts'
import { createMemoryPages } from './page.ts'
import type { MemoryStore, Recording } from './store.ts'

/**
 * Facts that outlive the turn they came from. Those of a user are its own, and open to admins and service tokens that
 * act for it; those of a session are read by all who take part in it and changed by its editors.
 */
export type Memories = {
  /** A page of one scope's memories, by key. */
  page(viewer: Viewer, input: object, page: PageArgs): Promise<Page<Memory>>
  /** A page of the memories of a session that the viewer was given already. */
  pageOfSession(viewer: Viewer, sessionId: string, input: object, page: PageArgs): Promise<Page<Memory>>
  /** Stores a value under a key; what was under it is replaced. Throws `LimitError` where the scope is full. */
  save(viewer: Viewer, input: unknown): Promise<Memory>
  /** The same for several, all or none. */
  saveAll(viewer: Viewer, input: unknown): Promise<Memory[]>
  /** Removes what is under a key; throws `NotFoundError` where nothing is. */
  remove(viewer: Viewer, input: unknown): Promise<{ key: string }>
  /** Removes all of a scope, or those whose keys begin alike; gives how many there were. */
  clear(viewer: Viewer, input: unknown): Promise<{ count: number }>
}

const maxBatch = 100

/** What a request says about whose memories it means. */
const scope = {
  scope: z.enum(['USER', 'SESSION']),
  sessionId: z.uuid().nullish(),
  userId: z.uuid().nullish(),
  externalUserId: text({ min: 1, max: 255 }).nullish(),
}

type Scope = z.output<z.ZodObject<typeof scope>>

/** What memories belong to; of a session, whose it is, too. */
type Owned = { userId: string } | { sessionId: string; ownerId: string }

type Dependencies = {
  config: Config['memory']
  database: Database
  sessions: Sessions
  store: MemoryStore
  jobs: Jobs
}

export function createMemories({ config, database, sessions, store, jobs }: Dependencies): Memories {
  jobs.work('memory-expiry', (_data, signal) => eraseExpiredMemories(database.system, signal))
  jobs.schedule('memory-expiry', '53 * * * *')
  const checks = createMemoryChecks(config)
  const readPage = createMemoryPages()

  async function ownerOf(viewer: Viewer, asked: Scope, right: 'VIEWER' | 'EDITOR'): Promise<Owned> {
    const { scope, sessionId, ...user } = asked
    if (scope === 'USER') {
      if (sessionId) throw invalid('sessionId', 'goes with the scope SESSION only')
      // Whoever saves for a person who has never signed in makes its record; whoever reads does not.
      if (right === 'VIEWER' && user.externalUserId && actsForTenant(viewer) && !user.userId) {
        const userId = await findByExternalId(viewer, user.externalUserId)
        if (!userId) throw new NotFoundError('user')
        return { userId }
      }
      return { userId: await userOf(viewer, user) }
    }
    for (const name of ['userId', 'externalUserId'] as const)
      if (user[name]) throw invalid(name, 'goes with the scope USER only')
    if (!sessionId) throw invalid('sessionId', 'is missing; the scope SESSION needs one')
    const { userId: ownerId } = await sessions.require(viewer, sessionId, right)
    return { sessionId, ownerId }
  }

  /** Whose memories are meant, and how to write down that some of somebody else were changed: no keys, no values. */
  async function changeOf(viewer: Viewer, asked: Scope, action: string) {
    const owner = await ownerOf(viewer, asked, 'EDITOR')
    const target = 'userId' in owner ? encodeId('User', owner.userId) : encodeId('Session', owner.sessionId)
    const userId = 'userId' in owner ? owner.userId : owner.ownerId
    const record: Recording = (sql) => recordUnlessOwn(sql, viewer, userId, { action, target })
    return { owner, record }
  }

  return {
    async page(viewer, asked, page) {
      const { keys, prefix, ...of } = check(checks.page, asked)
      return readPage(viewer.db, await ownerOf(viewer, of, 'VIEWER'), { ...page, keys, prefix })
    },
    async pageOfSession({ db }, sessionId, asked, page) {
      return readPage(db, { sessionId }, { ...page, ...check(checks.filter, asked) })
    },
    async save(viewer, asked) {
      const { key, value, expiresAt, ...of } = check(checks.save, asked)
      const { owner, record } = await changeOf(viewer, of, 'saveMemory')
      const [saved] = await store.save(viewer.db, owner, [{ key, value, expiresAt }], 'CLIENT', record)
      if (!saved) throw new Error('The memory was not stored.')
      return saved
    },
    async saveAll(viewer, asked) {
      const { memories, ...of } = check(checks.saveAll, asked)
      const { owner, record } = await changeOf(viewer, of, 'saveMemories')
      return store.save(viewer.db, owner, memories, 'CLIENT', record)
    },
    async remove(viewer, asked) {
      const { key, ...of } = check(checks.remove, asked)
      const { owner, record } = await changeOf(viewer, of, 'deleteMemory')
      await store.remove(viewer.db, owner, key, 'CLIENT', record)
      return { key }
    },
    async clear(viewer, asked) {
      const { prefix, ...of } = check(checks.clear, asked)
      const { owner, record } = await changeOf(viewer, of, 'clearMemories')
      return { count: await store.clear(viewer.db, owner, prefix ?? '', record) }
    },
  }
}

function createMemoryChecks(config: Config['memory']) {
  const filter = z.object({
    keys: z.array(memoryKey).max(maxBatch, `has more than ${maxBatch} entries`).nullish(),
    prefix: text({ max: 255 }).nullish(),
  })
  const memory = createMemoryCheck(config)
  const memories = z
    .array(memory)
    .min(1, 'is empty; at least one memory is needed')
    .max(maxBatch, `has more than ${maxBatch} entries`)
    .superRefine((all, context) => {
      for (const [index, { key }] of all.entries())
        if (all.findIndex((other) => other.key === key) < index)
          context.addIssue({ code: 'custom', path: [index, 'key'], message: 'is there twice' })
    })
  return {
    filter,
    page: filter.extend(scope),
    save: memory.extend(scope),
    saveAll: z.object({ ...scope, memories }),
    remove: z.object({ ...scope, key: memoryKey }),
    clear: z.object({ ...scope, prefix: text({ max: 255 }).nullish() }),
  }
}

const batchSize = 1_000

// Skips what is being saved anew at this moment.
const eraseExpired: Statement = {
  name: 'memory-erase-all-expired',
  text: `DELETE FROM memories WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM memories
      WHERE expires_at <= now() ORDER BY expires_at LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)
    RETURNING id`,
}

/** Erases what has expired, of all tenants; nobody could read it any more. */
export async function eraseExpiredMemories({ sql }: SystemDatabase, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    signal.throwIfAborted()
    const { length } = await sql(eraseExpired, [])
    total += length
    if (length < batchSize) return total
  }
}
