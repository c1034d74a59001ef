// DATABASE_URL=… node test/bench/vectors.ts [--chunks 100000] [--dimensions 768] [--questions 60]
//
// Retrieval by vectors on a server that has pgvector, with it and without: how long it takes, and how many of the twenty
// closest chunks it finds. Vectors lie in clusters, as those of texts do: 1,000 of them in 64 dimensions, turned into as
// many as are asked for, with noise. No question shares a word with a chunk.
import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { type App, startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { coarsen } from '../../src/features/documents/coarse-vectors.ts'
import { maxCompared } from '../../src/features/documents/vectors.ts'
import { createJobs } from '../../src/jobs/queue.ts'
import { encodeId } from '../../src/lib/ids.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createEmbeddingServer } from '../support/embedding-server.ts'
import { freePort } from '../support/free-port.ts'
import { noRates } from '../support/no-rates.ts'
import { openDatabases } from './database.ts'
import { found } from './wait.ts'

const { values: options } = parseArgs({
  options: {
    chunks: { type: 'string', default: '100000' },
    dimensions: { type: 'string', default: '768' },
    questions: { type: 'string', default: '60' },
  },
})
const chunkCount = Number(options.chunks)
const dimensions = Number(options.dimensions)
if (chunkCount <= maxCompared) throw new Error(`--chunks: there is an index above ${maxCompared} only.`)
const chunksPerDocument = 20
const askedFor = 20
const model = 'compatible:bench'

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())
const point = (length: number) => Float64Array.from({ length }, normal)
const product = (one: ArrayLike<number>, other: ArrayLike<number>) => {
  let sum = 0
  for (let index = 0; index < one.length; index += 1) sum += (one[index] as number) * (other[index] as number)
  return sum
}

const latent = 32
const turn = Array.from({ length: dimensions }, () => point(latent))
const clusters = Array.from({ length: 1_000 }, () => point(latent))

function vector(): number[] {
  const center = clusters[Math.floor(Math.random() * clusters.length)] ?? point(latent)
  const near = center.map((value) => value + 0.5 * normal())
  const turned = turn.map((row) => product(near, row) + normal())
  const length = Math.hypot(...turned)
  return turned.map((value) => Number((value / length).toFixed(6)))
}

const questions = Array.from({ length: Number(options.questions) }, vector)
const embeddings = await createEmbeddingServer((text) => questions[Number(text.slice(1))] ?? vector())
const databases = await openDatabases()
const url = await databases.create()
const client = new Client({ connectionString: url })
/** They own a tenth, a fifth and the rest of the documents; the admin sees all. */
const users = ['tenth', 'fifth', 'rest', 'admin']
/** `key`: its document and place. */
const stored: { key: string; owner: string; vector: Float32Array }[] = []

try {
  await client.connect()
  const app = await start()
  for (const user of users) await ask(app, user, '{ viewer { user { id } } }', {})
  await fill()
  await makeIndex()
  for (const user of users) await measure(app, user, 'with')
  await app.stop()
  const without = await start({ PGVECTOR: 'false' })
  for (const user of users) await measure(without, user, 'without')
  await without.stop()
} finally {
  await client.end()
  await embeddings.close()
  await databases.stop()
}

async function start(env: Record<string, string> = {}) {
  const config = loadConfig({
    DATABASE_URL: url,
    PORT: String(await freePort()),
    LOG_LEVEL: 'warn',
    COMPATIBLE_BASE_URL: embeddings.url,
    EMBEDDING_MODEL: model,
    ...noRates,
    ...env,
  })
  return startApp(config, { log: createLog(config.log, false) })
}

