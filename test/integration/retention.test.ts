import { beforeAll, expect, it, vi } from 'vitest'
import { createDatabase } from '../../src/db/client.ts'
import { createRetention, type Retention } from '../../src/features/retention/service.ts'
import { createChanges } from '../../src/features/sessions/changes.ts'
import { createJobs } from '../../src/jobs/queue.ts'
import { decodeId } from '../../src/lib/ids.ts'
import { createMemoryBroker } from '../../src/realtime/broker-memory.ts'
import { createFeed } from '../../src/realtime/feed.ts'
import { createListing } from '../../src/realtime/listing.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { askedBy, costOf } from '../support/plans.ts'
import { query } from '../support/postgres.ts'

const going = () => new AbortController().signal

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '1000' } })
})

const sql = (text: string, values: unknown[] = []) => query(app.databaseUrl, text, { values })

/** Runs the sweep on the app's database, as a node of its own would. */
async function withRetention<T>(afterDays: number, use: (retention: Retention) => Promise<T>): Promise<T> {
  const onError = () => {}
  const database = createDatabase({
    url: app.databaseUrl,
    poolSize: 2,
    poolWaitMs: 2_000,
    statementTimeoutMs: 5_000,
    onError,
  })
  const log = createLog({ level: 'fatal' }, false)
  const broker = createMemoryBroker({ maxEntries: 100, maxAgeMs: 60_000, batchSize: 10 })
  const feed = createFeed(broker, { maxEntries: 100 })
  const changes = createChanges({ feed, listing: createListing(broker, log), rooms: { sent() {} }, log })
  try {
    return await use(
      createRetention({
        system: database.system,
        changes,
        afterDays,
        statelessHours: 24,
        auditDays: 365,
        tokenDays: 30,
        log,
      }),
    )
  } finally {
    await database.close()
  }
}

const sweep = (afterDays = 30) => withRetention(afterDays, (retention) => retention.sweep(going()))

/** Makes sessions and puts the stamp of each that many days into the past. */
async function sessionsOf(column: string, daysAgo: readonly number[], tenant = 'demo'): Promise<string[]> {
  const api = app.api({ tenant })
  const ids: string[] = []
  for (const days of daysAgo) {
    const id = await api.createSession()
    await api.change('sendMessage', { sessionId: id, content: 'Hello', wait: true })
    if (column === 'deleted_at') await remove(id, tenant)
    await sql(`UPDATE sessions SET ${column} = now() - make_interval(days => $2) WHERE id = $1`, [
      decodeId(id).uuid,
      days,
    ])
    ids.push(id)
  }
  return ids
}

async function remove(sessionId: string, tenant = 'demo') {
  const { deleteSession } = await app
    .api({ tenant })
    .run(
      'mutation ($id: ID!) { deleteSession(input: { sessionId: $id }) { ... on DeleteSessionPayload { sessionId } } }',
      { id: sessionId },
    )
  expect(deleteSession.sessionId).toBe(sessionId)
}

const isActive = async (id: string, tenant = 'demo') =>
  (await app.api({ tenant }).run('query ($id: ID!) { session(id: $id) { isActive } }', { id })).session
    .isActive

const count = async (table: string, ids: readonly string[]) => {
  const column = table === 'sessions' ? 'id' : 'session_id'
  const [row] = await sql(`SELECT count(*)::int AS count FROM ${table} WHERE ${column} = ANY($1)`, [
    ids.map((id) => decodeId(id).uuid),
  ])
  return row?.count
}

it('deactivates the sessions in which nothing happened, of every tenant, and no others', async () => {
  const [quiet = '', fresh = ''] = await sessionsOf('updated_at', [31, 29])
  const [foreign = ''] = await sessionsOf('updated_at', [400], 'globex')
  expect(await sweep()).toEqual({ deactivated: 2, erased: 0 })
  expect(await isActive(quiet)).toBe(false)
  expect(await isActive(fresh)).toBe(true)
  expect(await isActive(foreign, 'globex')).toBe(false)
  expect(await sweep()).toEqual({ deactivated: 0, erased: 0 })
})

