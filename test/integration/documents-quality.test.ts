import { afterAll, beforeAll, expect, it } from 'vitest'
import { meanings, passages, questions } from '../fixtures/passages.ts'
import type { Api } from '../support/api.ts'
import { startTestApp } from '../support/app.ts'
import { createEmbeddingServer, type EmbeddingServer, embedByMeaning } from '../support/embedding-server.ts'
import { createDocument, indexed, retrieve } from './documents.harness.ts'

// What the vectors are worth is the model's affair: this one is made for the set. What is measured here is what becomes
// of the two rankings.
const embed = embedByMeaning(meanings)

let server: EmbeddingServer
let byWords: Api
let fused: Api
beforeAll(async () => {
  server = await createEmbeddingServer(embed)
  byWords = (await startTestApp()).api()
  fused = (
    await startTestApp({ env: { COMPATIBLE_BASE_URL: server.url, EMBEDDING_MODEL: 'compatible:test' } })
  ).api()
  for (const api of [byWords, fused]) {
    const ids: string[] = []
    for (const [index, text] of passages.entries())
      ids.push(await createDocument(api, { title: String(index), text }))
    for (const id of ids) expect(await indexed(api, id)).toMatchObject({ status: 'READY' })
  }
})
afterAll(() => server.close())

/** The share of these questions whose passage is among the first five. */
async function recall(asked: typeof questions, find: (question: string) => Promise<number[]>) {
  let found = 0
  for (const [question, answer] of asked) if ((await find(question)).slice(0, 5).includes(answer)) found += 1
  return found / asked.length
}

const findWith = (api: Api) => async (question: string) =>
  (await retrieve(api, question, { limit: 5 })).map(({ document }) => Number(document.title))

async function findByVectors(question: string) {
  const asked = embed(question)
  const cosine = (other: number[]) =>
    other.reduce((sum, value, index) => sum + value * (asked[index] ?? 0), 0) / Math.hypot(...other)
  return passages
    .map((text, index) => ({ index, score: cosine(embed(text)) }))
    .sort((a, b) => b.score - a.score)
    .map(({ index }) => index)
}

it('finds by words what is asked in the words of the text', async () => {
  expect(await recall(questions.slice(0, 10), findWith(byWords))).toBe(1)
})

it('finds by both rankings together at least what each finds alone', async () => {
  const words = await recall(questions, findWith(byWords))
  const vectors = await recall(questions, findByVectors)
  const both = await recall(questions, findWith(fused))
  expect(words).toBeGreaterThanOrEqual(0.5)
  expect(vectors).toBeGreaterThanOrEqual(0.95)
  expect(both).toBeGreaterThanOrEqual(Math.max(words, vectors))
})
