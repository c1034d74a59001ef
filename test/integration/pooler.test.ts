import { beforeAll, expect, it } from 'vitest'
import { createDatabase, startTestApp, type TestApp } from '../support/app.ts'
import { requirePgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { query } from '../support/postgres.ts'
import { readyDocument } from './documents.harness.ts'

// DATABASE_POOLER=transaction: a server whose every connection goes through a PgBouncer that hands them on.
const hasPgBouncer = requirePgBouncer()
let app: TestApp
beforeAll(async () => {
  if (!hasPgBouncer) return
  const databaseUrl = await startPgBouncer(await createDatabase(), { poolSize: 4 })
  app = await startTestApp({ env: { DATABASE_POOLER: 'transaction' }, databaseUrl })
})

it('behind a pooler tenants store, are answered, search and list, each what is its own', async () => {
  const words = { one: 'walrus', two: 'carpenter' }
  await Promise.all(
    Object.entries(words).map(async ([tenant, word]) => {
      const api = app.api({ tenant })
      const sessionId = await api.createSession({ title: word })
      const { run } = await api.sendMessage({ sessionId, content: `Tell of the ${word}`, wait: true })
      expect(run).toMatchObject({ status: 'COMPLETED', error: null })
    }),
  )
  const find = `query ($query: String!) {
    search(query: $query) { totalCount } sessions { totalCount nodes { title messages { totalCount } } } }`
  for (const [tenant, word] of Object.entries(words))
    for (const asked of Object.values(words)) {
      const { search, sessions } = await app.api({ tenant }).run(find, { query: asked })
      expect(search.totalCount > 0).toBe(asked === word)
      expect(sessions).toMatchObject({ totalCount: 1, nodes: [{ title: word, messages: { totalCount: 2 } }] })
    }
})

it('behind a pooler background work is found without being woken, and sees what is its tenant’s', async () => {
  const api = app.api({ tenant: 'one' })
  const id = await readyDocument(api, { title: 'Book', text: 'An oyster may be crossed in love.' })
  const read = 'query ($id: ID!) { document(id: $id) { id } }'
  expect(await api.run(read, { id })).toEqual({ document: { id } })
  expect((await app.api({ tenant: 'two' }).send(read, { id })).data?.document ?? null).toBeNull()
  const listeners = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen %'`
  expect(await query(app.databaseUrl, listeners)).toEqual([])
})
