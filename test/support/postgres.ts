import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type QueryResultRow } from 'pg'
import { startEmbeddedDatabase } from '../../src/db/embedded.ts'

/**
 * A PostgreSQL for the tests of one file: an embedded one in a temporary folder, or, to run them on another release,
 * the server in TEST_DATABASE_URL, which must name a superuser.
 */
export type TestServer = {
  url: string
  /** A new, empty database; gone after `stop`. */
  createDatabase(): Promise<string>
  stop(): Promise<void>
}

export async function startPostgres(): Promise<TestServer> {
  const url = process.env.TEST_DATABASE_URL
  return url ? createServer(url, async () => {}) : startFreshPostgres({ maxConnections })
}

/** Each of the files that are run at a time may have several servers, with a pool each. */
const maxConnections = 400

/** One that nobody has used before: without Parley's roles, which belong to the whole server. */
export async function startFreshPostgres(settings: { maxConnections?: number } = {}): Promise<TestServer> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-postgres-')))
  // Run by root, PostgreSQL runs as another user, who must get in.
  await chmod(folder, 0o711)
  const start = () => startEmbeddedDatabase({ dataDir: folder, log: { info: () => {}, warn: () => {} } })
  let { url, stop } = await start()
  if (settings.maxConnections) {
    await query(url, `ALTER SYSTEM SET max_connections = ${settings.maxConnections}`)
    await stop()
    ;({ url, stop } = await start())
  }
  return createServer(url, async () => {
    await stop()
    await rm(folder, { recursive: true })
  })
}

function createServer(url: string, stop: () => Promise<void>): TestServer {
  const names: string[] = []
  return {
    url,
    createDatabase: async () => {
      const name = `parley_test_${randomBytes(6).toString('hex')}`
      await query(url, `CREATE DATABASE ${name}`)
      names.push(name)
      return withParts(url, { pathname: `/${name}` })
    },
    stop: async () => {
      for (const name of names) await query(url, `DROP DATABASE ${name} WITH (FORCE)`)
      await stop()
    },
  }
}

/** The address with some of its parts replaced. */
export function withParts(
  url: string,
  parts: Partial<Record<'username' | 'password' | 'port' | 'pathname', string>>,
) {
  return Object.assign(new URL(url), parts).href
}

/** Rows of one statement on a connection of its own; `options` are startup options such as `-c role=parley_app`. */
export async function query<Row extends QueryResultRow>(
  url: string,
  sql: string,
  { values, options }: { values?: unknown[]; options?: string } = {},
): Promise<Row[]> {
  const client = new Client({ connectionString: url, options })
  await client.connect()
  try {
    return (await client.query<Row>(sql, values)).rows
  } finally {
    await client.end()
  }
}
