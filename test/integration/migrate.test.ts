import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import { type MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { MigrationError, migrate } from '../../src/db/migrate.ts'
import { patience } from '../support/patience.ts'
import { query, startFreshPostgres, startPostgres, type TestServer, withParts } from '../support/postgres.ts'

let server: TestServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** A folder of migrations, one for each pair of name and SQL. */
async function createMigrations(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-migrations-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  for (const [name, sql] of Object.entries(files)) {
    await mkdir(join(directory, name))
    await writeFile(join(directory, name, 'migration.sql'), sql)
  }
  return directory
}

async function fail(options: { url: string; directory?: string }): Promise<string> {
  const error = await migrate(options).catch((error: unknown) => error)
  expect(error).toBeInstanceOf(MigrationError)
  return (error as MigrationError).message
}

/** What Prisma's own engine makes of the database's records. */
async function diagnose(url: string, directory: string, names: string[]) {
  const engine = await SchemaEngine.new(
    { datamodels: undefined },
    () => {},
    bindMigrationAwareSqlAdapterFactory(new PrismaPg({ connectionString: url })),
  )
  const migrationDirectories: MigrationList['migrationDirectories'] = []
  for (const path of names) {
    const value = await readFile(join(directory, path, 'migration.sql'), 'utf8')
    migrationDirectories.push({
      path,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } },
    })
  }
  return engine.diagnoseMigrationHistory({
    migrationsList: {
      baseDir: directory,
      lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
      shadowDbInitScript: '',
      migrationDirectories,
    },
    optInToShadowDatabase: false,
    filters: { externalTables: [], externalEnums: [] },
  })
}

