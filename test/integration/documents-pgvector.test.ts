import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { openVectorExtension, vectorIndexName } from '../../src/db/vectors.ts'
import { maxCompared } from '../../src/features/documents/vectors.ts'
import { maxComparedInDatabase } from '../../src/features/documents/vectors-compared.ts'
import { createJobs } from '../../src/jobs/queue.ts'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createEmbeddingServer, type EmbeddingServer } from '../support/embedding-server.ts'
import { patience } from '../support/patience.ts'
import { requirePgvector, startPostgresWithPgvector } from '../support/pgvector.ts'
import { query } from '../support/postgres.ts'
import { readyDocument, retrieve } from './documents.harness.ts'

// Few dimensions make an index within a second.
const meanings = [/car|automobile/gi, /boat|ship/gi, /red|white/gi]
const embed = (text: string) => [0.1, ...meanings.map((words) => text.match(words)?.length ?? 0)]
const dimensions = meanings.length + 1

const hasPgvector = requirePgvector()
let server: EmbeddingServer
let env: Record<string, string>
let app: TestApp
let alice: Api
/** Of hers, with more chunks than can be compared. */
let car: string
beforeAll(async () => {
  if (!hasPgvector) return
  server = await createEmbeddingServer(embed)
  env = { COMPATIBLE_BASE_URL: server.url, EMBEDDING_MODEL: 'compatible:test', DOCUMENTS_PER_USER: '1000000' }
  app = await startTestApp({ env, databaseUrl: await startPostgresWithPgvector() })
  alice = app.api()
})
afterAll(() => server?.close())

const sql = <Row extends object>(text: string, values?: unknown[]) =>
  query<Row>(app.databaseUrl, text, { ...(values && { values }) })
const indexes = () =>
  sql<{ name: string; scans: number }>(
    `SELECT indexrelname AS name, idx_scan::int AS scans FROM pg_stat_user_indexes
     WHERE indexrelname LIKE 'chunks_vectors_%'`,
  )
const found = async (api: Api, args: object = {}) =>
  (await retrieve(api, 'Which car?', { limit: 1, ...args })).map(({ document }) => document.id)

it('finds among more chunks than can be compared the closest that may be seen, by the index', async () => {
  car = await readyDocument(alice, { text: 'The red automobile.' })
  const closer = { text: 'Which car? The car, the automobile!' }
  await multiply(car, maxCompared, 10)
  await multiply(await readyDocument(app.api({ user: 'bob' }), closer), 300, 0.01)
  await multiply(await readyDocument(app.api({ tenant: 'large' }), closer), 2_000, 0.01)
  // Until there is an index, all are compared.
  expect(await found(alice)).toEqual([car])
  await makeIndex()

  const hits = await retrieve(alice, 'Which car?', { limit: 20 })
  expect(hits).toHaveLength(20)
  expect(new Set(hits.map(({ document }) => document.id))).toEqual(new Set([car]))
  // Counted with a delay, and at the next statement of the connection.
  await vi.waitFor(async () => {
    await found(alice)
    expect((await indexes())[0]?.scans).toBeGreaterThan(0)
  }, patience)
  // It goes by half precision, and may miss one, but for none that is much farther away.
  const [far] = await sql<{ count: number }>(
    `SELECT count(*)::int FROM (SELECT start_offset, rank() OVER (ORDER BY embedding::vector <#> $2::real[]::vector)
       FROM chunks WHERE document_id = $1) AS c WHERE start_offset = ANY($3) AND rank > 30`,
    [decodeId(car).uuid, embed('Which car?'), hits.map(({ passage }) => passage.startOffset)],
  )
  expect(far).toEqual({ count: 0 })
})

