// node --expose-gc test/bench/documents.ts [--documents 1000] [--pdf] [--chunks 100000]
//
// Indexes documents of ten pages, telling time and memory, then fills the tenant up to so many chunks and measures how
// long retrieval takes. Server, load and, without DATABASE_URL, the database share the machine.
import { parseArgs } from 'node:util'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { freePort } from '../support/free-port.ts'
import { noRates } from '../support/no-rates.ts'
import { pdfOf } from '../support/pdf.ts'
import { query } from '../support/postgres.ts'
import { openDatabases } from './database.ts'
import { found } from './wait.ts'

const { values: options } = parseArgs({
  options: {
    documents: { type: 'string', default: '1000' },
    pdf: { type: 'boolean', default: false },
    chunks: { type: 'string', default: '100000' },
  },
})
const count = Number(options.documents)

const words = Array.from({ length: 5_000 }, (_, index) => `term${index.toString(36)}`)
/** As in a language, few words are said often and most seldom. */
const word = () => words[Math.floor(words.length * Math.random() ** 4)] ?? ''
const page = () =>
  Array.from({ length: 40 }, () => `${Array.from({ length: 10 }, word).join(' ')}.`).join('\n')
const pages = () => Array.from({ length: 10 }, page)

const databases = await openDatabases()
const url = await databases.create()
const port = String(await freePort())
const config = loadConfig({
  DATABASE_URL: url,
  PORT: port,
  LOG_LEVEL: 'warn',
  DOCUMENTS_PER_USER: '1000000',
  ...noRates,
})
const app = await startApp(config, { log: createLog(config.log, false) })
try {
  const token = app.tokens.sign?.({ subject: 'bench', tenant: 'demo', role: 'USER' }, { expiresIn: 3_600 })
  const ask = async (text: string, variables: object) => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: text, variables }),
    })
    const { data, errors } = (await response.json()) as { data: Record<string, unknown>; errors?: unknown }
    if (errors) throw new Error(JSON.stringify(errors))
    return data
  }
  await index(ask)
  await fill()
  await retrieve(ask)
} finally {
  await app.stop()
  await databases.stop()
}

type Ask = (text: string, variables: object) => Promise<Record<string, unknown>>

async function index(ask: Ask) {
  const create = 'mutation ($input: CreateDocumentInput!) { createDocument(input: $input) { __typename } }'
  const startedAt = performance.now()
  for (let number = 0; number < count; number += 1) {
    const content = options.pdf
      ? { mimeType: 'application/pdf', base64: pdfOf(pages()).toString('base64') }
      : { text: pages().join('\n\n') }
    await ask(create, { input: { title: `Document ${number}`, ...content } })
    if (number % Math.ceil(count / 4) === 0) console.log(await state())
  }
  const storedS = (performance.now() - startedAt) / 1_000
  await found(async () => ((await state()).indexing > 0 ? null : true), {
    everyMs: 200,
    withinMs: 3_600_000,
    what: 'The end of the indexing',
  })
  const totalS = (performance.now() - startedAt) / 1_000
  console.log({ ...(await state()), storedS, totalS, documentsPerSecond: count / totalS })
}

async function state() {
  const [row] = await query<{ ready: number; indexing: number }>(
    url,
    `SELECT count(*) FILTER (WHERE status = 'READY')::int AS ready,
       count(*) FILTER (WHERE status = 'INDEXING')::int AS indexing FROM documents`,
  )
  globalThis.gc?.()
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  const megabytes = (bytes: number) => Math.round(bytes / 1_048_576)
  const memory = { rssMb: megabytes(rss), heapMb: megabytes(heapUsed), buffersMb: megabytes(arrayBuffers) }
  return { ready: row?.ready ?? 0, indexing: row?.indexing ?? 0, ...memory }
}

/** Copies what is there until there are so many chunks. */
async function fill() {
  const [row] = await query<{ count: number }>(url, 'SELECT count(*)::int AS count FROM chunks')
  const times = Math.ceil(Number(options.chunks) / (row?.count ?? 1)) - 1
  await query(
    url,
    `WITH copied AS (INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes, status, chunk_count, indexed_version)
       SELECT tenant_id, gen_random_uuid(), user_id, id::text, mime_type, bytes, 'READY', chunk_count, 1
       FROM documents, generate_series(1, ${times}) RETURNING tenant_id, id, title)
     INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, page, content, words)
     SELECT c.tenant_id, gen_random_uuid(), d.id, 1, c.seq, c.start_offset, c.end_offset, c.page, c.content, c.words
     FROM copied d JOIN chunks c ON c.document_id = d.title::uuid`,
  )
  await query(url, 'VACUUM ANALYZE chunks')
}

async function retrieve(ask: Ask) {
  const find = `query ($query: String!, $documentIds: [ID!]) {
    retrieve(query: $query, documentIds: $documentIds) { score document { title } passage { text } } }`
  const { documents } = (await ask('{ documents(first: 3) { nodes { id } } }', {})) as {
    documents: { nodes: { id: string }[] }
  }
  const three = documents.nodes.map(({ id }) => id)
  for (const [scope, documentIds] of [
    ['all documents', null],
    ['three documents', three],
  ] as const) {
    const times: number[] = []
    for (let round = 0; round < 60; round += 1) {
      const startedAt = performance.now()
      await ask(find, { query: `What of ${Array.from({ length: 8 }, word).join(' ')}?`, documentIds })
      times.push(performance.now() - startedAt)
    }
    times.sort((a, b) => a - b)
    console.log({ scope, p50Ms: times[30], p95Ms: times[57], maxMs: times[59] })
  }
}