it('erases what was deleted long ago with all that hangs on it, and no others', async () => {
  const [old = '', recent = ''] = await sessionsOf('deleted_at', [31, 29])
  const [foreign = ''] = await sessionsOf('deleted_at', [31], 'globex')
  const hanging = ['messages', 'runs']
  for (const table of hanging) expect(await count(table, [old, foreign])).toBeGreaterThan(0)
  expect(await sweep()).toEqual({ deactivated: 0, erased: 2 })
  for (const table of ['sessions', ...hanging]) {
    expect(await count(table, [old, foreign])).toBe(0)
    expect(await count(table, [recent])).toBeGreaterThan(0)
  }
  const { sessions } = await app
    .api()
    .run('{ sessions(filter: { deleted: true }, first: 100) { nodes { id } } }')
  const listed = sessions.nodes.map(({ id }: { id: string }) => id)
  expect(listed).toContain(recent)
  expect(listed).not.toContain(old)
  for (const name of ['restoreSession', 'purgeSession'])
    expect(await app.api().mutate(name, { sessionId: old })).toMatchObject({ code: 'NOT_FOUND' })
})

it('lets forks live', async () => {
  const [parent = ''] = await sessionsOf('deleted_at', [31])
  const fork = await app.api().createSession({ title: 'Fork' })
  await sql('UPDATE sessions SET parent_id = $1, forked_at_seq = 1 WHERE id = $2', [
    decodeId(parent).uuid,
    decodeId(fork).uuid,
  ])
  expect(await sweep()).toMatchObject({ erased: 1 })
  const [row] = await sql('SELECT title, parent_id, forked_at_seq FROM sessions WHERE id = $1', [
    decodeId(fork).uuid,
  ])
  expect(row).toEqual({ title: 'Fork', parent_id: null, forked_at_seq: null })
})

it('works through more than one batch', async () => {
  await sql(
    `INSERT INTO sessions (tenant_id, id, user_id, updated_at, deleted_at, last_seq)
     SELECT tenant_id, gen_random_uuid(), id, now() - interval '40 days',
       CASE WHEN n % 2 = 0 THEN now() - interval '40 days' END, n % 7
     FROM users, generate_series(1, 2400) AS n WHERE external_id = 'alice' AND tenant_id =
       (SELECT id FROM tenants WHERE slug = 'demo')`,
  )
  expect(await sweep()).toEqual({ deactivated: 1_200, erased: 1_200 })
})

it('stops between batches when it is told to, and keeps what it did', async () => {
  const [quiet = ''] = await sessionsOf('updated_at', [31])
  const aborted = AbortSignal.abort(new Error('stopping'))
  await withRetention(30, async (retention) => {
    await expect(retention.sweep(aborted)).rejects.toThrow('stopping')
  })
  expect(await isActive(quiet)).toBe(true)
  expect(await sweep()).toEqual({ deactivated: 1, erased: 0 })
})

it('passes over a session that is in use at the moment', async () => {
  const [held = '', free = ''] = await sessionsOf('deleted_at', [31, 31])
  await withRetention(30, async (retention) => {
    const holder = createDatabase({
      url: app.databaseUrl,
      poolSize: 1,
      poolWaitMs: 2_000,
      statementTimeoutMs: 5_000,
      onError: () => {},
    })
    await holder.system.transaction(async (hold) => {
      await hold({ name: 'hold', text: 'SELECT FROM sessions WHERE id = $1 FOR UPDATE' }, [
        decodeId(held).uuid,
      ])
      expect(await retention.sweep(going())).toMatchObject({ erased: 1 })
    })
    await holder.close()
  })
  expect(await count('sessions', [free])).toBe(0)
  expect(await count('sessions', [held])).toBe(1)
  expect(await sweep()).toMatchObject({ erased: 1 })
})

it('keeps everything with CHAT_SESSION_CLEANUP_DAYS=0', async () => {
  const [quiet = ''] = await sessionsOf('updated_at', [4_000])
  expect(await sweep(0)).toEqual({ deactivated: 0, erased: 0 })
  expect(await isActive(quiet)).toBe(true)
})

it('tells whoever watches, once the queue has its job', async () => {
  const [quiet = ''] = await sessionsOf('updated_at', [31])
  const watch = app.socket().watch(
    `subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename
      ... on SessionUpdated { session { isActive } } } }`,
    { id: quiet },
  )
  await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
  const [erased = ''] = await sessionsOf('deleted_at', [31])
  const listOf = async (filter: object) => {
    const list = app
      .socket()
      .watch('subscription ($filter: SessionFilter) { sessionChanged(filter: $filter) { kind sessionId } }', {
        filter,
      })
    await list.at(0)
    return list
  }
  const [active, deleted] = [await listOf({ isActive: true }), await listOf({ deleted: true })]
  // The app's own worker takes it up: this queue sends only.
  const sender = createJobs({ url: app.databaseUrl, log: createLog({ level: 'fatal' }, false) })
  try {
    await vi.waitFor(() => sender.send('retention', {}, { singletonKey: 'retention' }), patience)
    const told = await watch.until(({ __typename }) => __typename === 'SessionUpdated')
    expect(told.session.isActive).toBe(false)
    await active.until(({ kind, sessionId }) => kind === 'DELETED' && sessionId === quiet)
    await deleted.until(({ kind, sessionId }) => kind === 'DELETED' && sessionId === erased)
  } finally {
    await sender.stop()
  }
  expect(await isActive(quiet)).toBe(false)
})

