import { afterAll, beforeAll, expect, it } from 'vitest'
import { coarsen } from '../../src/features/documents/coarse-vectors.ts'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createEmbeddingServer, type EmbeddingServer } from '../support/embedding-server.ts'
import { query } from '../support/postgres.ts'
import { readyDocument, retrieve } from './documents.harness.ts'

// Mulberry32: the same numbers on every run.
let state = 20_261_126
function random(): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const dimensions = 96
const questionCount = 12
const chunkCount = 6_000
const asked = 50

const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
const point = () => Array.from({ length: dimensions }, normal)
function withLengthOne(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}
const near = (center: readonly number[], noise: number) =>
  withLengthOne(center.map((value) => value + noise * normal()))
const product = (one: ArrayLike<number>, other: ArrayLike<number>) =>
  Array.from(one).reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0)

const centers = Array.from({ length: 20 }, point)
const oneOf = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)] as Value
/** Far closer to each other than a byte a dimension can tell. */
const clustered = () => near(oneOf(centers), 0.002)

let questions: number[][] = []
let server: EmbeddingServer
let app: TestApp
beforeAll(async () => {
  server = await createEmbeddingServer((text) => questions[Number(text.slice(1))] ?? point())
  app = await startTestApp({ env: { COMPATIBLE_BASE_URL: server.url, EMBEDDING_MODEL: 'compatible:test' } })
})
afterAll(() => server.close())

it.each([
  ['at random', () => withLengthOne(point())],
  ['in clusters', clustered],
])('finds exactly the closest of 6,000 vectors %s', async (_name, make) => {
  questions = Array.from({ length: questionCount }, make)
  const vectors = Array.from({ length: chunkCount }, make)
  const api = app.api()
  const documentId = await readyDocument(api, { text: 'One' })
  await fill(decodeId(documentId).uuid, vectors)
  const stored = vectors.map((vector) => Float32Array.from(vector))
  for (const [number, question] of questions.entries()) {
    const expected = stored
      .map((vector, seq) => ({ seq, score: product(question, vector) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, asked)
      .map(({ seq }) => seq)
    const hits = await retrieve(api, `q${number}`, { documentIds: [documentId], limit: asked })
    expect(hits.map(({ passage }) => passage.startOffset)).toEqual(expected)
  }
})

/** Gives a document these vectors, at the offsets that are their places. */
async function fill(id: string, vectors: readonly number[][]) {
  const sql = (text: string, values: unknown[]) => query(app.databaseUrl, text, { values })
  await sql('DELETE FROM chunks WHERE document_id = $1', [id])
  await sql(
    `INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words, embedding,
       coarse_embedding, embedding_model)
     SELECT d.tenant_id, gen_random_uuid(), d.id, d.version, v.place, v.place - 1, v.place, 'Passage', '', v.embedding::real[],
       v.coarse, 'compatible:test'
     FROM documents d, unnest($2::text[], $3::bytea[]) WITH ORDINALITY AS v(embedding, coarse, place) WHERE d.id = $1`,
    [id, vectors.map((vector) => `{${vector.join()}}`), vectors.map(coarsen)],
  )
  await sql('UPDATE documents SET chunk_count = $2 WHERE id = $1', [id, vectors.length])
}
