import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { findDrift } from '../../prisma/drift.ts'
import { readSchema } from '../../prisma/schema-diff.ts'
import { startFreshPostgres, type TestServer } from '../support/postgres.ts'

const own = join(import.meta.dirname, '../../prisma/migrations')
let server: TestServer
let schema: string
beforeAll(async () => {
  server = await startFreshPostgres()
  schema = await readSchema()
})
afterAll(() => server.stop())

/** The drift after one change of the schema. */
async function change(from: string | RegExp, to: string): Promise<string[]> {
  const changed = schema.replace(from, to)
  expect(changed).not.toBe(schema)
  return findDrift(server.url, changed, own)
}

/** The drift after one more migration. */
async function add(sql: string): Promise<string[]> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-drift-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  await cp(own, directory, { recursive: true })
  await mkdir(join(directory, '99999999999999_more'))
  await writeFile(join(directory, '99999999999999_more/migration.sql'), sql)
  return findDrift(server.url, schema, directory)
}

describe('the drift check', () => {
  it('finds the schema and its migrations to agree', async () => {
    expect(await findDrift(server.url, schema, own)).toEqual([])
  })

  it('finds a missing column', async () => {
    expect(await change(/^model Tenant \{$/m, 'model Tenant {\n  region String?')).toEqual([
      'column tenants.region: in the schema, not in the migrations',
    ])
  })

  it('finds a missing index', async () => {
    expect(
      await change('@@unique([tenantId, key])', '@@unique([tenantId, key])\n  @@index([tenantId, name])'),
    ).toEqual(['index agents_tenant_id_name_idx: in the schema, not in the migrations'])
  })

  it('finds a changed type, nullability and default', async () => {
    expect(await change(/externalId +String/, 'externalId Int')).toEqual([
      'column users.external_id: integer NOT NULL in the schema, text NOT NULL in the migrations',
    ])
    expect(await change(/description +String\?/, 'description String')).toEqual([
      'column agents.description: text NOT NULL in the schema, text in the migrations',
    ])
    expect(await change('@default(USER)', '@default(ADMIN)')).toEqual([
      `column users.role: "UserRole" NOT NULL DEFAULT 'ADMIN'::"UserRole" in the schema, "UserRole" NOT NULL DEFAULT 'USER'::"UserRole" in the migrations`,
    ])
  })

  it('finds a changed foreign key and a missing enum value', async () => {
    expect(await change(/(user +User +@relation\([^)]*onDelete: )NoAction/, '$1Cascade')).toEqual([
      expect.stringMatching(
        /^constraint sessions_tenant_id_user_id_fkey of sessions: .*CASCADE.* in the schema/,
      ),
    ])
    expect(await change(/^ {2}SERVICE$/m, '  SERVICE\n  ROBOT')).toEqual([
      'type UserRole: USER, ADMIN, SERVICE, ROBOT in the schema, USER, ADMIN, SERVICE in the migrations',
    ])
  })

  it('lets migrations add what a schema cannot say, and no more', async () => {
    expect(
      await add(`
        CREATE INDEX more ON agents (tenant_id) WHERE is_active;
        ALTER TABLE agents ADD CHECK (key <> '');
        CREATE POLICY more ON agents USING (false);
        GRANT TRUNCATE ON agents TO parley_system;
        ALTER TABLE sessions ALTER CONSTRAINT sessions_tenant_id_parent_id_fkey DEFERRABLE;`),
    ).toEqual([])
    expect(
      await add(`
        ALTER TABLE agents ADD COLUMN more text;
        CREATE INDEX more ON agents (name);
        CREATE TABLE things (id int);
        CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1';`),
    ).toEqual([
      'column agents.more: in the migrations, not in the schema',
      'column things.id: in the migrations, not in the schema',
      'function more(): in the migrations, not in the schema',
      'index more: in the migrations, not in the schema',
      'table things: in the migrations, not in the schema',
    ])
  })
})
