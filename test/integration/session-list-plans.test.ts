import { beforeAll, expect, it, onTestFinished } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.ts'
import { loadConfig } from '../../src/config.ts'
import { createDatabase } from '../../src/db/client.ts'
import { createSessionChecks } from '../../src/features/sessions/checks.ts'
import { createSessionList } from '../../src/features/sessions/list.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { askedBy, costOf } from '../support/plans.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
let tenantId: string

/** 4,000 sessions of 20 users, of which the oldest 400 alone have the rare terms. */
beforeAll(async () => {
  app = await startTestApp()
  await app.api({ user: 'owner' }).createSession()
  await app.api({ user: 'root', role: 'ADMIN' }).change('createAgent', { key: 'rare', name: 'Rare' })
  await query(
    app.databaseUrl,
    `INSERT INTO users (tenant_id, id, external_id)
       SELECT t.id, gen_random_uuid(), 'user-' || n FROM tenants t, generate_series(1, 20) n WHERE t.slug = 'demo';
     INSERT INTO sessions (tenant_id, id, user_id, agent_id, title, model, tags, created_at, last_message_at, updated_at)
       SELECT u.tenant_id, gen_random_uuid(), u.id, a.id, 'Session ' || n, CASE WHEN n > 180 THEN 'demo:chat' END,
         CASE WHEN n = 200 THEN ARRAY['rare'] ELSE '{}' END, at, at, at
       FROM users u JOIN agents a ON a.tenant_id = u.tenant_id, generate_series(1, 200) n,
         LATERAL (SELECT now() - n * interval '1 minute' AS at) stamp
       WHERE u.external_id LIKE 'user-%' AND a.key = CASE WHEN n > 180 THEN 'rare' ELSE 'primary' END;
     INSERT INTO participants (tenant_id, session_id, user_id, role)
       SELECT s.tenant_id, s.id, u.id, 'VIEWER' FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id
       WHERE u.external_id IN ('user-1', 'user-2') AND s.user_id <> u.id`,
  )
  // As autovacuum leaves it after a while: that would come at any time, and change plans in the midst of the tests.
  await query(app.databaseUrl, 'VACUUM (ANALYZE)')
  const [tenant] = await query<{ id: string }>(app.databaseUrl, `SELECT id FROM tenants WHERE slug = 'demo'`)
  tenantId = tenant?.id ?? ''
})

const orders = ['LAST_MESSAGE_AT', 'UPDATED_AT', 'CREATED_AT', 'TITLE', 'MESSAGE_COUNT'].flatMap((field) =>
  ['ASC', 'DESC'].map((direction) => ({ field, direction })),
)
const longAgo = () => new Date(Date.now() - 180.5 * 60_000).toISOString()

it.each<[string, () => object]>([
  ['nothing', () => ({})],
  ['an agent', () => ({ agent: 'rare' })],
  ['an agent that is not there', () => ({ agent: 'nobody' })],
  ['a title that all have', () => ({ title: 'session' })],
  ['a title that few have', () => ({ title: 'Session 199' })],
  ['a character that no title has', () => ({ title: '?', isActive: true, agent: 'primary' })],
  ['a model', () => ({ model: 'demo:chat' })],
  ['a tag', () => ({ tags: ['rare'] })],
  ['metadata that nobody has', () => ({ metadata: { nobody: 'has' } })],
  ['what was made long ago', () => ({ createdBefore: longAgo() })],
  ['what was quiet since', () => ({ lastMessageBefore: longAgo() })],
  ['what was quiet since, made since', () => ({ lastMessageBefore: longAgo(), createdAfter: longAgo() })],
  ['deleted ones', () => ({ deleted: true })],
])('a page of a whole tenant reads few sessions, whatever its order, for %s', async (_name, filter) => {
  const admin = app.api({ user: 'root', role: 'ADMIN' })
  for (const orderBy of orders) {
    const list = () =>
      admin.run(
        `query ($filter: SessionFilter, $orderBy: SessionOrder!) {
          sessions(filter: $filter, orderBy: $orderBy, first: 10) { nodes { id title } } }`,
        { filter: filter(), orderBy },
      )
    for (const [prefix, role] of [
      ['session-list', 'parley_app'],
      ['session-rare', 'parley_system'],
    ] as const)
      for (const asked of await askedBy(prefix, list)) {
        const { scanned, mostRows } = await costOf(app.databaseUrl, { role, tenantId }, asked)
        const what = `${asked.text} ${JSON.stringify(orderBy)}`
        expect(scanned, what).not.toContain('sessions')
        expect(mostRows, what).toBeLessThan(1_500)
      }
  }
})

