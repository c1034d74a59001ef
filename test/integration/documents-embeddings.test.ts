import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createJobs } from '../../src/jobs/queue.ts'
import { decodeId } from '../../src/lib/ids.ts'
import type { Provider } from '../../src/llm/provider.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createEmbeddingServer, type EmbeddingServer, embedByMeaning } from '../support/embedding-server.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { readyDocument, retrieve } from './documents.harness.ts'

const embed = embedByMeaning([['car', 'automobile'], ['boat', 'ship'], ['house']])

let server: EmbeddingServer
let app: TestApp
let alice: Api
beforeAll(async () => {
  server = await createEmbeddingServer(embed)
  app = await startTestApp({ env: { COMPATIBLE_BASE_URL: server.url, EMBEDDING_MODEL: 'compatible:test' } })
  alice = app.api()
})
afterAll(() => server.close())

const vectorsOf = async (id: string) => {
  const [row] = await query(
    app.databaseUrl,
    `SELECT d.embedding_model AS model, count(*)::int AS chunks, count(c.embedding)::int AS vectors
     FROM documents d JOIN chunks c ON c.document_id = d.id WHERE d.id = $1 GROUP BY d.id, d.embedding_model`,
    { values: [decodeId(id).uuid] },
  )
  return row
}
const textsOf = (hits: { passage: { text: string } }[]) => hits.map(({ passage }) => passage.text)

it('finds what is meant where no word is the same', async () => {
  const id = await readyDocument(alice, {
    mimeType: 'text/markdown',
    text: '# On wheels\n\nThe automobile is red.',
  })
  const other = await readyDocument(alice, { text: 'The ship is white.' })
  expect(await vectorsOf(id)).toEqual({ model: 'compatible:test', chunks: 1, vectors: 1 })
  // With the heading that it stands under.
  expect(server.requests).toContainEqual(['On wheels\n# On wheels\n\nThe automobile is red.'])
  const documentIds = [id, other]
  expect((await retrieve(alice, 'Which car?', { documentIds, limit: 1 }))[0]?.document.id).toBe(id)
  expect((await retrieve(alice, 'Which boat?', { documentIds, limit: 1 }))[0]?.document.id).toBe(other)
})

it('asks once more where its connection was closed under it', async () => {
  server.cut()
  const id = await readyDocument(alice, { text: 'The automobile is green.' })
  expect(await vectorsOf(id)).toEqual({ model: 'compatible:test', chunks: 1, vectors: 1 })
  server.cut()
  expect(await retrieve(alice, 'Which car?', { documentIds: [id] })).toHaveLength(1)
})

it('counts what vectors take for whoever has them made, and makes none past a quota', async () => {
  const bob = app.api({ user: 'bob', tenant: 'metered' })
  const id = await readyDocument(bob, { text: 'The automobile is blue.' })
  const ask = () => retrieve(bob, 'Which car?', { documentIds: [id] })
  expect(await ask()).toHaveLength(1)
  const usage = `{ viewer { quota { usedTokens } }
    usage(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", interval: MONTH, groupBy: MODEL) {
      key runs sessions inputTokens } }`
  // One for the document and one for the question, as the server says.
  const counted = [{ key: 'compatible:test', runs: 0, sessions: 0, inputTokens: 2 }]
  expect((await bob.run(usage)).usage).toEqual(counted)
  const admin = app.api({ user: 'root', role: 'ADMIN', tenant: 'metered' })
  await admin.change('setQuota', { scope: 'EACH_USER', period: 'DAY', tokens: 2 })
  expect(await bob.run(usage)).toEqual({ viewer: { quota: [{ usedTokens: 2 }] }, usage: counted })
  const asked = server.requests.length
  expect(await ask()).toEqual([])
  expect(server.requests).toHaveLength(asked)
})

it('goes by the words alone where they say how they must stand', async () => {
  const id = await readyDocument(alice, { text: 'A car in the garage.' })
  expect(await retrieve(alice, '"automobile in"', { documentIds: [id] })).toEqual([])
  expect(await retrieve(alice, '"car in"', { documentIds: [id] })).toHaveLength(1)
})