it('erases stateless runs some hours after their end, whatever becomes of sessions', async () => {
  const api = app.api({ tenant: 'stateless' })
  const complete = async (content: string, wait: boolean) => {
    const input = { messages: [{ role: 'USER', content }], wait }
    return (await api.mutate('complete', input, 'run { id }')).run.id
  }
  const [old, fresh] = [await complete('Old', true), await complete('Fresh', true)]
  const unended = await complete('/pace 1 /long 500', false)
  const age = `UPDATE sessions SET updated_at = now() - interval '25 hours' WHERE id IN (SELECT session_id FROM runs WHERE id = $1)`
  for (const id of [old, unended]) await sql(age, [decodeId(id).uuid])
  await sweep(0)
  const found = await api.run('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', {
    ids: [old, fresh, unended],
  })
  expect(found.nodes).toEqual([null, { id: fresh }, { id: unended }])
  expect(await api.mutate('cancelRun', { runId: unended })).not.toHaveProperty('code')
})

it('forgets what was revoked once no token can live that long any more', async () => {
  const root = app.api({ user: 'root', role: 'ADMIN' })
  for (const tokenId of ['old', 'young']) await root.change('revokeTokens', { tokenId })
  await sql("UPDATE token_revocations SET revoked_at = now() - interval '31 days' WHERE token_id = 'old'")
  await sweep()
  expect(await sql('SELECT token_id FROM token_revocations')).toEqual([{ token_id: 'young' }])
})

it('reads little of what is not due', async () => {
  await sql(
    `SET session_replication_role = replica;
     WITH alice AS (SELECT u.tenant_id, u.id FROM users u JOIN tenants t ON t.id = u.tenant_id
         WHERE u.external_id = 'alice' AND t.slug = 'demo'),
       places AS (SELECT tenant_id, id AS user_id, gen_random_uuid() AS id, n FROM alice, generate_series(1, 10000) n),
       made AS (INSERT INTO sessions (tenant_id, id, user_id, is_stateless, is_active, deleted_at, updated_at)
         SELECT tenant_id, id, user_id, n % 4 = 0, n % 4 = 1, CASE WHEN n % 4 = 2 THEN now() END,
           now() - CASE WHEN n % 200 = 0 THEN interval '2 days' ELSE '0' END FROM places),
       answered AS (INSERT INTO runs (tenant_id, id, session_id, user_id, model, status, user_message_id,
           assistant_message_id, finished_at, action_expires_at)
         SELECT tenant_id, gen_random_uuid(), id, user_id, 'demo:chat',
           CASE WHEN n % 200 = 0 THEN 'REQUIRES_ACTION' ELSE 'COMPLETED' END::"RunStatus", gen_random_uuid(),
           gen_random_uuid(), CASE WHEN n % 200 <> 0 THEN now() END, now() + interval '1 hour' FROM places),
       revoked AS (INSERT INTO token_revocations (tenant_id, id, token_id, revoked_at)
         SELECT tenant_id, gen_random_uuid(), id, now() FROM places),
       told AS (INSERT INTO list_notices (tenant_id, created_at, id, user_id)
         SELECT tenant_id, now(), gen_random_uuid(), user_id FROM places)
     INSERT INTO audit_entries (tenant_id, id, action, actor_id, actor_role)
       SELECT tenant_id, gen_random_uuid(), 'loadModel', user_id, 'ADMIN' FROM places`,
  )
  await query(app.databaseUrl, 'VACUUM (ANALYZE)')
  await sweep()
  const asked = await askedBy('retention-', () => sweep())
  expect(asked.length).toBeGreaterThanOrEqual(6)
  for (const statement of asked) {
    const { mostRows } = await costOf(app.databaseUrl, { role: 'parley_system', tenantId: '' }, statement)
    expect(mostRows, statement.text).toBeLessThan(1_000)
  }
})
