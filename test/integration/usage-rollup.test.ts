import { Client } from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { askedBy, costOf } from '../support/plans.ts'
import { query as sql } from '../support/postgres.ts'
import { openRollups } from '../support/rollups.ts'

const usage = `query ($groupBy: UsageGroup! = NONE) {
  usage(from: "2024-05-01T00:00:00Z", to: "2024-06-01T00:00:00Z", interval: MONTH, groupBy: $groupBy) { key messages runs }
}`

/** An app in whose tenant alice has a session with two messages and a run of May 2024. */
async function startWithPast() {
  const app = await startTestApp()
  const [alice, root] = [app.api(), app.api({ user: 'root', role: 'ADMIN' })]
  const sessionId = await alice.createSession()
  const userId = (await alice.run('{ viewer { user { id } } }')).viewer.user.id
  await addMessages(app, sessionId, 2)
  await sql(
    app.databaseUrl,
    `INSERT INTO usage_records SELECT tenant_id, gen_random_uuid(), user_id, id, NULL, 'demo:chat', 'COMPLETED', 1, 1, 0, 0,
      NULL, '2024-05-10T12:00Z' FROM sessions WHERE id = $1`,
    { values: [decodeId(sessionId).uuid] },
  )
  const count = async (groupBy?: string) => (await root.run(usage, { groupBy })).usage
  return { app, root, sessionId, userId, count, rollups: openRollups(app) }
}

const insertMessages = `INSERT INTO messages (tenant_id, id, session_id, seq, role, content, created_at)
  SELECT s.tenant_id, gen_random_uuid(), s.id, 100 + n + (SELECT count(*) FROM messages m WHERE m.session_id = s.id), 'USER', 'Hi',
    '2024-05-10T12:00Z'
  FROM sessions s, generate_series(1, $2) AS n WHERE s.id = $1`

const addMessages = (app: TestApp, sessionId: string, count: number) =>
  sql(app.databaseUrl, insertMessages, { values: [decodeId(sessionId).uuid, count] })

const horizon = async (app: TestApp) =>
  (await sql<{ until: Date | null }>(app.databaseUrl, 'SELECT until FROM usage_horizons'))[0]?.until ?? null

async function connect(app: TestApp): Promise<Client> {
  const client = new Client({ connectionString: app.databaseUrl })
  await client.connect()
  onTestFinished(() => client.end())
  return client
}

it('waits for whoever may still store what belongs before the horizon', async () => {
  const { app, rollups } = await startWithPast()
  const writer = await connect(app)
  await writer.query('BEGIN; SELECT pg_current_xact_id()')
  await rollups.roll()
  await rollups.roll()
  expect(await horizon(app)).toBeNull()
  await writer.query('COMMIT')
  await rollups.rollToHorizon()
  expect((await horizon(app))?.getTime()).toBeLessThanOrEqual(Date.now() - 2 * 3_600_000)
})

it('counts what was stored or erased while it was rolled up, and what comes after that', async () => {
  const { app, sessionId, count, rollups } = await startWithPast()
  await rollups.rollToHorizon()
  expect(await count()).toEqual([{ key: null, messages: 2, runs: 1 }])
  expect(await sql(app.databaseUrl, 'SELECT FROM usage_changes')).toEqual([])

  const writer = await connect(app)
  await writer.query('BEGIN')
  await writer.query(insertMessages, [decodeId(sessionId).uuid, 3])
  await sql(app.databaseUrl, 'DELETE FROM usage_records')
  await rollups.roll()
  expect(await count()).toEqual([{ key: null, messages: 2, runs: 0 }])
  await writer.query('COMMIT')
  expect(await count()).toEqual([{ key: null, messages: 5, runs: 0 }])
  await rollups.roll()
  expect(await sql(app.databaseUrl, 'SELECT FROM usage_changes')).toEqual([])
  expect(await count()).toEqual([{ key: null, messages: 5, runs: 0 }])
  // Read from there, and not counted again.
  await sql(app.databaseUrl, 'UPDATE usage_rollups SET messages = 7')
  expect(await count()).toEqual([{ key: null, messages: 7, runs: 0 }])
})

it('follows a session that changes its agent, is erased, and its user', async () => {
  const { app, root, sessionId, userId, count, rollups } = await startWithPast()
  await rollups.rollToHorizon()
  const { agents } = await root.run('{ agents { id key } }')
  const agent = agents.find(({ key }: { key: string }) => key === 'primary').id
  await app.api().change('updateSession', { sessionId, agent: 'primary' })
  const byAgent = [
    { key: null, messages: 0, runs: 1 },
    { key: agent, messages: 2, runs: 0 },
  ]
  expect(await count('AGENT')).toEqual(byAgent)
  await rollups.roll()
  expect(await count('AGENT')).toEqual(byAgent)

  await app.api().change('purgeSession', { sessionId })
  expect(await count('USER')).toEqual([{ key: userId, messages: 0, runs: 1 }])
  await rollups.roll()
  expect(await count('USER')).toEqual([{ key: userId, messages: 0, runs: 1 }])

  await root.change('eraseUser', { userId })
  const [{ key: nobody }] = await count('USER')
  expect(nobody).not.toBe(userId)
  const find = 'SELECT FROM usage_rollups WHERE user_id = $1'
  expect(await sql(app.databaseUrl, find, { values: [decodeId(userId).uuid] })).toEqual([])
  await rollups.roll()
  expect(await count('USER')).toEqual([{ key: nobody, messages: 0, runs: 1 }])
})