it('an admin finds what stands anywhere in a title, as it is now', async () => {
  const [owner, admin] = [app.api({ user: 'owner' }), app.api({ user: 'root', role: 'ADMIN' })]
  const titles = ['Übung mit ДОМ', '会议记录', '100% _done_ \\o/', 'Plain']
  for (const title of titles) await owner.createSession({ title })
  const id = await owner.createSession({ title: 'Old name' })
  await owner.change('updateSession', { sessionId: id, title: 'New name' })
  const found = async (title: string, filter = {}) => {
    const { sessions } = await admin.run(
      'query ($filter: SessionFilter) { sessions(filter: $filter) { totalCount nodes { title } } }',
      { filter: { title, ...filter } },
    )
    expect(sessions.totalCount).toBe(sessions.nodes.length)
    return sessions.nodes.map((each: { title: string }) => each.title)
  }
  expect(await found('übung')).toEqual([titles[0]])
  expect(await found('дом')).toEqual([titles[0]])
  expect(await found('议')).toEqual([titles[1]])
  expect(await found('会议')).toEqual([titles[1]])
  expect(await found('0% _D')).toEqual([titles[2]])
  expect(await found('\\O')).toEqual([titles[2]])
  expect(await found('%n')).toEqual([])
  expect(await found('Old name')).toEqual([])
  expect(await found('name')).toEqual(['New name'])
  await owner.change('deleteSession', { sessionId: id })
  expect(await found('name')).toEqual([])
  expect(await found('name', { deleted: true })).toEqual(['New name'])
})

it.each([
  ['session-list', '{ sessions(first: 10) { totalCount nodes { id title } } }'],
  ['unread-of-viewer', '{ viewer { unread } }'],
])('%s reads few sessions for who has none shared with it', async (prefix, asked) => {
  const viewer = app.api({ user: 'user-9' })
  const statements = await askedBy(prefix, () => viewer.run(asked))
  expect(statements).not.toHaveLength(0)
  for (const statement of statements) {
    const { scanned, mostRows } = await costOf(app.databaseUrl, { role: 'parley_app', tenantId }, statement)
    expect(scanned, statement.text).not.toContain('sessions')
    expect(mostRows, statement.text).toBeLessThan(500)
  }
})

// After five plans for the values at hand PostgreSQL takes one for all, unless it seems much dearer.
it('the list of somebody whom nobody shares with is not planned anew each time, whatever others share', async () => {
  const [owner] = await query<{ tenantId: string; userId: string }>(
    app.databaseUrl,
    `SELECT tenant_id AS "tenantId", id AS "userId" FROM users WHERE external_id = 'user-9'`,
  )
  if (!owner) throw new Error('There is no user.')
  const options = { poolSize: 1, poolWaitMs: 10_000, statementTimeoutMs: 10_000, onError() {} }
  const database = createDatabase({ ...options, url: app.databaseUrl })
  onTestFinished(() => database.close())
  const config = loadConfig({}).sessions
  const list = createSessionList(config, createSessionChecks(config))
  const db = database.forTenant(owner.tenantId)
  const times = { issuedAt: new Date(), expiresAt: new Date(Date.now() + 3_600_000) }
  const viewer: Viewer = { ...owner, ...times, role: 'USER', db, tokenId: undefined }
  const page = { first: 10, orderBy: { field: 'LAST_MESSAGE_AT', direction: 'DESC' } } as const
  const fields = new Set(['id', 'title', 'agent', 'lastMessageAt'])
  const selection = { query: {}, fields, agentFields: new Set(['id', 'name']), isCounted: true }
  for (let count = 0; count < 12; count += 1)
    expect((await list.page(viewer, page, selection)).rows).toHaveLength(10)
  const plans = {
    name: 'plans',
    text: `SELECT custom_plans::int AS custom, generic_plans::int AS generic FROM pg_prepared_statements
      WHERE name LIKE 'session-list%'`,
  }
  expect(await db.sql(plans, [])).toEqual([{ custom: 5, generic: 7 }])
})
