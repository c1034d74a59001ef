import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Asked, askedBy, costOf } from '../support/plans.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
let tenantId: string

beforeAll(async () => {
  app = await startTestApp()
  await app.api({ user: 'root', role: 'ADMIN' }).createSession()
  const [tenant] = await query<{ id: string }>(app.databaseUrl, `SELECT id FROM tenants WHERE slug = 'demo'`)
  tenantId = tenant?.id ?? ''
  await query(
    app.databaseUrl,
    `INSERT INTO users (tenant_id, id, external_id, name)
       SELECT '${tenantId}', gen_random_uuid(), 'id-' || n, CASE n WHEN 77 THEN 'Zoë' END FROM generate_series(1, 3000) n;
     INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes, status)
       SELECT tenant_id, gen_random_uuid(), id, CASE external_id WHEN 'id-77' THEN 'Zoë' ELSE external_id END, 'text/plain', 1,
         CASE external_id WHEN 'id-77' THEN 'FAILED' ELSE 'READY' END::"DocumentStatus" FROM users;
     INSERT INTO sessions (tenant_id, id, user_id) SELECT tenant_id, gen_random_uuid(), id FROM users;
     INSERT INTO session_documents (tenant_id, session_id, document_id)
       SELECT s.tenant_id, s.id, d.id FROM sessions s JOIN documents d ON d.user_id = s.user_id;
     INSERT INTO audit_entries (tenant_id, id, action, actor_id, actor_role)
       SELECT tenant_id, gen_random_uuid(), CASE external_id WHEN 'id-77' THEN 'eraseUser' ELSE 'loadModel' END, id, 'ADMIN'
       FROM users;
     INSERT INTO templates (tenant_id, id, name, author_id) SELECT tenant_id, gen_random_uuid(), external_id, id FROM users;
     INSERT INTO memories (tenant_id, id, user_id, key, value, source)
       SELECT tenant_id, gen_random_uuid(), id, 'tea', '"green"', 'MODEL' FROM users;
     INSERT INTO sessions (tenant_id, id, user_id, is_stateless) SELECT tenant_id, gen_random_uuid(), id, true FROM users;
     INSERT INTO messages (tenant_id, id, session_id, seq, role, content, author_id)
       SELECT tenant_id, gen_random_uuid(), id, 1, 'USER', 'Hi', user_id FROM sessions;
     INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, model, status, input_tokens, output_tokens,
         cached_input_tokens, cost)
       SELECT tenant_id, gen_random_uuid(), user_id, id, 'demo:chat', 'COMPLETED', 1, 1, 0, 0 FROM sessions;
     INSERT INTO usage_rollups (tenant_id, "interval", group_by, start, model, agent_id, user_id, sessions, messages, runs, failures, input_tokens,
         output_tokens, cached_input_tokens, cost)
       SELECT tenant_id, 'DAY', 'USER', '2024-05-01', '', '', id, 1, 1, 1, 0, 1, 1, 0, 0 FROM users;`,
  )
  await query(app.databaseUrl, 'VACUUM (ANALYZE)')
})

const [admin, user] = [{ user: 'root', role: 'ADMIN' as const }, { user: 'id-5' }]

/** Asked past row-level security, as `searchSql` does. */
const isForSearch = ({ text }: Asked) => text.includes('title_parts') || text.includes('d.status =')

it.each([
  ['users', admin, '{ users(search: "ZOË") { totalCount } }'],
  ['documents', admin, '{ documents(filter: { title: "ZOË" }) { totalCount } }'],
  ['documents', admin, '{ documents(filter: { status: FAILED }) { totalCount } }'],
  ['documents', user, '{ documents { totalCount } }'],
  ['auditLog', admin, '{ auditLog(filter: { action: "eraseUser" }) { totalCount } }'],
])('%s reads few rows of a tenant for what few of them have', async (list, who, text) => {
  const api = app.api(who)
  const asked = await askedBy('', async () => {
    expect((await api.run(text))[list]).toEqual({ totalCount: 1 })
  })
  const reads = asked.filter((each) => each.text.startsWith('SELECT') && each.text.includes('tenant_id'))
  expect(reads.length).toBeGreaterThan(0)
  for (const read of reads) {
    const role = isForSearch(read) ? 'parley_system' : 'parley_app'
    const { mostRows } = await costOf(app.databaseUrl, { role, tenantId }, read)
    expect(mostRows, read.text).toBeLessThan(1_000)
  }
})

const erase = `mutation ($userId: ID!) {
  eraseUser(input: { userId: $userId }) { ... on EraseUserPayload { sessions templates documents } }
}`

it('eraseUser reads few rows of others', async () => {
  const root = app.api(admin)
  const { users } = await root.run('{ users(search: "id-2999") { nodes { id } } }')
  const userId = users.nodes[0].id
  const asked = await askedBy('erasure-', async () => {
    expect((await root.run(erase, { userId })).eraseUser).toEqual({ sessions: 1, templates: 1, documents: 1 })
  })
  expect(asked.length).toBeGreaterThan(15)
  for (const statement of asked) {
    const { mostRows } = await costOf(app.databaseUrl, { role: 'parley_app', tenantId }, statement)
    expect(mostRows, statement.text).toBeLessThan(1_000)
  }
})
