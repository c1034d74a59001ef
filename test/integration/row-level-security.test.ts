import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { migrate } from '../../src/db/migrate.ts'
import { query, startPostgres, type TestServer } from '../support/postgres.ts'

const kinds = [
  ...(['id', 'user', 'agent', 'session', 'fork', 'question', 'answer', 'run', 'template'] as const),
  'document',
] as const
type Tenant = Record<(typeof kinds)[number], string>

/** Ids that show whose they are: `aaaaaaaa-…`. */
const tenantOf = (letter: string) =>
  Object.fromEntries(
    kinds.map((kind, index) => [kind, `${letter.repeat(8)}-0000-7000-8000-00000000000${index}`]),
  ) as Tenant
const ours = tenantOf('a')
const theirs = tenantOf('b')

let server: TestServer
let url: string
let tables: string[]

beforeAll(async () => {
  server = await startPostgres()
  url = await server.createDatabase()
  await migrate({ url })
  for (const tenant of [ours, theirs]) await query(url, fill(tenant))
  const rows = await query<{ name: string }>(
    url,
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> '_prisma_migrations'`,
  )
  tables = rows.map(({ name }) => name)
})
afterAll(() => server.stop())

/** A row in every table; one statement after another in one transaction, as the deferred key needs. */
const fill = (t: Tenant) => `
  INSERT INTO tenants (id, slug, name) VALUES ('${t.id}', '${t.id}', 'one');
  INSERT INTO users (tenant_id, id, external_id) VALUES ('${t.id}', '${t.user}', 'somebody');
  INSERT INTO agents (tenant_id, id, key, name) VALUES ('${t.id}', '${t.agent}', 'helper', 'Helper');
  INSERT INTO sessions (tenant_id, id, user_id, agent_id, title) VALUES ('${t.id}', '${t.session}', '${t.user}', '${t.agent}', 'Tides');
  INSERT INTO sessions (tenant_id, id, user_id, parent_id) VALUES ('${t.id}', '${t.fork}', '${t.user}', '${t.session}');
  INSERT INTO participants (tenant_id, session_id, user_id, role) VALUES ('${t.id}', '${t.session}', '${t.user}', 'OWNER');
  INSERT INTO messages (tenant_id, id, session_id, seq, role, author_id, run_id) VALUES
    ('${t.id}', '${t.question}', '${t.session}', 1, 'USER', '${t.user}', NULL),
    ('${t.id}', '${t.answer}', '${t.session}', 2, 'ASSISTANT', NULL, '${t.run}');
  INSERT INTO runs (tenant_id, id, session_id, user_id, status, model, user_message_id, assistant_message_id) VALUES
    ('${t.id}', '${t.run}', '${t.session}', '${t.user}', 'RUNNING', 'demo:chat', '${t.question}', '${t.answer}');
  INSERT INTO templates (tenant_id, id, name, agent_id, author_id) VALUES ('${t.id}', '${t.template}', 'start', '${t.agent}', '${t.user}');
  INSERT INTO memories (tenant_id, id, user_id, key, value, source) VALUES ('${t.id}', '${t.template}', '${t.user}', 'name', '1', 'MODEL');
  INSERT INTO memories (tenant_id, id, session_id, key, value, source) VALUES ('${t.id}', '${t.document}', '${t.session}', 'name', '1', 'MODEL');
  INSERT INTO summaries (tenant_id, session_id, content, through_seq, model) VALUES ('${t.id}', '${t.session}', 'Short', 1, 'demo:chat');
  INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes) VALUES ('${t.id}', '${t.document}', '${t.user}', 'Book', 'text/plain', 1);
  INSERT INTO document_contents (tenant_id, document_id, version, content) VALUES ('${t.id}', '${t.document}', 1, 'x');
  INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words)
    VALUES ('${t.id}', '${t.document}', '${t.document}', 1, 1, 0, 1, 'x', 'x');
  INSERT INTO session_documents (tenant_id, session_id, document_id) VALUES ('${t.id}', '${t.session}', '${t.document}');
  INSERT INTO citations (tenant_id, message_id, marker, document_id, score, start_offset, end_offset, content)
    VALUES ('${t.id}', '${t.answer}', 1, '${t.document}', 1, 0, 1, 'x');
  INSERT INTO model_settings (tenant_id, model, is_allowed) VALUES ('${t.id}', 'demo:chat', false);
  INSERT INTO token_revocations (tenant_id, id, user_id) VALUES ('${t.id}', '${t.template}', '${t.user}');
  INSERT INTO audit_entries (tenant_id, id, action, actor_id, actor_role) VALUES ('${t.id}', '${t.template}', 'eraseUser', '${t.user}', 'ADMIN');
  INSERT INTO list_notices (tenant_id, id, user_id) VALUES ('${t.id}', '${t.template}', '${t.user}');
  INSERT INTO read_marks (tenant_id, session_id, user_id, last_read_seq) VALUES ('${t.id}', '${t.session}', '${t.user}', 2);
  INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, model, status, input_tokens, output_tokens, cached_input_tokens, cost)
    VALUES ('${t.id}', '${t.run}', '${t.user}', '${t.session}', 'demo:chat', 'COMPLETED', 1, 2, 0, 0);
  INSERT INTO usage_days (tenant_id, subject_id, day, lane, tokens, cost) VALUES ('${t.id}', '${t.user}', '2026-01-01', 0, 3, 0);
  INSERT INTO usage_rollups (tenant_id, interval, group_by, start, model, agent_id, user_id, sessions, messages, runs, failures, input_tokens, output_tokens, cached_input_tokens, cost)
    VALUES ('${t.id}', 'DAY', 'USER', '2026-01-01Z', '', '', '${t.user}', 1, 2, 1, 0, 1, 2, 0, 0);
  INSERT INTO usage_horizons (tenant_id, until) VALUES ('${t.id}', '2026-01-02Z');
  INSERT INTO usage_changes (tenant_id, at) VALUES ('${t.id}', '2026-01-01Z');
  INSERT INTO quotas (tenant_id, subject_id, period, tokens) VALUES ('${t.id}', '${t.user}', 'DAY', 3);`

/** A connection as the server makes it: bound to the role at the start, to a tenant by the setting. */
async function connect(role: 'parley_app' | 'parley_system', tenant?: string): Promise<Client> {
  const client = new Client({ connectionString: url, options: `-c role=${role}` })
  await client.connect()
  onTestFinished(() => client.end())
  if (tenant !== undefined) await client.query("SELECT set_config('app.tenant', $1, false)", [tenant])
  return client
}

const count = async (client: Client, table: string) =>
  Number((await client.query(`SELECT count(*) FROM ${table}`)).rows[0].count)

describe('row-level security', () => {
  it('is forced on every table, and the two roles own nothing', async () => {
    const rows = await query<{ name: string }>(
      url,
      `SELECT relname AS name, relrowsecurity AS enabled, relforcerowsecurity AS forced,
         pg_get_userbyid(relowner) IN ('parley_app', 'parley_system') AS owned,
         (SELECT array_agg(policyname::text || ' to ' || array_to_string(roles, ',') ORDER BY policyname)
          FROM pg_policies WHERE tablename = relname) AS policies
       FROM pg_class WHERE relname = ANY ($1) ORDER BY 1`,
      { values: [tables] },
    )
    const policies = ['every_tenant to parley_system', 'own_tenant to parley_app']
    expect(rows.map(({ name }) => name)).toEqual([
      'agents',
      'audit_entries',
      'chunks',
      'citations',
      'document_contents',
      'documents',
      'list_notices',
      'memories',
      'messages',
      'model_settings',
      'participants',
      'quotas',
      'read_marks',
      'runs',
      'session_documents',
      'session_titles',
      'sessions',
      'summaries',
      'templates',
      'tenants',
      'token_revocations',
      'usage_changes',
      'usage_days',
      'usage_horizons',
      'usage_records',
      'usage_rollups',
      'users',
    ])
    expect(rows).toEqual(
      rows.map(({ name }) => ({ name, enabled: true, forced: true, owned: false, policies })),
    )
  })

  it('shows parley_app its tenant and nothing without one', async () => {
    for (const nobody of [undefined, '']) {
      const unbound = await connect('parley_app', nobody)
      for (const table of tables) expect([table, await count(unbound, table)]).toEqual([table, 0])
    }
    const bound = await connect('parley_app', ours.id)
    for (const table of tables) {
      const column = table === 'tenants' ? 'id' : 'tenant_id'
      const { rows } = await bound.query(`SELECT DISTINCT ${column} AS tenant FROM ${table}`)
      expect([table, rows]).toEqual([table, [{ tenant: ours.id }]])
    }
  })

  it('lets parley_app neither change nor add a row of another tenant', async () => {
    const client = await connect('parley_app', ours.id)
    for (const table of tables) {
      const column = table === 'tenants' ? 'id' : 'tenant_id'
      const [row] = await query(
        url,
        `SELECT to_jsonb(t) AS row FROM ${table} t WHERE ${column} = $1 LIMIT 1`,
        {
          values: [theirs.id],
        },
      )
      const add = `INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, $1)`
      await expect(client.query(add, [row?.row])).rejects.toThrow(/violates row-level security policy/)
      const change = `UPDATE ${table} SET ${column} = $1`
      if (table === 'audit_entries') {
        await expect(client.query(change, [theirs.id])).rejects.toThrow(/permission denied/)
        await expect(client.query(`DELETE FROM ${table}`)).rejects.toThrow(/permission denied/)
        continue
      }
      await expect(client.query(change, [theirs.id])).rejects.toThrow(/violates row-level security policy/)
      const where = `WHERE ${column} = '${theirs.id}'`
      expect((await client.query(`UPDATE ${table} SET ${column} = ${column} ${where}`)).rowCount).toBe(0)
      expect((await client.query(`DELETE FROM ${table} ${where}`)).rowCount).toBe(0)
    }
  })

  it('lets no row name a row of another tenant, though keys are checked past the policies', async () => {
    const client = await connect('parley_app', ours.id)
    const keys = await query<{ table: string; column: string; name: string; target: string }>(
      url,
      `SELECT c.conrelid::regclass::text AS table, a.attname AS column, c.conname AS name, c.confrelid::regclass::text AS target
       FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
       WHERE c.contype = 'f' AND a.attname <> 'tenant_id'`,
    )
    expect(keys.length).toBeGreaterThan(12)
    for (const { table, column, name, target } of keys) {
      const foreign = await query<{ id: string }>(
        url,
        `SELECT id FROM ${target} WHERE tenant_id = $1 LIMIT 1`,
        {
          values: [theirs.id],
        },
      )
      // A memory is of a user or of a session; the other column has to stay empty.
      const where = table === 'memories' ? `WHERE ${column} IS NOT NULL` : ''
      await client.query('BEGIN')
      const change = client
        .query(`UPDATE ${table} SET ${column} = $1 ${where}`, [foreign[0]?.id])
        .then(() => client.query('SET CONSTRAINTS ALL IMMEDIATE'))
      await expect(change, `${table}.${column}`).rejects.toMatchObject({
        code: expect.stringMatching(/^2350/),
      })
      await client.query('ROLLBACK')
      expect(name).toContain('tenant_id')
    }
  })

  it('shows parley_system every tenant, and neither role the records of migrations', async () => {
    const system = await connect('parley_system')
    for (const table of tables) expect([table, await count(system, table)]).not.toEqual([table, 0])
    expect((await system.query('SELECT id FROM tenants')).rows).toHaveLength(2)
    for (const role of ['parley_app', 'parley_system'] as const) {
      const client = await connect(role, ours.id)
      await expect(count(client, '_prisma_migrations')).rejects.toThrow('permission denied')
    }
  })

  it('gives both roles the use of tables to come, and with no policy yet no row of them', async () => {
    await query(url, 'CREATE TABLE later AS SELECT 1 AS id; ALTER TABLE later ENABLE ROW LEVEL SECURITY')
    onTestFinished(async () => {
      await query(url, 'DROP TABLE later')
    })
    expect(await count(await connect('parley_app', ours.id), 'later')).toBe(0)
    expect(await count(await connect('parley_system'), 'later')).toBe(0)
  })

  it('cannot be left by resetting a connection that began as parley_app', async () => {
    const client = await connect('parley_app', ours.id)
    for (const reset of ['RESET ROLE', 'RESET ALL', 'DISCARD ALL', 'SET role TO DEFAULT']) {
      await client.query(reset)
      const { rows } = await client.query(
        "SELECT current_user::text AS name, current_setting('role') AS role",
      )
      expect([reset, rows[0]]).toEqual([reset, { name: 'parley_app', role: 'parley_app' }])
    }
  })
})

describe('the tables', () => {
  it('hold one active run per session', async () => {
    const second = `INSERT INTO runs (tenant_id, id, session_id, user_id, status, model, user_message_id, assistant_message_id)
      SELECT tenant_id, gen_random_uuid(), session_id, user_id, $1::"RunStatus", model, user_message_id, assistant_message_id
      FROM runs WHERE id = $2`
    for (const status of ['RUNNING', 'REQUIRES_ACTION']) {
      await expect(query(url, second, { values: [status, ours.run] })).rejects.toThrow(
        'runs_one_active_per_session',
      )
    }
    await query(url, second, { values: ['QUEUED', ours.run] })
  })

  it('check a message against its run at the end of the transaction, no later', async () => {
    await expect(
      query(url, 'UPDATE messages SET run_id = gen_random_uuid() WHERE id = $1', { values: [ours.answer] }),
    ).rejects.toThrow('messages_tenant_id_run_id_fkey')
  })

  it.each([
    ['messages_seq_check', 'UPDATE messages SET seq = 0'],
    ['messages_metadata_check', `UPDATE messages SET metadata = '[]'`],
    ['messages_tool_calls_check', `UPDATE messages SET tool_calls = '{}'`],
    ['sessions_counters_check', 'UPDATE sessions SET message_count = -1'],
    ['sessions_usage_check', 'UPDATE sessions SET cost = -1'],
    ['runs_usage_check', 'UPDATE runs SET output_tokens = -1'],
    ['agents_max_active_sessions_per_user_check', 'UPDATE agents SET max_active_sessions_per_user = 0'],
  ])('refuse what %s rules out', async (name, sql) => {
    await expect(query(url, sql)).rejects.toThrow(name)
  })

  it('let go of a session with all that belongs to it', async () => {
    const third = tenantOf('c')
    await query(url, fill(third))
    const client = await connect('parley_app', third.id)
    await client.query('UPDATE sessions SET parent_id = NULL')
    expect((await client.query('DELETE FROM sessions WHERE id = $1', [third.session])).rowCount).toBe(1)
    for (const table of ['messages', 'runs', 'participants']) expect(await count(client, table)).toBe(0)
  })

  it('let go of a tenant with everything, when the checks are put off to the commit', async () => {
    const fourth = tenantOf('d')
    await query(url, fill(fourth))
    const client = await connect('parley_app', fourth.id)
    await client.query('BEGIN; SET CONSTRAINTS ALL DEFERRED')
    expect((await client.query('DELETE FROM tenants')).rowCount).toBe(1)
    await client.query('COMMIT')
    for (const table of tables) expect([table, await count(client, table)]).toEqual([table, 0])
  })
})
