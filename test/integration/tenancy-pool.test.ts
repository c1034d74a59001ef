import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createDatabase, type Database, type Sql, type TenantDatabase } from '../../src/db/client.ts'
import { newId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { requirePgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { query, withParts } from '../support/postgres.ts'

let app: TestApp
/** Each with a session of its own. */
let tenants: { id: string; sessionId: string }[]

beforeAll(async () => {
  app = await startTestApp()
  tenants = []
  for (const tenant of ['one', 'two', 'three']) {
    const sessionId = newId()
    await app.api({ tenant }).createSession()
    const [found] = await query<{ id: string }>(
      app.databaseUrl,
      `WITH t AS (SELECT t.id, u.id AS user_id FROM tenants t JOIN users u ON u.tenant_id = t.id WHERE slug = $1)
       INSERT INTO sessions (tenant_id, id, user_id, title) SELECT id, $2, user_id, $1 FROM t RETURNING tenant_id AS id`,
      { values: [tenant, sessionId] },
    )
    if (!found) throw new Error(`The tenant ${tenant} was not made.`)
    tenants.push({ id: found.id, sessionId })
  }
})
besideNeighbour(() => app)

function openDatabase(poolSize: number, poolerUrl?: string, pooler: 'none' | 'transaction' = 'transaction') {
  const database = createDatabase({
    url: poolerUrl ?? app.databaseUrl,
    pooler: poolerUrl ? pooler : 'none',
    poolSize,
    poolWaitMs: 20_000,
    // Long enough for whatever is not meant to be cancelled, on a machine that has much else to do.
    statementTimeoutMs: 300,
    onError: () => {},
  })
  onTestFinished(() => database.close())
  return database
}

describe('look-ups of one moment', () => {
  it.each(['findUnique', 'findUniqueOrThrow', 'findFirst'] as const)(
    'by %s stay with their tenants',
    async (find) => {
      const database = openDatabase(2)
      const asked = tenants.flatMap((viewer) => tenants.map((owner) => ({ viewer, owner })))
      const found = await Promise.all(
        asked.map(({ viewer, owner }) => {
          const where = { tenantId: owner.id, id: owner.sessionId }
          const { session } = database.forTenant(viewer.id).prisma
          return (
            find === 'findFirst'
              ? session.findFirst({ where })
              : session[find]({ where: { tenantId_id: where } })
          ).catch(() => null)
        }),
      )
      expect(found.map((row) => row?.id)).toEqual(
        asked.map(({ viewer, owner }) => (viewer === owner ? owner.sessionId : undefined)),
      )
    },
  )

  it('through the API stay with their tenants', async () => {
    const api = Object.fromEntries(['one', 'two'].map((tenant) => [tenant, app.api({ tenant })]))
    const ids: Record<string, string> = {}
    for (const tenant of ['one', 'two'])
      ids[tenant] = (await api[tenant]?.createSession({ title: tenant })) ?? ''
    const rounds = Array.from({ length: 20 }, () => ['one', 'two']).flat()
    const answers = await Promise.all(
      rounds.map((tenant) =>
        api[tenant]?.run('query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Session { title } } }', {
          ids: Object.values(ids),
        }),
      ),
    )
    expect(answers.map(({ nodes }) => nodes)).toEqual(
      rounds.map((tenant) => (tenant === 'one' ? [{ title: 'one' }, null] : [null, { title: 'two' }])),
    )
  })
})

describe('connections that go from tenant to tenant', () => {
  it.each([1, 2])('show each its own rows, whatever befell them (%i in the pool)', async (poolSize) => {
    await torment([openDatabase(poolSize)])
  })

  const circular: unknown[] = []
  circular.push(circular)
  it.each([
    // The change of tenant is taken back with it.
    ['that fails', { name: 'broken', text: 'SELECT 1 / (random() * 0)::int' }, []],
    // The change of tenant is made all the same.
    ['that cannot be sent', { name: 'unsent', text: 'SELECT $1::json' }, [circular]],
  ])('show each its own rows after a statement %s', async (_how, statement, values) => {
    const database = openDatabase(1)
    const [one, two] = tenants.map(({ id }) => database.forTenant(id)) as [TenantDatabase, TenantDatabase]
    const own = { name: 'own', text: 'SELECT DISTINCT tenant_id AS tenant FROM sessions' }
    for (const next of [one, two]) {
      expect(await one.sql(own, [])).toEqual([{ tenant: one.tenantId }])
      await expect(two.sql(statement, values)).rejects.toThrow()
      expect(await next.sql(own, [])).toEqual([{ tenant: next.tenantId }])
    }
  })

  it('show nothing where no tenant is set', async () => {
    const database = openDatabase(1)
    const nobody = { name: 'nobody', text: 'SELECT id FROM sessions' }
    await database.forTenant(tenants[0]?.id ?? '').sql(nobody, [])
    expect(await database.forTenant('').sql(nobody, [])).toEqual([])
    expect(await database.forTenant(randomUUID()).sql(nobody, [])).toEqual([])
  })
})

describe('connections behind a pooler, which hands them on after each transaction', () => {
  if (!requirePgBouncer()) return

  it('show each its own rows, whatever befell them, and keep nothing for whoever comes next', async () => {
    const url = await startPgBouncer(app.databaseUrl, { poolSize: 2 })
    // Two nodes, whose connections share two of the server's with somebody who knows nothing of tenants.
    const bystander = watchLeftovers(url)
    await torment([openDatabase(2, url), openDatabase(3, url)])
    expect(await bystander.stop()).toEqual(new Set(['nobody/nothing']))
    const nobody = { name: 'nobody', text: 'SELECT id FROM sessions' }
    expect(await openDatabase(1, url).forTenant('').sql(nobody, [])).toEqual([])
    // Where the setting is forgotten, nothing works rather than leaks.
    const unset = openDatabase(1, url, 'none').forTenant('')
    await expect(unset.sql(nobody, [])).rejects.toThrow('unsupported startup parameter')
  })

  it('run no statement that could not be bound to its role before', async () => {
    // Owns a table, so that what runs as itself could change it, and may not become anybody else.
    const outsider = `outsider_${randomUUID().slice(0, 8)}`
    await query(
      app.databaseUrl,
      `CREATE ROLE ${outsider} LOGIN PASSWORD 'outsider'; CREATE TABLE ${outsider} AS SELECT 1 AS id;
       ALTER TABLE ${outsider} OWNER TO ${outsider}; GRANT USAGE ON SCHEMA public TO ${outsider}`,
    )
    onTestFinished(async () => {
      await query(app.databaseUrl, `DROP OWNED BY ${outsider}; DROP ROLE ${outsider}`)
    })
    const own = { username: outsider, password: 'outsider' }
    const url = await startPgBouncer(withParts(app.databaseUrl, own), { poolSize: 1 })
    const db = openDatabase(1, url).forTenant(randomUUID())
    const add = { name: 'add', text: `INSERT INTO ${outsider} VALUES (2)` }
    await expect(db.sql(add, [])).rejects.toThrow('permission denied to set role')
    await expect(db.prisma.$executeRawUnsafe(add.text)).rejects.toThrow('permission denied to set role')
    await expect(db.transaction((sql) => sql(add, []))).rejects.toThrow('permission denied to set role')
    expect(await query(url, `SELECT id FROM ${outsider}`)).toEqual([{ id: 1 }])
  })
})

/** Asks over and over as somebody else what is set on the connections that it gets. */
function watchLeftovers(url: string) {
  const seen = new Set<string>()
  let isOver = false
  const watching = (async () => {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    const owner = new URL(url).username
    while (!isOver) {
      const { rows } = await client.query(
        `SELECT replace(current_user, $1, 'nobody') || '/' ||
           coalesce(nullif(current_setting('app.tenant', true), ''), 'nothing') AS set`,
        [owner],
      )
      seen.add(rows[0].set)
    }
    await client.end()
    return seen
  })()
  return {
    stop() {
      isOver = true
      return watching
    },
  }
}

/** Of each tenant, beside the few that hang or are killed, as those take long. */
const quickTransactions = 1_200

/**
 * Tenants in turn on the connections of these nodes, each meeting every mishap between thousands of transactions of
 * which a fifth is taken back; nobody may see a row of another's.
 */
async function torment(databases: readonly Database[]) {
  const seen: string[][] = []
  const outcomes: string[] = []
  const rounds = 14
  const who = {
    name: 'who',
    text: `SELECT DISTINCT tenant_id::text AS tenant, current_setting('app.tenant') AS own FROM sessions`,
  }
  const look = async (db: TenantDatabase, sql: Sql = db.sql) => {
    const rows = await sql<{ tenant: string; own: string }>(who, [])
    seen.push([db.tenantId, ...rows.flatMap(({ tenant, own }) => [tenant, own])])
  }
  const mishaps = mishapsOf(app.databaseUrl)
  const names = Object.keys(mishaps)
  const suffer = async (name: string, db: TenantDatabase) => {
    const outcome = await mishaps[name]?.(db).then(
      () => 'succeeded',
      () => 'failed',
    )
    outcomes.push(`${name} ${outcome}`)
  }
  const dbOf = (id: string, turn: number) =>
    databases[turn % databases.length]?.forTenant(id) as TenantDatabase
  const turns = tenants.map(async ({ id }, offset) => {
    for (let round = 0; round < rounds; round += 1) {
      const db = dbOf(id, round)
      await suffer(names[(round + offset * 2) % names.length] ?? '', db)
      await look(db)
      seen.push([id, ...(await db.prisma.session.findMany()).flatMap(({ tenantId }) => [tenantId, tenantId])])
    }
  })
  const quickTurns = tenants.map(async ({ id }) => {
    for (let turn = 0; turn < quickTransactions; turn += 1) {
      const db = dbOf(id, turn)
      if (turn % 5 === 0) await suffer(turn % 2 === 0 ? 'thrown' : 'aborted', db)
      else if (turn % 2 === 0) await look(db)
      else await db.transaction((sql) => look(db, sql))
    }
  })
  await Promise.all([...turns, ...quickTurns])

  const { length } = tenants
  expect(seen.length).toBe(length * (rounds * 2 + (quickTransactions * 4) / 5))
  expect(outcomes.length).toBe(length * (rounds + quickTransactions / 5))
  for (const [own, ...tenantsSeen] of seen) expect(new Set(tenantsSeen)).toEqual(new Set([own]))
  expect(new Set(outcomes)).toEqual(new Set(names.map((name) => `${name} failed`)))
}

/** Ways in which work on a connection ends badly. */
const mishapsOf = (databaseUrl: string): Record<string, (db: TenantDatabase) => Promise<unknown>> => ({
  thrown: (db) =>
    db.transaction(async (sql) => {
      await sql({ name: 'lock', text: 'SELECT id FROM sessions FOR UPDATE' }, [])
      throw new Error('changed its mind')
    }),
  aborted: (db) =>
    db.transaction((sql) => sql({ name: 'broken', text: 'SELECT 1 / (random() * 0)::int' }, [])),
  cancelled: (db) => db.sql({ name: 'sleep', text: 'SELECT pg_sleep(5)' }, []),
  'cancelled in a transaction': (db) =>
    db.transaction((sql) => sql({ name: 'sleep', text: 'SELECT pg_sleep(5)' }, [])),
  'cancelled in a snapshot': (db) => db.snapshot((prisma) => prisma.$queryRaw`SELECT pg_sleep(5)::text`),
  'thrown in a snapshot': (db) =>
    db.snapshot(async (prisma) => {
      await prisma.session.findMany()
      throw new Error('changed its mind')
    }),
  killed: (db) =>
    db.transaction(async (sql) => {
      const [backend] = await sql<{ pid: number }>(
        { name: 'pid', text: 'SELECT pg_backend_pid() AS pid' },
        [],
      )
      await query(databaseUrl, 'SELECT pg_terminate_backend($1)', { values: [backend?.pid] })
      await sql({ name: 'pid', text: 'SELECT pg_backend_pid() AS pid' }, [])
    }),
})
