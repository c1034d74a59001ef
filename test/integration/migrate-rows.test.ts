import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { migrate } from '../../src/db/migrate.ts'
import { query, startFreshPostgres, withParts } from '../support/postgres.ts'

const migrations = join(import.meta.dirname, '../../prisma/migrations')

/** A folder of those migrations that came before one. */
async function migrationsBefore(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'parley-migrations-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  for (const each of await readdir(migrations))
    if (each < name) await cp(join(migrations, each), join(directory, each), { recursive: true })
  return directory
}

// The user who owns the tables is held to row-level security like any other, and sees rows by the roles it was granted alone.
it('migrations change the rows that are there, also for a user who is no superuser', async () => {
  const server = await startFreshPostgres()
  onTestFinished(() => server.stop())
  const adminUrl = await server.createDatabase()
  await query(
    adminUrl,
    "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'maker'; GRANT CREATE ON SCHEMA public TO maker",
  )
  const url = withParts(adminUrl, { username: 'maker', password: 'maker' })
  await migrate({ url, directory: await migrationsBefore('20261126050000') })
  const id = (digit: number) => `'${String(digit).repeat(8)}-0000-7000-8000-000000000000'`
  await query(
    adminUrl,
    `INSERT INTO tenants (id, slug, name) VALUES (${id(1)}, 'acme', 'Acme');
     INSERT INTO users (tenant_id, id, external_id) VALUES (${id(1)}, ${id(2)}, 'alice');
     INSERT INTO sessions (tenant_id, id, user_id, input_tokens) VALUES (${id(1)}, ${id(3)}, ${id(2)}, 2147483647);
     INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes, status, embedding_model)
       VALUES (${id(1)}, ${id(4)}, ${id(2)}, 'Tides', 'text/plain', 1, 'READY', 'ollama:embed');
     INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words, embedding, embedding_model)
       VALUES (${id(1)}, ${id(5)}, ${id(4)}, 1, 1, 0, 1, 'x', 'x', '\\x00000000', 'ollama:embed');
     INSERT INTO model_settings (tenant_id, model, is_allowed) VALUES (${id(1)}, 'a:free', true), (${id(1)}, 'a:shut', false)`,
  )
  await migrate({ url })
  // Vectors are made anew, and the watch over documents that lack them sees so.
  expect(await query(adminUrl, 'SELECT embedding_model AS model FROM documents')).toEqual([{ model: null }])
  expect(await query(adminUrl, 'SELECT embedding, embedding_model AS model, content FROM chunks')).toEqual([
    { embedding: null, model: null, content: 'x' },
  ])
  expect(await query(adminUrl, 'SELECT input_tokens AS tokens FROM sessions')).toEqual([
    { tokens: 2_147_483_647 },
  ])
  // What was only never forbidden goes by the tenant's word for all models.
  expect(
    await query(adminUrl, 'SELECT model, is_allowed AS "isAllowed" FROM model_settings ORDER BY 1'),
  ).toEqual([
    { model: 'a:free', isAllowed: null },
    { model: 'a:shut', isAllowed: false },
  ])
})
