import { deflateSync } from 'node:zlib'
import { Client } from 'pg'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { pdfOf } from '../support/pdf.ts'
import { query } from '../support/postgres.ts'
import { createDocument, documentFields, indexed, readyDocument, retrieve } from './documents.harness.ts'

let app: TestApp
let alice: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
})

const sql = (text: string, values: unknown[] = []) => query(app.databaseUrl, text, { values })
const pdf = (file: Buffer) => ({ mimeType: 'application/pdf', base64: file.toString('base64') })
const read = async (id: string) =>
  (await alice.run(`query ($id: ID!) { document(id: $id) { ${documentFields} } }`, { id })).document

/** Words enough for so many passages, each with its number. */
const longText = (passages: number, word = 'entry') =>
  Array.from({ length: passages }, (_, index) => `${word}${index} ${'lorem ipsum dolor '.repeat(43)}`).join(
    '\n\n',
  )

describe('the text of a PDF', () => {
  it('is found with its page', async () => {
    const id = await readyDocument(
      alice,
      pdf(pdfOf(['The first page\ntells of herons', 'The second one (of two)\ntells of storks'])),
    )
    expect(await read(id)).toMatchObject({ chunkCount: 2, mimeType: 'application/pdf' })
    const [hit] = await retrieve(alice, 'Where are storks?', { documentIds: [id] })
    expect(hit?.passage).toMatchObject({ page: 2, text: 'The second one (of two)\ntells of storks' })
  })

  const bomb = deflateSync(Buffer.alloc(600_000_000, ' '), { level: 1 })
  it.each([
    ['broken', Buffer.from('%PDF-1.7 and no more'), 'The content is broken, or no PDF file.'],
    ['cut off', pdfOf(['Hello']).subarray(0, 300), 'The content is broken, or no PDF file.'],
    [
      'encrypted',
      pdfOf(['Hello'], { isEncrypted: true }),
      'The content is protected by a password; give a copy without one.',
    ],
    ['without text', pdfOf([' ', '']), 'The content has no text; pictures of pages are not read.'],
    [
      'of too many pages',
      pdfOf(Array.from({ length: 5_001 }, () => 'x')),
      'The content has 5001 pages; at most 5000 are allowed.',
    ],
    [
      'a bomb',
      pdfOf(['x'], { packed: bomb }),
      'The content takes more memory or time to read than is allowed (512 MiB, 60 s), or crashes its reader.',
    ],
  ])('is missed where the file is %s', async (_name, file, error) => {
    const before = process.memoryUsage.rss()
    const id = await createDocument(alice, pdf(file))
    expect(await indexed(alice, id)).toMatchObject({ status: 'FAILED', error, chunkCount: 0 })
    expect(process.memoryUsage.rss() - before).toBeLessThan(300_000_000)
    const [row] = await sql('SELECT count(*)::int AS count FROM chunks WHERE document_id = $1', [
      decodeId(id).uuid,
    ])
    expect(row).toEqual({ count: 0 })
  })

  it('is read where the file lies of its pages', async () => {
    const id = await readyDocument(alice, pdf(pdfOf(['Hello'], { count: 2_000_000_000 })))
    expect(await read(id)).toMatchObject({ chunkCount: 1 })
  })
})

describe('a new content', () => {
  it('is searched when it is ready, and the old one until then', async () => {
    const id = await readyDocument(alice, { text: 'Old walrus' })
    await whileHeld('SHARE', async () => {
      const changed = await alice.mutate(
        'updateDocument',
        { documentId: id, text: longText(30, 'walrus') },
        'document { status chunkCount }',
      )
      expect(changed.document).toEqual({ status: 'INDEXING', chunkCount: 1 })
      expect(await retrieve(alice, 'walrus', { documentIds: [id] })).toMatchObject([
        { passage: { text: 'Old walrus' } },
      ])
    })
    expect(await indexed(alice, id)).toMatchObject({ status: 'READY', chunkCount: 30 })
    expect(await retrieve(alice, 'old', { documentIds: [id] })).toEqual([])
    expect(await retrieve(alice, 'walrus7', { documentIds: [id] })).toHaveLength(1)
  })

  it('that cannot be read leaves the old one searched', async () => {
    const id = await readyDocument(alice, { text: 'A narwhal' })
    await alice.change('updateDocument', { documentId: id, ...pdf(Buffer.from('%PDF-broken')) })
    expect(await indexed(alice, id)).toMatchObject({ status: 'FAILED', chunkCount: 1 })
    expect(await retrieve(alice, 'narwhal', { documentIds: [id] })).toHaveLength(1)
    await alice.change('updateDocument', { documentId: id, text: 'An orca', mimeType: 'text/plain' })
    expect(await indexed(alice, id)).toMatchObject({ status: 'READY', error: null })
    expect(await retrieve(alice, 'narwhal orca', { documentIds: [id] })).toMatchObject([
      { passage: { text: 'An orca' } },
    ])
  })

  it('overtakes one that is being indexed, however often', async () => {
    const id = await createDocument(alice, { text: longText(150, 'first') })
    for (const word of ['second', 'third', 'fourth'])
      await alice.change('updateDocument', { documentId: id, text: longText(150, word) })
    expect(await indexed(alice, id)).toMatchObject({ status: 'READY', chunkCount: 150 })
    await settled(id)
    const rows = await sql(
      'SELECT version, count(*)::int AS count FROM chunks WHERE document_id = $1 GROUP BY 1',
      [decodeId(id).uuid],
    )
    expect(rows).toEqual([{ version: 4, count: 150 }])
    expect(await retrieve(alice, 'fourth149', { documentIds: [id] })).toHaveLength(1)
    expect(await retrieve(alice, 'first149 second149 third149', { documentIds: [id] })).toEqual([])
  })
})

