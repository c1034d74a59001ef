import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createDatabase, type TenantDatabase } from '../../src/db/client.ts'
import { newId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

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

function openDatabase(poolSize: number) {
  const database = createDatabase({
    url: app.databaseUrl,
    poolSize,
    poolWaitMs: 20_000,
    statementTimeoutMs: 60,
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
    const database = openDatabase(poolSize)
    const seen: string[][] = []
    const rounds = 14
    const look = async (db: TenantDatabase) => {
      const rows = await db.sql<{ tenant: string; own: string }>(
        {
          name: 'who',
          text: `SELECT DISTINCT tenant_id::text AS tenant, current_setting('app.tenant') AS own FROM sessions`,
        },
        [],
      )
      seen.push([db.tenantId, ...rows.flatMap(({ tenant, own }) => [tenant, own])])
    }
    const outcomes: string[] = []
    const mishaps = Object.entries(mishapsOf(app.databaseUrl))
    const turns = tenants.map(async ({ id }, offset) => {
      const db = database.forTenant(id)
      for (let round = 0; round < rounds; round += 1) {
        const [name, mishap] = mishaps[(round + offset * 2) % mishaps.length] ?? []
        const outcome = await mishap?.(db).then(
          () => 'succeeded',
          () => 'failed',
        )
        outcomes.push(`${name} ${outcome}`)
        await look(db)
        seen.push([
          id,
          ...(await db.prisma.session.findMany()).flatMap(({ tenantId }) => [tenantId, tenantId]),
        ])
      }
    })
    await Promise.all(turns)

    expect(seen.length).toBe(tenants.length * rounds * 2)
    for (const [own, ...tenantsSeen] of seen) expect(new Set(tenantsSeen)).toEqual(new Set([own]))
    expect(new Set(outcomes)).toEqual(new Set(mishaps.map(([name]) => `${name} failed`)))
  })

  it('show nothing where no tenant is set', async () => {
    const database = openDatabase(1)
    const nobody = { name: 'nobody', text: 'SELECT id FROM sessions' }
    await database.forTenant(tenants[0]?.id ?? '').sql(nobody, [])
    expect(await database.forTenant('').sql(nobody, [])).toEqual([])
    expect(await database.forTenant(randomUUID()).sql(nobody, [])).toEqual([])
  })
})

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
