import { createHash, randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Client, DatabaseError } from 'pg'
import { faultOf } from '../lib/old-servers.ts'

/**
 * Applies the SQL files of `prisma/migrations`, as `prisma migrate deploy` would: in the order of their names, under
 * Prisma's own lock, recorded in Prisma's own table, so that either tool goes on where the other stopped. Unlike
 * there, a migration that fails is undone as a whole: mend the cause and run it again.
 */
export type MigrateOptions = {
  /** Of the database, with a user that owns it or may create tables in the schema `public`. */
  url: string
  /** Holds `<name>/migration.sql`; the ones that come with Parley, unless told. */
  directory?: string
  /** Told of each migration as it is done, and of a server that has known holes. */
  log?: Partial<Record<'info' | 'warn', (fields: object, message: string) => void>>
}

/** The database is not as this release needs it; `message` is one paragraph that says what to do. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

const oldestServer = 15
const lockWaitMs = 60_000
const connectTimeoutMs = 10_000
const ownDirectory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url))

type Migration = { name: string; sql: string; checksum: string }
type Recorded = { name: string; checksum: string; isFinished: boolean }

/** Brings the database up to date and names what was applied; throws `MigrationError`. Safe to call from many nodes. */
export async function migrate({
  url,
  directory = ownDirectory,
  log,
}: MigrateOptions): Promise<{ applied: string[] }> {
  const migrations = await readMigrations(directory)
  const client = await connect(url)
  try {
    await checkServer(client, log)
    const applied: string[] = []
    for (;;) {
      const name = await applyNext(client, migrations)
      if (!name) return { applied }
      log?.info?.({ migration: name }, 'migrated the database')
      applied.push(name)
    }
  } finally {
    await client.end().catch(() => {})
  }
}

/** `checksum` is what Prisma stores: SHA-256 of the file as it is. */
async function readMigrations(directory: string): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(`${directory}/${name}/migration.sql`, 'utf8')
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') }
    }),
  )
}

async function connect(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'parley migrate',
  })
  // A connection that breaks fails the statement under way; unheard, the event would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    throw new MigrationError(explainConnection(client, error), { cause: error })
  }
}

function explainConnection({ host, port, user = '', database = '' }: Client, error: unknown): string {
  const server = `PostgreSQL at ${host}:${port}`
  const reason = reasonOf(error)
  switch (error instanceof DatabaseError ? error.code : undefined) {
    case '28P01':
    case '28000':
      return `${server} does not let the user ${user} in (${reason}): check the user and the password in DATABASE_URL.`
    case '3D000':
      return `${server} has no database ${database}: create it with CREATE DATABASE "${database}", or change DATABASE_URL.`
    case '42501':
      return `${server} does not let the user ${user} into the database ${database} (${reason}): run GRANT CONNECT ON DATABASE "${database}" TO "${user}" as its owner.`
    case undefined:
      return `${server} cannot be reached (${reason}): check DATABASE_URL and that the server is up.`
    default:
      return `${server} takes no connection now (${reason}): try again when it does.`
  }
}

async function checkServer(client: Client, log: MigrateOptions['log']): Promise<void> {
  const { rows } = await client.query<{ version: string; number: number }>(
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number",
  )
  const [server] = rows
  if (server && server.number < oldestServer * 10_000) {
    throw new MigrationError(
      `The database server is PostgreSQL ${server.version}, and Parley needs ${oldestServer} or newer: upgrade it, or point DATABASE_URL at a newer one.`,
    )
  }
  const fault = server ? faultOf('PostgreSQL', server.version) : null
  if (fault) log?.warn?.({}, fault)
}

/** One transaction: lock, look, apply, record. The lock ends with it, so a pooler between is no trouble. */
async function applyNext(client: Client, migrations: readonly Migration[]): Promise<string | undefined> {
  let next: Migration | undefined
  try {
    await client.query(`BEGIN; SET LOCAL search_path = public; SET LOCAL lock_timeout = ${lockWaitMs}`)
    await client.query('SELECT pg_advisory_xact_lock(72707369)')
    next = findNext(migrations, await readRecords(client))
    if (next) {
      await client.query('SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0')
      await client.query(next.sql)
      await client.query(
        `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
         VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
        [randomUUID(), next.checksum, next.name],
      )
    }
    await client.query('COMMIT')
    return next?.name
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    if (error instanceof MigrationError) throw error
    throw new MigrationError(explainFailure(client, next?.name, error), { cause: error })
  }
}

/** As Prisma creates it. */
const createRecords = `
  CREATE TABLE _prisma_migrations (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`

/** A migration that was marked as rolled back counts as never begun. */
async function readRecords(client: Client): Promise<Recorded[]> {
  // Looked for first: to see that nothing is to be done, no right to create tables is needed.
  const found = await client.query("SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found")
  if (!found.rows[0].found) await client.query(createRecords)
  const { rows } = await client.query<Recorded>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS "isFinished"
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  )
  return rows
}

/** The first migration that is not recorded; throws where the records and the files contradict each other. */
function findNext(migrations: readonly Migration[], records: readonly Recorded[]): Migration | undefined {
  for (const { name, checksum, isFinished } of records) {
    const file = migrations.find((migration) => migration.name === name)
    if (!file) {
      throw new MigrationError(
        `The database holds the migration ${name}, which this release does not know: run the release that made it, or restore a backup from before it.`,
      )
    }
    if (!isFinished) {
      throw new MigrationError(
        `The migration ${name} was begun by another tool and did not finish: undo what it left, mark it with prisma migrate resolve --rolled-back ${name}, and migrate again.`,
      )
    }
    if (file.checksum !== checksum) {
      throw new MigrationError(
        `The migration ${name} was changed after the database had it: restore prisma/migrations/${name}/migration.sql and put the change into a new migration.`,
      )
    }
  }
  return migrations.find(({ name }) => !records.some((record) => record.name === name))
}

function explainFailure(
  { user = '', database = '' }: Client,
  name: string | undefined,
  error: unknown,
): string {
  const reason = reasonOf(error)
  const code = error instanceof DatabaseError ? error.code : undefined
  if (code === '42501') {
    return `The user ${user} lacks a right in the database ${database} (${reason}): migrate as the user who owns the database and its tables.`
  }
  if (name) return `The migration ${name} failed and nothing of it was kept: ${reason}`
  if (code === '55P03') {
    return `Another process has been migrating the database ${database} for over ${lockWaitMs / 1_000} s: wait for it or end it, and migrate again.`
  }
  return `The database ${database} cannot be migrated now: ${reason}`
}

/** Node gathers the attempts on each address of a name under an error without words of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