it('goes by the words alone while the model is away, and catches up later', async () => {
  server.fail(503)
  const id = await readyDocument(alice, { text: 'A red car.\n\nA boat.' })
  expect(await vectorsOf(id)).toEqual({ model: null, chunks: 1, vectors: 0 })
  expect(await retrieve(alice, 'automobile', { documentIds: [id] })).toEqual([])
  expect(textsOf(await retrieve(alice, 'red', { documentIds: [id] }))).toEqual(['A red car.\n\nA boat.'])
  server.fail(null)
  await sweep()
  await vi.waitFor(
    async () => expect(await vectorsOf(id)).toEqual({ model: 'compatible:test', chunks: 1, vectors: 1 }),
    patience,
  )
  expect(await retrieve(alice, 'automobile', { documentIds: [id] })).toHaveLength(1)
})

it('comes to every document in time, however many never get their vectors', async () => {
  const like = await readyDocument(alice, { text: 'A house.' })
  // Without a content they are never done, and so many are all that one sweep takes.
  await query(
    app.databaseUrl,
    `INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes, status)
     SELECT tenant_id, lpad(n::text, 32, '0')::uuid, user_id, 'Stuck', mime_type, 1, 'READY'
     FROM documents, generate_series(1, 1000) AS n WHERE id = $1`,
    { values: [decodeId(like).uuid] },
  )
  server.fail(503)
  const id = await readyDocument(app.api({ user: 'carol' }), { text: 'A white house.' })
  server.fail(null)
  await vi.waitFor(async () => {
    await sweep()
    expect(await vectorsOf(id)).toMatchObject({ vectors: 1 })
  }, patience)
})

it.each([
  ['before there was a model', {}],
  ['another model', { EMBEDDING_MODEL: 'compatible:test' }],
])('gives documents of %s their vectors, and uses no others', async (_name, env: Record<string, string>) => {
  const COMPATIBLE_BASE_URL = server.url
  const before = await startTestApp({ env: { COMPATIBLE_BASE_URL, ...env } })
  const id = await readyDocument(before.api(), { text: 'The ship is white.' })
  await before.stop()
  const after = await startTestApp({
    databaseUrl: before.databaseUrl,
    env: { COMPATIBLE_BASE_URL, EMBEDDING_MODEL: 'compatible:other' },
  })
  expect(await retrieve(after.api(), 'boat')).toEqual([])
  await sweep(after)
  await vi.waitFor(
    async () => expect(await retrieve(after.api(), 'boat')).toMatchObject([{ document: { id } }]),
    patience,
  )
})

it('needs a provider that makes embeddings', async () => {
  const start = (EMBEDDING_MODEL: string) => startTestApp({ env: { EMBEDDING_MODEL } })
  await expect(start('demo:chat')).rejects.toThrow('EMBEDDING_MODEL: the provider demo makes no embeddings')
  await expect(start('openai:text-embedding-3-small')).rejects.toThrow('"openai" is not configured')
})

/** What comes about every five minutes otherwise. */
async function sweep({ databaseUrl } = app): Promise<void> {
  const jobs = createJobs({ url: databaseUrl, log: { warn() {}, error() {} } })
  await jobs.send('document-sweep', {})
  await jobs.stop()
}

it('reckons what vectors take where their provider does not tell it', async () => {
  const provider: Provider = {
    name: 'silent',
    list: async () => [],
    async *stream() {},
    embed: async ({ texts }) => ({ vectors: texts.map(embed), inputTokens: 0 }),
  }
  const silent = await startTestApp({ providers: [provider], env: { EMBEDDING_MODEL: 'silent:test' } })
  const api = silent.api()
  await readyDocument(api, { text: 'The automobile is blue.' })
  const { usage } = await api.run(`{ usage(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z",
    interval: MONTH, groupBy: MODEL) { key inputTokens } }`)
  expect(usage).toEqual([{ key: 'silent:test', inputTokens: 6 }])
})
