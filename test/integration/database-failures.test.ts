import { createServer } from 'node:net'
import { Client } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { createDatabase, type Database, type TenantDatabase } from '../../src/db/client.ts'
import { type RunStatement, rowsOf } from '../../src/db/steps.ts'
import { newId } from '../../src/lib/ids.ts'
import { createDatabase as createTestDatabase } from '../support/app.ts'

const lookAt = (table: 'sessions' | 'tenants') => ({
  name: `test-look-${table}`,
  text: `SELECT count(*) FROM ${table}`,
})
const look = lookAt('sessions')

/** Every way in which features reach the database. */
const doors: Record<string, (db: TenantDatabase, database: Database) => Promise<unknown>> = {
  'a statement': ({ sql }) => sql(look, []),
  'a pipeline': ({ sql }) => sql.pipeline([rowsOf(look, []), rowsOf(look, [])]),
  'a transaction': ({ transaction }) => transaction((sql) => sql(look, [])),
  'a search': ({ searchSql }) =>
    searchSql({ ...look, name: 'test-search', text: `${look.text} WHERE tenant_id = $1` }, []),
  'a read of Prisma': ({ prisma }) => prisma.session.findMany(),
  'a read by id': ({ prisma, tenantId }) =>
    prisma.session.findUnique({ where: { tenantId_id: { tenantId, id: newId() } } }),
  'a transaction of Prisma': ({ prisma }) => prisma.$transaction((each) => each.session.findMany()),
  'a snapshot': ({ snapshot }) => snapshot((prisma) => prisma.session.findMany()),
  'a statement of the system': (_db, { system }) => system.sql(look, []),
  'a transaction of the system': (_db, { system }) => system.transaction((sql) => sql(look, [])),
}

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  // A lock goes before the pools, whose connections may wait for it.
  for (const close of opened.splice(0)) await close()
})

function open(
  url: string,
  settings: { poolSize?: number; poolWaitMs?: number; statementTimeoutMs?: number },
) {
  const slow: string[] = []
  const database = createDatabase({
    ...{ url, poolSize: 20, poolWaitMs: 10_000, statementTimeoutMs: 10_000, onError: () => {}, ...settings },
    onSlow: (what) => slow.push(what),
  })
  opened.push(() => database.close())
  return { database, slow }
}

/** What each door fails with, as callers are told. */
async function failures(database: Database) {
  const db = database.forTenant(newId())
  const told = Object.entries(doors).map(async ([name, use]) => [
    name,
    await use(db, database).then(
      () => 'answered',
      ({ code, message }) => `${code}: ${message}`,
    ),
  ])
  return Object.fromEntries(await Promise.all(told))
}

const everyDoor = (told: unknown) => Object.fromEntries(Object.keys(doors).map((name) => [name, told]))

const noConnection = 'RATE_LIMITED: Too many requests at once; try again in 1 s (DATABASE_POOL_SIZE).'
const tooSlow =
  'RATE_LIMITED: Too many requests at once, or too much for one; try again in 1 s (DATABASE_STATEMENT_TIMEOUT_MS).'

describe('whatever came too late is told as something to try again', () => {
  it('where no new connection is made in time', async () => {
    // As a server that has too much to do: it takes connections and says nothing.
    const silent = createServer((socket) => socket.on('error', () => {}))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    opened.push(async () => silent.close())
    const { port } = silent.address() as { port: number }
    const { database } = open(`postgres://nobody@127.0.0.1:${port}/nothing`, { poolWaitMs: 200 })
    expect(await failures(database)).toEqual(everyDoor(noConnection))
  })

  it('where every connection is in use', async () => {
    const { url, release } = await locked('sessions')
    const { database } = open(url, { poolSize: 1, poolWaitMs: 200 })
    const db = database.forTenant(newId())
    const holders = [db.sql, ...Array(4).fill(database.system.sql)].map((sql) => untilAnswered(sql))
    await expect.poll(() => waiting(url)).toBe(holders.length)
    expect(await failures(database)).toEqual(everyDoor(noConnection))
    await release()
    await Promise.all(holders)
  })

  it('where a statement takes longer than it may, which is noted', async () => {
    const { url } = await locked('sessions')
    const { database, slow } = open(url, { statementTimeoutMs: 300 })
    expect(await failures(database)).toEqual(everyDoor(tooSlow))
    expect(slow).toEqual(expect.arrayContaining(['test-look-sessions', 'Session.findMany']))
  })

  it('where a transaction of Prisma takes longer than two statements may', async () => {
    const { database } = open(await createTestDatabase(), { statementTimeoutMs: 100 })
    const db = database.forTenant(newId())
    const late = db.snapshot(async (prisma) => {
      for (;;) await prisma.session.findMany()
    })
    await expect(late).rejects.toThrow(/^Too many requests at once, or too much for one/)
  })
})

/** A busy machine may be too slow for a connection at first. */
const untilAnswered = (sql: RunStatement): Promise<unknown> => sql(look, []).catch(() => untilAnswered(sql))

/** A database of which one table is kept from everybody else. */
async function locked(table: string) {
  const url = await createTestDatabase()
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  await client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
  opened.push(() => client.end())
  return { url, release: () => client.query('COMMIT') }
}

/** How many statements wait for a lock. */
async function waiting(url: string): Promise<number> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  await client.end()
  return rows[0].count
}