it('compares all that may be seen where nearer ones of a large tenant take up what the index looks at', async () => {
  // With the least memory it looks at some hundreds rather than at 40,000.
  await sql("ALTER SYSTEM SET work_mem = '64kB'")
  await sql('SELECT pg_reload_conf()')
  const hits = await retrieve(alice, 'Which car?', { limit: 20 })
  const closest = await sql<{ place: number }>(
    `SELECT start_offset AS place FROM chunks WHERE document_id = $1
     ORDER BY embedding::vector <#> $2::real[]::vector LIMIT 20`,
    [decodeId(car).uuid, embed('Which car?')],
  )
  expect(hits.map(({ passage }) => passage.startOffset)).toEqual(closest.map(({ place }) => place))
  await sql('ALTER SYSTEM RESET work_mem')
  await sql('SELECT pg_reload_conf()')
})

it('compares what the words find where there are too many to compare, and the index finds too few', async () => {
  await sql(`DROP INDEX ${vectorIndexName(dimensions)}`)
  const sam = app.api({ user: 'sam' })
  const mine = await readyDocument(sam, { text: 'The white boat.' })
  await multiply(mine, maxCompared, 0.01)
  const { uuid } = decodeId(mine)
  await sql(
    `UPDATE chunks SET words = to_tsvector('public.parley', 'a carriage') WHERE document_id = $1 AND seq BETWEEN 100 AND 109`,
    [uuid],
  )
  // As while a newer version is indexed: what comes first is not to be seen.
  await sql('UPDATE chunks SET version = 2 WHERE document_id = $1 AND seq NOT BETWEEN 100 AND 109', [uuid])
  await sql('UPDATE documents SET chunk_count = $2 WHERE id = $1', [uuid, maxComparedInDatabase + 1])
  await makeIndex()
  const hits = await retrieve(sam, 'Which car is a carriage?', { limit: 10 })
  expect(hits).toHaveLength(10)
  // All of them stand in both rankings.
  for (const { score } of hits) expect(score).toBeGreaterThan(2 / 71)
  expect(hits[0]?.score).toBeLessThanOrEqual(2 / 61)
})

it('does without it where it is switched off', async () => {
  await app.stop()
  const without = await startTestApp({ env: { ...env, PGVECTOR: 'false' }, databaseUrl: app.databaseUrl })
  expect(await found(without.api())).toEqual([])
  await sql('DROP EXTENSION vector CASCADE')
  expect(await found(without.api({ user: 'bob' }))).toHaveLength(1)
})

it('takes the extension into use, and keeps one index, for the vectors that are made now', async () => {
  const extension = await openVectorExtension({ url: app.databaseUrl })
  const name = vectorIndexName(dimensions)
  await sql('TRUNCATE chunks')
  await extension?.keepIndex(dimensions)
  await sql(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${name}'::regclass`)
  await extension?.keepIndex(dimensions)
  const [made] = await sql('SELECT indisvalid AS "isValid" FROM pg_index WHERE indexrelid = $1::regclass', [
    name,
  ])
  expect(made).toEqual({ isValid: true })
  await extension?.keepIndex(3)
  expect((await indexes()).map((index) => index.name)).toEqual([vectorIndexName(3)])
})

/** Gives a document so many more chunks, as far from the one that it has as `noise` takes them. */
async function multiply(document: string, times: number, noise: number) {
  const id = decodeId(document).uuid
  await sql(
    `INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words, embedding,
       coarse_embedding, embedding_model)
     SELECT tenant_id, gen_random_uuid(), document_id, version, place, place, place + 1, 'Passage', '',
       l2_normalize(ARRAY(SELECT value + $3 * (random() - 0.5) FROM unnest(embedding) AS value WHERE place > 0)::real[]::vector)::real[],
       coarse_embedding, embedding_model
     FROM chunks, generate_series(2, $2 + 1) AS place WHERE document_id = $1`,
    [id, times, noise],
  )
  await sql('UPDATE documents SET chunk_count = chunk_count + $2 WHERE id = $1', [id, times])
}

/** What comes about every ten minutes otherwise. */
async function makeIndex() {
  const jobs = createJobs({ url: app.databaseUrl, log: { warn() {}, error() {} } })
  await jobs.send('document-vector-index', {})
  const ready = 'SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND indisvalid'
  await vi.waitFor(
    async () => expect(await sql(ready, [vectorIndexName(dimensions)])).toHaveLength(1),
    patience,
  )
  await jobs.stop()
}
