import { setTimeout as sleep } from 'node:timers/promises'
import type { Viewer } from '../../../src/auth/viewer.ts'
import { loadConfig } from '../../../src/config.ts'
import { createDatabase, type Database, type TenantDatabase } from '../../../src/db/client.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { createSessionChecks } from '../../../src/features/sessions/checks.ts'
import { createSessionList } from '../../../src/features/sessions/list.ts'
import { query } from '../../support/postgres.ts'
import { openDatabases } from '../database.ts'
import type { Options } from '../options.ts'
import { median, printCase, progress, type Row } from '../report.ts'
import { setRowLevelSecurity } from './row-level-security.ts'

const caseName = 'list by isolation'
const tenants = 3
const users = 20
const sessionsPerUser = 500
const callers = 16

/** As the sidebar reads it: ten rows with their agents, and whether there are more. */
const page = { first: 10, orderBy: { field: 'LAST_MESSAGE_AT', direction: 'DESC' } } as const
const selection = {
  query: {},
  fields: new Set(['id', 'title', 'agent', 'isActive', 'lastMessageAt', 'messageCount']),
  agentFields: new Set(['id', 'name']),
  isCounted: false,
}

type Variant = { name: string; database: Database; viewers: readonly Viewer[] }

/**
 * What it costs that the database keeps tenants apart: the list of a sidebar by callers of three tenants in turn.
 * `none` reads a copy without row-level security over connections that never change tenants; `session` is how a server
 * works; `transaction` how it works behind a pooler; `classic` sets the tenant in a transaction around each list.
 */
export async function benchIsolation({ only, rounds, seconds }: Options): Promise<Row[]> {
  if (only.length > 0 && !only.includes(caseName)) return []
  const databases = await openDatabases()
  const opened: Database[] = []
  try {
    const url = await databases.create()
    const bareUrl = await databases.create()
    const owners = await fill(url)
    await fill(bareUrl)
    await setRowLevelSecurity(bareUrl, false)
    const open = (given: string, pooler: 'none' | 'transaction') => {
      const options = { poolSize: 10, poolWaitMs: 10_000, statementTimeoutMs: 10_000, onError() {} }
      const database = createDatabase({ ...options, url: given, pooler })
      opened.push(database)
      return database
    }
    const variants = [
      variant('none', open(bareUrl, 'none'), owners, (database, { tenantId }) => ({
        ...database.forTenant(owners[0]?.tenantId ?? ''),
        tenantId,
      })),
      variant('session', open(url, 'none'), owners, bound),
      variant('transaction', open(url, 'transaction'), owners, bound),
      variant('classic', open(url, 'none'), owners, (database, owner) => {
        const db = bound(database, owner)
        const { pipeline } = db.sql
        const alone = (...asked: Parameters<TenantDatabase['sql']>) =>
          db.transaction((sql) => setAndRun(sql, owner, ...asked))
        return { ...db, sql: Object.assign(alone, { pipeline }) }
      }),
    ]
    const rows: Row[] = []
    for (const each of variants) await listFor(each, seconds)
    for (let round = 0; round < rounds; round += 1)
      for (const each of variants) {
        const numbers = await listFor(each, seconds)
        rows.push({ case: caseName, peer: each.name, round, numbers })
        progress(
          `${caseName} ${each.name} round ${round + 1}: ${Math.round(numbers['lists/s'] ?? 0)} lists/s`,
        )
      }
    const numbers = { 'lists/s': 0, 'p50 ms': 2, 'server us': 0 }
    printCase(caseName, rows, { numbers, ratioOf: 'lists/s', ratioTo: ['none'] })
    return rows
  } finally {
    for (const database of opened) await database.close()
    await databases.stop()
  }
}

type Owner = { tenantId: string; userId: string }

const bound = (database: Database, { tenantId }: Owner): TenantDatabase => database.forTenant(tenantId)

const setAndRun: (
  sql: Parameters<Parameters<TenantDatabase['transaction']>[0]>[0],
  owner: Owner,
  ...statement: Parameters<TenantDatabase['sql']>
  // biome-ignore lint/suspicious/noExplicitAny: whatever rows the statement has
) => Promise<any[]> = async (sql, { tenantId }, statement, values) => {
  await sql({ name: 'bench-set', text: `SELECT set_config('app.tenant', $1, true)` }, [tenantId])
  return sql(statement, values)
}

const variant = (
  name: string,
  database: Database,
  owners: readonly Owner[],
  databaseOf: (database: Database, owner: Owner) => TenantDatabase,
): Variant => ({
  name,
  database,
  viewers: owners.map((owner) => ({
    ...owner,
    role: 'USER',
    db: databaseOf(database, owner),
    expiresAt: new Date(Date.now() + 3_600_000),
    issuedAt: new Date(),
    tokenId: undefined,
  })),
})

async function listFor({ viewers }: Variant, seconds: number): Promise<Record<string, number>> {
  const config = loadConfig({}).sessions
  const list = createSessionList(config, createSessionChecks(config))
  const times: number[] = []
  let next = 0
  let isOver = false
  const cpu = process.cpuUsage()
  const beganMs = performance.now()
  const calling = Array.from({ length: callers }, async () => {
    while (!isOver) {
      const viewer = viewers[next++ % viewers.length] as Viewer
      const askedMs = performance.now()
      const { rows } = await list.page(viewer, page, selection)
      if (rows.length !== page.first) throw new Error(`A list has ${rows.length} rows.`)
      times.push(performance.now() - askedMs)
    }
  })
  await sleep(seconds * 1_000)
  isOver = true
  await Promise.all(calling)
  const took = (performance.now() - beganMs) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return {
    'lists/s': times.length / took,
    'p50 ms': median(times),
    'server us': (user + system) / times.length,
  }
}

/** Gives a user of each tenant in turn, and each of its users. */
async function fill(url: string): Promise<Owner[]> {
  await migrate({ url })
  await query(
    url,
    `INSERT INTO tenants (id, slug, name)
     SELECT ('00000000-0000-7000-8000-' || lpad(t::text, 12, '0'))::uuid, 'tenant-' || t, 'Tenant'
     FROM generate_series(1, ${tenants}) t;
     INSERT INTO users (tenant_id, id, external_id)
     SELECT t.id, ('00000000-0000-7000-9000-' || lpad((row_number() OVER ())::text, 12, '0'))::uuid, 'user-' || u
     FROM tenants t, generate_series(1, ${users}) u;
     INSERT INTO agents (tenant_id, id, key, name) SELECT id, id, 'primary', 'Primary' FROM tenants;
     INSERT INTO sessions (tenant_id, id, user_id, agent_id, title, last_message_at, last_seq, message_count)
     SELECT u.tenant_id, gen_random_uuid(), u.id, u.tenant_id, 'Session ' || s, now() - s * interval '1 minute', 2, 2
     FROM users u, generate_series(1, ${sessionsPerUser}) s;
     ANALYZE`,
  )
  return query<Owner>(
    url,
    `SELECT tenant_id AS "tenantId", id AS "userId" FROM users ORDER BY external_id, tenant_id`,
  )
}