it.each([
  ['of parts of months', { interval: 'MONTH', groupBy: 'NONE' }],
  ['of parts of months by user', { interval: 'MONTH', groupBy: 'USER' }],
  ['of days by agent, of one model', { interval: 'DAY', groupBy: 'AGENT', filter: { model: 'demo:chat' } }],
  ['of months by model, of one agent', { interval: 'MONTH', groupBy: 'MODEL', filter: { agent: 'primary' } }],
  ['of days by user, of one model', { interval: 'DAY', groupBy: 'USER', filter: { model: 'demo:chat' } }],
  [
    'of parts of months by user, of one agent',
    { interval: 'MONTH', groupBy: 'USER', filter: { agent: 'primary' } },
  ],
])('reads few rows for usage %s', async (_, question) => {
  const { app, root, sessionId, rollups } = await startWithPast()
  await app.api().change('updateSession', { sessionId, agent: 'primary' })
  const moment = `'2024-05-05T06:00Z'::timestamptz + n * interval '15 minutes'`
  await sql(
    app.databaseUrl,
    `INSERT INTO sessions (tenant_id, id, user_id, agent_id) SELECT tenant_id, gen_random_uuid(), user_id, agent_id
       FROM sessions, generate_series(1, 40) WHERE id = '${decodeId(sessionId).uuid}';
     CREATE TEMP TABLE numbered AS SELECT s.*, n FROM generate_series(1, 4000) AS n
       JOIN (SELECT *, row_number() OVER () AS place FROM sessions) AS s ON s.place = 1 + n % 40;
     INSERT INTO messages (tenant_id, id, session_id, seq, role, content, model, created_at)
       SELECT tenant_id, gen_random_uuid(), id, 1000 + n, 'ASSISTANT', 'Hi', 'demo:chat', ${moment} FROM numbered;
     INSERT INTO usage_records SELECT tenant_id, gen_random_uuid(), user_id, id, agent_id, 'demo:chat', 'COMPLETED', 1, 1, 0, 0,
       n % 5, ${moment} FROM numbered`,
  )
  await rollups.rollToHorizon()
  await sql(app.databaseUrl, 'VACUUM (ANALYZE)')
  const variables = { from: '2024-05-08T12:00:00Z', to: '2024-06-12T12:00:00Z', ...question }
  const asked = await askedBy('usage-', async () => {
    const { usage } = await root.run(counting, variables)
    expect(usage.reduce((sum: number, { runs }: { runs: number }) => sum + runs, 0)).toBeGreaterThanOrEqual(
      35 * 96,
    )
  })
  expect(asked.length).toBeGreaterThan(2)
  const [tenant] = await sql<{ id: string }>(app.databaseUrl, `SELECT id FROM tenants WHERE slug = 'demo'`)
  const as = { role: 'parley_app' as const, tenantId: tenant?.id ?? '' }
  for (const statement of asked) {
    const { mostRows } = await costOf(app.databaseUrl, as, statement)
    expect(mostRows, statement.text).toBeLessThan(1_000)
  }
})

it('tells by their days that hours of users of a model are too many, as long as those are there', async () => {
  const { app, root, rollups } = await startWithPast()
  await sql(
    app.databaseUrl,
    `INSERT INTO users (tenant_id, id, external_id)
       SELECT id, gen_random_uuid(), 'user-' || n FROM tenants, generate_series(1, 200) AS n WHERE slug = 'demo';
     INSERT INTO usage_records SELECT u.tenant_id, gen_random_uuid(), u.id, NULL, NULL, 'openai:gpt-5', 'COMPLETED', 1, 1, 0, 0, 1,
         '2024-05-01T00:30Z'::timestamptz + day * interval '1 day' + hour * interval '1 hour'
       FROM users AS u, generate_series(0, 29) AS day, generate_series(0, 4) AS hour WHERE u.external_id LIKE 'user-%'`,
  )
  await rollups.rollToHorizon()
  await sql(app.databaseUrl, 'VACUUM (ANALYZE)')
  const from = '2024-05-01T00:00:00Z'
  const variables = { from, to: '2024-06-01T00:00:00Z', interval: 'HOUR', groupBy: 'USER' }
  const ask = (model: string) => root.send(counting, { ...variables, filter: { model } })
  const asked = await askedBy('usage-', async () => {
    const { errors } = await ask('openai:gpt-5')
    expect(errors?.[0]?.message).toContain('gives more than 5000 buckets')
  })
  const [tenant] = await sql<{ id: string }>(app.databaseUrl, `SELECT id FROM tenants WHERE slug = 'demo'`)
  const as = { role: 'parley_app' as const, tenantId: tenant?.id ?? '' }
  for (const statement of asked)
    expect((await costOf(app.databaseUrl, as, statement)).mostRows, statement.text).toBeLessThan(10_000)
  expect((await ask('demo:chat')).data.usage).toHaveLength(1)
  await sql(
    app.databaseUrl,
    `DELETE FROM usage_records WHERE model = 'openai:gpt-5' AND created_at > '2024-05-02'`,
  )
  expect((await ask('openai:gpt-5')).data.usage).toHaveLength(5 * 200)
})

const counting = `query ($from: DateTime!, $to: DateTime!, $interval: UsageInterval!, $groupBy: UsageGroup!, $filter: UsageFilter) {
  usage(from: $from, to: $to, interval: $interval, groupBy: $groupBy, filter: $filter) { start key sessions messages runs }
}`
