import { expect, vi } from 'vitest'
import type { Api } from '../support/api.ts'
import { patience } from '../support/patience.ts'

/** Of a document, everything that tells how it stands. */
export const documentFields =
  'id title mimeType bytes status error progress chunkCount metadata user { externalId }'

/** Stores a document and gives its id. */
export async function createDocument(api: Api, input: Record<string, unknown>): Promise<string> {
  const made = await api.mutate('createDocument', { title: 'A document', ...input }, 'document { id }')
  expect(made).toHaveProperty('document')
  return made.document.id
}

/** Waits until its latest content is indexed, or cannot be. */
export function indexed(api: Api, id: string) {
  return vi.waitFor(async () => {
    const { document } = await api.run(`query ($id: ID!) { document(id: $id) { ${documentFields} } }`, {
      id,
    })
    expect(document.status).not.toBe('INDEXING')
    return document
  }, patience)
}

/** Stores a document, waits until it can be searched, and gives its id. */
export async function readyDocument(api: Api, input: Record<string, unknown>): Promise<string> {
  const id = await createDocument(api, input)
  expect(await indexed(api, id)).toMatchObject({ status: 'READY', error: null, progress: 1 })
  return id
}

type Hit = {
  score: number
  document: { id: string; title: string }
  passage: {
    text: string
    page: number | null
    heading: string | null
    startOffset: number
    endOffset: number
  }
}

/** What a query finds. */
export async function retrieve(api: Api, query: string, args: Record<string, unknown> = {}): Promise<Hit[]> {
  const { retrieve } = await api.run(
    `query ($query: String!, $documentIds: [ID!], $sessionIds: [ID!], $limit: Int) {
      retrieve(query: $query, documentIds: $documentIds, sessionIds: $sessionIds, limit: $limit) {
        score document { id title } passage { text page heading startOffset endOffset } } }`,
    { query, ...args },
  )
  return retrieve
}
