import { expect, it, onTestFinished } from 'vitest'
import type { Viewer } from '../../src/auth/viewer.ts'
import { loadConfig } from '../../src/config.ts'
import { createDatabase } from '../../src/db/client.ts'
import { createSessionChecks } from '../../src/features/sessions/checks.ts'
import { createSessionList } from '../../src/features/sessions/list.ts'
import { startTestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

// After five plans for the values at hand PostgreSQL takes one for all, unless it seems much dearer.
it('the list of somebody whom nobody shares with is not planned anew each time, whatever others share', async () => {
  const app = await startTestApp()
  await app.api({ user: 'owner' }).createSession()
  await query(
    app.databaseUrl,
    `INSERT INTO users (tenant_id, id, external_id)
       SELECT t.id, gen_random_uuid(), 'user-' || n FROM tenants t, generate_series(1, 20) n WHERE t.slug = 'demo';
     INSERT INTO sessions (tenant_id, id, user_id, agent_id, title, last_message_at)
       SELECT u.tenant_id, gen_random_uuid(), u.id, a.id, 'Session ' || n, now() - n * interval '1 minute'
       FROM users u JOIN agents a ON a.tenant_id = u.tenant_id AND a.key = 'primary', generate_series(1, 200) n
       WHERE u.external_id LIKE 'user-%';
     INSERT INTO participants (tenant_id, session_id, user_id, role)
       SELECT s.tenant_id, s.id, u.id, 'VIEWER' FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id
       WHERE u.external_id IN ('user-1', 'user-2') AND s.user_id <> u.id;
     ANALYZE`,
  )
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
