import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createDatabase, type TenantDatabase } from '../../src/db/client.ts'
import { rowsOf } from '../../src/db/steps.ts'
import { newId } from '../../src/lib/ids.ts'
import { createMutant, type Mutant } from '../faults/mutants.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { requirePgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { query, withParts } from '../support/postgres.ts'
import { mishapsOf, ownEndFunction, suddenMishaps, type Tormented, torment } from './tenancy-pool.harness.ts'

let app: TestApp
/** Each with a session of its own. */
let tenants: { id: string; sessionId: string }[]

beforeAll(async () => {
  app = await startTestApp()
  await query(app.databaseUrl, ownEndFunction)
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

function openDatabase(
  poolSize: number,
  poolerUrl?: string,
  pooler: 'none' | 'transaction' = 'transaction',
  create = createDatabase,
) {
  const database = create({
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

/** Of each tenant: rounds of what hangs and is killed, too, beside thousands of quick turns of which a fifth is taken back. */
const whole = { rounds: 14, turns: 1_200 }

/** Nobody saw a row of another's, and every mishap was one. */
function expectOwn({ seen, outcomes }: Tormented) {
  const { length } = tenants
  const names = Object.keys(mishapsOf(app.databaseUrl))
  for (const { own, tenants } of seen) expect(new Set(tenants)).toEqual(new Set([own]))
  expect(seen.length).toBe(length * (whole.rounds * 2 + (whole.turns * 4) / 5))
  expect(outcomes.length).toBe(length * (whole.rounds + whole.turns / 5))
  expect(new Set(outcomes)).toEqual(new Set(names.map((name) => `${name} failed`)))
}

describe('connections that go from tenant to tenant', () => {
  it.each([1, 2])('show each its own rows, whatever befell them (%i in the pool)', async (poolSize) => {
    expectOwn(
      await torment([openDatabase(poolSize)], tenants, { mishaps: mishapsOf(app.databaseUrl), ...whole }),
    )
  })

  it.each<[string, Omit<Mutant, 'file'> & { file?: string }]>([
    [
      'a tenant is noted before the server has answered',
      { from: 'this.#bound.delete(client)', to: 'this.#bound.set(client, tenantId)' },
    ],
    [
      'a tenant is taken to be bound wherever any is',
      { from: 'this.#bound.get(client) === tenantId', to: 'this.#bound.has(client)' },
    ],
    [
      'a connection is handed on in the middle of a transaction',
      {
        file: 'src/db/guarded-pool.ts',
        from: "release(error || client.getTransactionStatus() !== 'I')",
        to: 'release(error)',
      },
    ],
    [
      'statements may come after the end of their transaction',
      { file: 'src/db/client.ts', from: 'if (isOver) throw', to: 'if (isOver && !client) throw' },
    ],
  ])('control: are found out where %s', async (_what, mutant) => {
    const { root, remove } = await createMutant([{ file: 'src/db/tenant.ts', ...mutant }])
    atEndOfFile(remove)
    const { createDatabase: create } = await import(join(root, 'src/db/client.ts'))
    const database = openDatabase(1, undefined, undefined, create)
    const result = await torment([database], tenants, { ...whole, mishaps: suddenMishaps }).catch(() => null)
    const isFound =
      !result ||
      result.seen.some(({ own, tenants }) => tenants.some((tenant) => tenant !== own)) ||
      result.outcomes.some((outcome) => !outcome.endsWith('failed'))
    expect(isFound).toBe(true)
  })

  const circular: unknown[] = []
  circular.push(circular)
  it.each([
    // The change of tenant is taken back with it.
    ['that fails', { name: 'broken', text: 'SELECT 1 / (random() * 0)::int' }, []],
    // Nothing of it is sent.
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

  it('do nothing of a pipeline in which one statement cannot be sent, and all of the next', async () => {
    const { sql } = openDatabase(1).forTenant(tenants[0]?.id ?? '')
    const add = {
      name: 'add-notice',
      text: 'INSERT INTO list_notices (tenant_id, id, user_id) SELECT tenant_id, gen_random_uuid(), user_id FROM sessions',
    }
    const echo = { name: 'echo', text: 'SELECT $1::json AS told' }
    const pipeline = (told: unknown) => sql.pipeline([rowsOf(echo, [told]), rowsOf(add, [])])
    const count = () => query(app.databaseUrl, 'SELECT count(*)::int FROM list_notices')
    const ownSessions = 'SELECT count(*)::int FROM sessions WHERE tenant_id = $1 HAVING count(*) > 1'
    await expect(pipeline(circular)).rejects.toThrow()
    await sql({ name: 'later', text: 'SELECT 1' }, [])
    expect(await count()).toEqual([{ count: 0 }])
    expect(await pipeline('1')).toEqual([[{ told: 1 }], []])
    // Of the sessions that the tenant has by now.
    expect(await count()).toEqual(await query(app.databaseUrl, ownSessions, { values: [tenants[0]?.id] }))
  })

  it('take a statement without words for one that gives no rows', async () => {
    const { sql } = openDatabase(1).forTenant(tenants[0]?.id ?? '')
    const one = rowsOf({ name: 'one', text: 'SELECT 1 AS one' }, [])
    const wordless = rowsOf({ name: '', text: '/* nothing */' }, [])
    expect(await sql.pipeline([one, wordless, one])).toEqual([[{ one: 1 }], [], [{ one: 1 }]])
  })

  it('show nothing where no tenant is set', async () => {
    const database = openDatabase(1)
    const nobody = { name: 'nobody', text: 'SELECT id FROM sessions' }
    await database.forTenant(tenants[0]?.id ?? '').sql(nobody, [])
    expect(await database.forTenant('').sql(nobody, [])).toEqual([])
    expect(await database.forTenant(randomUUID()).sql(nobody, [])).toEqual([])
  })
})

describe('connections for work of no single tenant', () => {
  it('do what comes next by itself, where somebody left one in a transaction or it was lost', async () => {
    const { system } = openDatabase(1)
    const add = {
      name: 'add-tenant',
      text: 'INSERT INTO tenants (id, slug, name) VALUES (gen_random_uuid(), $1, $1)',
    }
    const leavings = ['BEGIN', "SELECT own_end('pg_terminate_backend'), pg_sleep(5)"]
    for (const [index, text] of leavings.entries()) {
      await system.sql({ name: '', text }, []).catch(() => {})
      await system.sql(add, [`added-${index}`])
    }
    const added = await query(
      app.databaseUrl,
      `SELECT slug FROM tenants WHERE slug LIKE 'added-%' ORDER BY 1`,
    )
    expect(added).toEqual([{ slug: 'added-0' }, { slug: 'added-1' }])
  })
})

describe('connections behind a pooler, which hands them on after each transaction', () => {
  if (!requirePgBouncer()) return

  it('show each its own rows, whatever befell them, and keep nothing for whoever comes next', async () => {
    const url = await startPgBouncer(app.databaseUrl, { poolSize: 2 })
    // Two nodes, whose connections share two of the server's with somebody who knows nothing of tenants.
    const bystander = watchLeftovers(url)
    const databases = [openDatabase(2, url), openDatabase(3, url)]
    expectOwn(await torment(databases, tenants, { mishaps: mishapsOf(app.databaseUrl), ...whole }))
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