describe('migrate', () => {
  it('applies each migration once, in order, and leaves records that Prisma takes for its own', async () => {
    const url = await server.createDatabase()
    const directory = await createMigrations({
      '2_second': 'ALTER TABLE things ADD COLUMN note text; CREATE INDEX ON things (note);',
      '1_first': 'CREATE TABLE things (id int);',
    })
    expect(await migrate({ url, directory })).toEqual({ applied: ['1_first', '2_second'] })
    expect(await migrate({ url, directory })).toEqual({ applied: [] })
    expect(await diagnose(url, directory, ['1_first', '2_second'])).toEqual({
      editedMigrationNames: [],
      failedMigrationNames: [],
      hasMigrationsTable: true,
      history: null,
    })
    expect(
      await query(
        url,
        'SELECT finished_at >= started_at AS finished, rolled_back_at, logs, applied_steps_count FROM _prisma_migrations',
      ),
    ).toEqual(Array(2).fill({ finished: true, rolled_back_at: null, logs: null, applied_steps_count: 1 }))
  })

  it("goes on where Prisma's engine stopped", async () => {
    const url = await server.createDatabase()
    const directory = await createMigrations({ '1_first': 'CREATE TABLE things (id int);' })
    await migrate({ url, directory })
    await mkdir(join(directory, '2_second'))
    await writeFile(join(directory, '2_second/migration.sql'), 'DROP TABLE things;')
    expect(await diagnose(url, directory, ['1_first', '2_second'])).toMatchObject({
      history: { diagnostic: 'databaseIsBehind', unappliedMigrationNames: ['2_second'] },
    })
    expect(await migrate({ url, directory })).toEqual({ applied: ['2_second'] })
  })

  it('lets nodes that start together apply everything once', async () => {
    const url = await server.createDatabase()
    const results = await Promise.all(Array.from({ length: 6 }, () => migrate({ url })))
    const applied = results.flatMap((result) => result.applied)
    expect(applied.length).toBeGreaterThan(0)
    expect(applied).toEqual([...new Set(applied)])
  })

  it('waits while Prisma migrates', async () => {
    const url = await server.createDatabase()
    const prisma = new Client({ connectionString: url })
    await prisma.connect()
    onTestFinished(() => prisma.end())
    await prisma.query('SELECT pg_advisory_lock(72707369)')
    const directory = await createMigrations({ '1_first': 'CREATE TABLE things (id int);' })
    const result = migrate({ url, directory })
    await vi.waitUntil(async () => {
      const waiting = await prisma.query(`SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`)
      return waiting.rowCount === 1
    }, patience)
    expect(await query(url, "SELECT to_regclass('things') AS things")).toEqual([{ things: null }])
    await prisma.query('SELECT pg_advisory_unlock(72707369)')
    expect(await result).toEqual({ applied: ['1_first'] })
  })

  it('undoes a migration that fails, keeps those before it, and takes the mended one', async () => {
    const url = await server.createDatabase()
    const directory = await createMigrations({
      '1_first': 'CREATE TABLE things (id int);',
      '2_second': 'CREATE TABLE more (id int); SELECT 1/0;',
    })
    expect(await fail({ url, directory })).toBe(
      'The migration 2_second failed and nothing of it was kept: division by zero',
    )
    expect(await query(url, "SELECT to_regclass('things') AS things, to_regclass('more') AS more")).toEqual([
      { things: 'things', more: null },
    ])
    // This one succeeds, but cannot be recorded.
    const unrecorded =
      'CREATE TABLE more (id int); ALTER TABLE _prisma_migrations ADD CHECK (false) NOT VALID;'
    await writeFile(join(directory, '2_second/migration.sql'), unrecorded)
    expect(await fail({ url, directory })).toContain('The migration 2_second failed')

    await writeFile(join(directory, '2_second/migration.sql'), 'CREATE TABLE more (id int);')
    expect(await migrate({ url, directory })).toEqual({ applied: ['2_second'] })
  })

  it('refuses a migration that was changed after it was applied', async () => {
    const url = await server.createDatabase()
    const directory = await createMigrations({ '1_first': 'CREATE TABLE things (id int);' })
    await migrate({ url, directory })
    await writeFile(join(directory, '1_first/migration.sql'), 'CREATE TABLE things (id bigint);')
    expect(await fail({ url, directory })).toContain(
      'The migration 1_first was changed after the database had it',
    )
  })

  it('refuses a database that a newer release has migrated', async () => {
    const url = await server.createDatabase()
    const newer = await createMigrations({ '1_first': 'SELECT 1;', '2_newer': 'SELECT 1;' })
    await migrate({ url, directory: newer })
    const older = await createMigrations({ '1_first': 'SELECT 1;' })
    expect(await fail({ url, directory: older })).toContain(
      'holds the migration 2_newer, which this release does not know',
    )
  })

  it('refuses what another tool left unfinished, until it is marked as rolled back', async () => {
    const url = await server.createDatabase()
    const directory = await createMigrations({ '1_first': 'CREATE TABLE things (id int);' })
    await migrate({ url, directory })
    await query(url, 'UPDATE _prisma_migrations SET finished_at = NULL')
    expect(await fail({ url, directory })).toContain('prisma migrate resolve --rolled-back 1_first')
    await query(url, 'DROP TABLE things; UPDATE _prisma_migrations SET rolled_back_at = now()')
    expect(await migrate({ url, directory })).toEqual({ applied: ['1_first'] })
  })

  it('refuses a PostgreSQL that is too old', async () => {
    const url = await server.createDatabase()
    // A function of the same name stands before PostgreSQL's own and tells of another release.
    await query(
      url,
      `CREATE SCHEMA old; CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql
         AS $$ SELECT CASE name WHEN 'server_version' THEN '14.20' ELSE '140020' END $$`,
    )
    const aged = new URL(url)
    aged.searchParams.set('options', '-c search_path=old,pg_catalog')
    expect(await fail({ url: aged.href })).toBe(
      'The database server is PostgreSQL 14.20, and Parley needs 15 or newer: upgrade it, or point DATABASE_URL at a newer one.',
    )
  })

  it('says in one sentence why there is no connection', async () => {
    expect(await fail({ url: withParts(server.url, { port: '1' }) })).toMatch(
      /at \S+:1 cannot be reached \(.*\): check/,
    )
    expect(await fail({ url: withParts(server.url, { username: 'stranger' }) })).toContain(
      'does not let the user stranger in',
    )
    expect(await fail({ url: withParts(server.url, { pathname: '/nowhere' }) })).toContain(
      'create it with CREATE DATABASE "nowhere"',
    )
  })
})