async function ask(app: App, subject: string, text: string, variables: object) {
  const role = subject === 'admin' ? 'ADMIN' : 'USER'
  const token = app.tokens.sign?.({ subject, tenant: 'demo', role }, { expiresIn: 3_600 })
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: text, variables }),
  })
  const { data, errors } = (await response.json()) as { data: Record<string, unknown>; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

async function fill() {
  await client.query(
    `INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes, status, chunk_count, indexed_version, embedding_model)
     SELECT u.tenant_id, gen_random_uuid(), u.id, 'A document', 'text/plain', 1, 'READY', ${chunksPerDocument}, 1, $2
     FROM generate_series(1, $1::int) AS number JOIN users u ON u.external_id =
       CASE WHEN number <= 0.1 * $1 THEN 'tenth' WHEN number <= 0.3 * $1 THEN 'fifth' ELSE 'rest' END`,
    [chunkCount / chunksPerDocument, model],
  )
  const { rows } = await client.query<{ id: string; owner: string }>(
    'SELECT d.id, u.external_id AS owner FROM documents d JOIN users u ON u.id = d.user_id',
  )
  for (const { id, owner } of rows) {
    const vectors = Array.from({ length: chunksPerDocument }, vector)
    for (const [index, each] of vectors.entries())
      stored.push({ key: `${encodeId('Document', id)} ${index + 1}`, owner, vector: Float32Array.from(each) })
    await client.query(
      `INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words, embedding,
         coarse_embedding, embedding_model)
       SELECT d.tenant_id, gen_random_uuid(), d.id, 1, v.seq, v.seq, v.seq + 1, 'A passage.', 'passage', v.embedding::real[], v.coarse, $4
       FROM documents d, unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS v(embedding, coarse, seq) WHERE d.id = $1`,
      [id, vectors.map((each) => `{${each.join()}}`), vectors.map(coarsen), model],
    )
  }
  await client.query('VACUUM ANALYZE chunks')
}

/** By the job that does it, at once. */
async function makeIndex() {
  const startedAt = performance.now()
  const jobs = createJobs({ url, log: { warn() {}, error() {} } })
  await jobs.send('document-vector-index', {})
  const find =
    "SELECT pg_size_pretty(pg_relation_size(indexrelid)) AS size FROM pg_index WHERE indexrelid = to_regclass('chunks_vectors_' || $1::text) AND indisvalid"
  const index = await found(
    async () => (await client.query<{ size: string }>(find, [dimensions])).rows[0]?.size,
    { everyMs: 500, withinMs: 900_000, what: 'The index' },
  )
  console.log({ index, seconds: Math.round((performance.now() - startedAt) / 1_000) })
  await jobs.stop()
}

/** Times of retrievals, and the share of the closest chunks that they find. */
async function measure(app: App, user: string, pgvector: 'with' | 'without') {
  const text = `query ($query: String!) {
    retrieve(query: $query, limit: ${askedFor}) { document { id } passage { startOffset } } }`
  type Found = { retrieve: { document: { id: string }; passage: { startOffset: number } }[] }
  const seen = stored.filter(({ owner }) => user === 'admin' || owner === user)
  const times: number[] = []
  let foundCount = 0
  for (const [index, question] of questions.entries()) {
    const startedAt = performance.now()
    const { retrieve } = (await ask(app, user, text, { query: `q${index}` })) as Found
    times.push(performance.now() - startedAt)
    const found = new Set(retrieve.map(({ document, passage }) => `${document.id} ${passage.startOffset}`))
    foundCount += closestTo(question, seen).filter(({ key }) => found.has(key)).length
  }
  times.sort((a, b) => a - b)
  const at = (share: number) => Math.round(times[Math.floor(times.length * share)] ?? 0)
  const recall = Number((foundCount / (questions.length * askedFor)).toFixed(3))
  console.log({ pgvector, chunks: seen.length, recall, p50Ms: at(0.5), p95Ms: at(0.95) })
}

function closestTo(question: number[], among: typeof stored) {
  const compared = among.map(({ key, vector: each }) => ({ key, score: product(question, each) }))
  return compared.sort((a, b) => b.score - a.score).slice(0, askedFor)
}