it('a content that is overtaken while it is read is not stored', async () => {
  let id = ''
  await whileHeld('ACCESS EXCLUSIVE', async () => {
    id = await createDocument(alice, { text: longText(2_000, 'overtaken') })
    // It has read the content and looks for chunks.
    await vi.waitFor(
      async () =>
        expect(
          await sql(`SELECT FROM pg_locks WHERE relation = 'chunks'::regclass AND NOT granted`),
        ).toHaveLength(1),
      patience,
    )
    await alice.change('updateDocument', { documentId: id, text: 'Newer' })
  })
  expect(await indexed(alice, id)).toMatchObject({ status: 'READY', chunkCount: 1 })
  await settled(id)
  expect(await sql('SELECT version FROM chunks WHERE document_id = $1', [decodeId(id).uuid])).toEqual([
    { version: 2 },
  ])
})

it('a document that is deleted while it is indexed leaves nothing', async () => {
  const ids = await Promise.all(
    Array.from({ length: 8 }, (_, index) => createDocument(alice, { text: longText(20 * index + 5) })),
  )
  await Promise.all(ids.map((id) => alice.change('deleteDocument', { documentId: id })))
  for (const id of ids) await settled(id)
  const [left] = await sql('SELECT count(*)::int AS count FROM chunks WHERE document_id = ANY($1)', [
    ids.map((id) => decodeId(id).uuid),
  ])
  expect(left).toEqual({ count: 0 })
})

it('indexing that a stop cut off goes on after the next start', async () => {
  const first = await startTestApp()
  const api = first.api()
  const id = await createDocument(api, { text: longText(2_000) })
  const uuid = decodeId(id).uuid
  const count = async () => {
    const [row] = await query<{ count: number }>(
      first.databaseUrl,
      'SELECT count(*)::int AS count FROM chunks WHERE document_id = $1',
      { values: [uuid] },
    )
    return row?.count ?? 0
  }
  await vi.waitFor(async () => expect(await count()).toBeGreaterThan(0), { ...patience, interval: 5 })
  await first.stop()
  const stored = await count()
  expect(stored).toBeLessThan(2_000)
  const before = await query(first.databaseUrl, 'SELECT id FROM chunks ORDER BY seq')
  // It would wait for five seconds after a failure.
  await query(first.databaseUrl, 'UPDATE jobs.job SET start_after = now()')
  const second = await startTestApp({ databaseUrl: first.databaseUrl })
  expect(await indexed(second.api(), id)).toMatchObject({ status: 'READY', chunkCount: 2_000 })
  const after = await query(first.databaseUrl, 'SELECT id FROM chunks ORDER BY seq')
  expect(after).toHaveLength(2_000)
  // What was done was not done again.
  expect(after.slice(0, stored)).toEqual(before)
  expect(await retrieve(second.api(), 'entry1999', { documentIds: [id] })).toHaveLength(1)
})

it('one document of a user does not wait for the many of others', async () => {
  const busy = await startTestApp()
  const [ann, ben, cem] = ['ann', 'ben', 'cem'].map((user) => busy.api({ user })) as [Api, Api, Api]
  const readyCount = async (api: Api) =>
    (await api.run('{ documents(first: 100, filter: { status: READY }) { totalCount } }')).documents
      .totalCount
  const text = longText(60)
  for (let batch = 0; batch < 10; batch += 1)
    await Promise.all(
      [ann, ben].flatMap((api) => Array.from({ length: 10 }, () => createDocument(api, { text }))),
    )
  const before = (await readyCount(ann)) + (await readyCount(ben))
  const id = await createDocument(cem, { text })
  await indexed(cem, id)
  const after = (await readyCount(ann)) + (await readyCount(ben))
  // Four are at work at a time. Those and the next four, and as many while the answers were on their way.
  expect(after - before).toBeLessThanOrEqual(16)
  expect(after).toBeLessThan(200)
})

/** Keeps chunks from being stored while `work` is done. */
async function whileHeld(mode: string, work: () => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: app.databaseUrl })
  await client.connect()
  try {
    await client.query(`BEGIN; LOCK TABLE chunks IN ${mode} MODE`)
    await work()
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
}

/** Waits until no job of the document waits or is at work. */
async function settled(id: string): Promise<void> {
  await vi.waitFor(
    async () =>
      expect(
        await sql(
          `SELECT FROM jobs.job WHERE data->>'documentId' = $1 AND state IN ('created', 'active', 'retry')`,
          [decodeId(id).uuid],
        ),
      ).toEqual([]),
    patience,
  )
}