describe('migrate, on a cluster without its roles', () => {
  // Roles belong to the whole cluster, so each of these needs one to itself.
  const startFresh = async () => {
    const fresh = await startFreshPostgres()
    onTestFinished(() => fresh.stop())
    return fresh
  }

  it('creates its roles, also while another database is given them', async () => {
    const fresh = await startFresh()
    const other = new Client({ connectionString: fresh.url })
    await other.connect()
    onTestFinished(() => other.end())
    await other.query('BEGIN; CREATE ROLE parley_app NOLOGIN; CREATE ROLE parley_system NOLOGIN')
    const result = migrate({ url: await fresh.createDatabase() })
    await vi.waitUntil(async () => {
      const waiting = await other.query(
        "SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted",
      )
      return waiting.rowCount === 1
    }, patience)
    await other.query('COMMIT')
    expect((await result).applied).not.toEqual([])
    expect(
      await query(
        fresh.url,
        "SELECT rolname, rolcanlogin, rolbypassrls, rolsuper FROM pg_roles WHERE rolname LIKE 'parley\\__%' ORDER BY 1",
      ),
    ).toEqual([
      { rolname: 'parley_app', rolcanlogin: false, rolbypassrls: false, rolsuper: false },
      { rolname: 'parley_system', rolcanlogin: false, rolbypassrls: false, rolsuper: false },
    ])
  })

  it('hands a user without rights the SQL for an administrator, and that SQL is enough', async () => {
    const fresh = await startFresh()
    const adminUrl = await fresh.createDatabase()
    const ownerUrl = withParts(adminUrl, { username: 'plain', password: 'plain' })
    await query(adminUrl, "CREATE ROLE plain LOGIN PASSWORD 'plain'")
    expect(await fail({ url: ownerUrl })).toContain('permission denied for schema public')

    await query(adminUrl, 'GRANT CREATE ON SCHEMA public TO plain')
    const sql = /(CREATE ROLE parley_app.*;)$/.exec(await fail({ url: ownerUrl }))?.[1]
    await query(adminUrl, sql ?? '')
    expect((await migrate({ url: ownerUrl })).applied).not.toEqual([])
    expect(
      await query(ownerUrl, 'SELECT current_user::text AS name', { options: '-c role=parley_app' }),
    ).toEqual([{ name: 'parley_app' }])
  })

  it('lets a user who may create roles set everything up alone', async () => {
    const fresh = await startFresh()
    const adminUrl = await fresh.createDatabase()
    await query(
      adminUrl,
      "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'maker'; GRANT CREATE ON SCHEMA public TO maker",
    )
    const url = withParts(adminUrl, { username: 'maker', password: 'maker' })
    expect((await migrate({ url })).applied).not.toEqual([])
    for (const role of ['parley_app', 'parley_system']) {
      expect(await query(url, 'SELECT current_user::text AS name', { options: `-c role=${role}` })).toEqual([
        { name: role },
      ])
    }
  })

  it('needs no more than reading to see that nothing is to be done', async () => {
    const fresh = await startFresh()
    const adminUrl = await fresh.createDatabase()
    await migrate({ url: adminUrl })
    await query(
      adminUrl,
      "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON _prisma_migrations TO reader",
    )
    expect(await migrate({ url: withParts(adminUrl, { username: 'reader', password: 'reader' }) })).toEqual({
      applied: [],
    })
  })
})
