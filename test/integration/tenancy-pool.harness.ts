import type { Database, Sql, Statement, TenantDatabase } from '../../src/db/client.ts'
import { rowsOf } from '../../src/db/steps.ts'
import { createRandom } from '../fuzz/random.ts'
import { query } from '../support/postgres.ts'

/** What each look showed: whose it was, and whose rows came. `outcomes` are those of the mishaps. */
export type Tormented = { seen: { own: string; tenants: string[] }[]; outcomes: string[] }

type Mishap = (db: TenantDatabase) => Promise<unknown>

const who = {
  name: 'who',
  text: `SELECT DISTINCT tenant_id::text AS tenant, current_setting('app.tenant') AS own FROM sessions`,
}
type Who = { tenant: string; own: string }

/** Ways to see whose rows there are: each binds its connection in a way of its own. */
const looks: ((db: TenantDatabase) => Promise<string[]>)[] = [
  async ({ sql }) => whose(await sql<Who>(who, [])),
  async (db) => db.transaction(async (sql) => whose(await sql<Who>(who, []))),
  async ({ sql }) => {
    const step = rowsOf<Who>(who, [])
    return (await sql.pipeline([step, step])).flatMap(whose)
  },
  async ({ prisma }) => (await prisma.session.findMany()).map(({ tenantId }) => tenantId),
]
const whose = (rows: readonly Who[]) => rows.flatMap(({ tenant, own }) => [tenant, own])

/**
 * Hands the connections of these nodes from tenant to tenant. In `rounds` each tenant meets every mishap and looks. Beside
 * them as many lanes as tenants take `turns` quick turns: whose turn is next, and what it does, are chance, so that a
 * tenant follows now another and now itself on a connection that something went wrong on. Ends at the first
 * foreign row, look that fails, or mishap that is none.
 */
export async function torment(
  databases: readonly Database[],
  tenants: readonly { id: string }[],
  { mishaps, rounds, turns }: { mishaps: Readonly<Record<string, Mishap>>; rounds: number; turns: number },
): Promise<Tormented> {
  const random = createRandom(66)
  const seen: Tormented['seen'] = []
  const outcomes: string[] = []
  const names = Object.keys(mishaps)
  let isOver = false

  async function look(db: TenantDatabase, by = random.pick(looks)) {
    const tenants = await by(db).catch((error) => {
      isOver = true
      throw error
    })
    isOver ||= tenants.some((tenant) => tenant !== db.tenantId)
    seen.push({ own: db.tenantId, tenants })
  }
  async function suffer(name: string, db: TenantDatabase) {
    const outcome = await mishaps[name]?.(db).then(
      () => 'succeeded',
      () => 'failed',
    )
    isOver ||= outcome === 'succeeded'
    outcomes.push(`${name} ${outcome}`)
  }
  const dbOf = (id: string, turn: number) =>
    databases[turn % databases.length]?.forTenant(id) as TenantDatabase

  const slow = tenants.map(async ({ id }, offset) => {
    for (let round = 0; round < rounds && !isOver; round += 1) {
      const db = dbOf(id, round)
      await suffer(names[(round + offset * 2) % names.length] ?? '', db)
      for (let count = 0; count < 2; count += 1) await look(db)
    }
  })
  const quick = tenants.map(async () => {
    for (let turn = 0; turn < turns && !isOver; turn += 1) {
      const db = dbOf(random.pick(tenants).id, turn)
      if (turn % 5 === 0) await suffer(random.pick(quickMishaps), db)
      else await look(db)
    }
  })
  await Promise.all([...slow, ...quick])
  return { seen, outcomes }
}

const quickMishaps = ['thrown', 'aborted', 'failed', 'failed in a pipeline'] as const

const broken = { name: 'broken', text: 'SELECT 1 / (random() * 0)::int' }
const sleep = { name: 'sleep', text: 'SELECT pg_sleep(5)' }
const pid = { name: 'pid', text: 'SELECT pg_backend_pid() AS pid' }
const ownEnd = (by: string) => ({ name: by, text: `SELECT own_end('${by}'), pg_sleep(5)` })
const circular: unknown[] = []
circular.push(circular)

/** Between others that would do. */
const inPipeline = ({ sql }: TenantDatabase, statement: Statement, values: readonly unknown[] = []) =>
  sql.pipeline([rowsOf(who, []), rowsOf(statement, values), rowsOf(who, [])])

/** Ways in which work on a connection ends badly and at once. */
export const suddenMishaps = {
  thrown: (db) =>
    db.transaction(async (sql) => {
      await sql({ name: 'lock', text: 'SELECT id FROM sessions FOR UPDATE' }, [])
      throw new Error('changed its mind')
    }),
  aborted: (db) => db.transaction((sql) => sql(broken, [])),
  failed: ({ sql }) => sql(broken, []),
  'failed in a pipeline': (db) => inPipeline(db, broken),
  'not to be sent': (db) => inPipeline(db, { name: 'unsent', text: 'SELECT $1::json' }, [circular]),
  'left in a transaction': async ({ sql }) => {
    await sql({ name: '', text: 'BEGIN' }, [])
    throw new Error('forgot about it')
  },
  'rolled back to a savepoint': (db) =>
    db.transaction(async (sql) => {
      await sql({ name: '', text: 'SAVEPOINT here' }, [])
      await sql(broken, []).catch(() => {})
      await sql({ name: '', text: 'ROLLBACK TO SAVEPOINT here' }, [])
      throw new Error('changed its mind')
    }),
  'late for its transaction': async (db) => {
    let late: Sql | undefined
    await db.transaction(async (sql) => {
      late = sql
    })
    // Meanwhile the connection may be anybody's.
    await late?.(who, [])
  },
} satisfies Record<string, Mishap>

/** For `mishapsOf`: what the server's own role may not do to a connection. */
export const ownEndFunction = `CREATE FUNCTION own_end(how text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  AS 'BEGIN EXECUTE format(''SELECT %I(pg_backend_pid())'', how); END'`

/** All of them: those that hang, and those whose connection is lost, as well. */
export const mishapsOf = (databaseUrl: string): Record<string, Mishap> => ({
  ...suddenMishaps,
  cancelled: (db) => db.sql(sleep, []),
  'cancelled in a pipeline': (db) => inPipeline(db, sleep),
  'cancelled in a transaction': (db) => db.transaction((sql) => sql(sleep, [])),
  'cancelled in a snapshot': (db) => db.snapshot((prisma) => prisma.$queryRaw`SELECT pg_sleep(5)::text`),
  'thrown in a snapshot': (db) =>
    db.snapshot(async (prisma) => {
      await prisma.session.findMany()
      throw new Error('changed its mind')
    }),
  'cancelled by somebody in a pipeline': (db) => inPipeline(db, ownEnd('pg_cancel_backend')),
  'killed in a pipeline': (db) => inPipeline(db, ownEnd('pg_terminate_backend')),
  killed: (db) =>
    db.transaction(async (sql) => {
      const [backend] = await sql<{ pid: number }>(pid, [])
      await query(databaseUrl, 'SELECT pg_terminate_backend($1)', { values: [backend?.pid] })
      await sql(pid, [])
    }),
})
