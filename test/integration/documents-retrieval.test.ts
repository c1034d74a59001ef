import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { readyDocument, retrieve } from './documents.harness.ts'

let app: TestApp
let alice: Api
let animals: string
let plants: string
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
  animals = await readyDocument(alice, {
    title: 'Animals',
    mimeType: 'text/markdown',
    text: ['Badgers dig.', 'Lynxes hunt.', 'The lynx and the badger are shy.']
      .map((text, index) => `# Part ${index}\n\n${text} ${'Filling words stand here. '.repeat(18)}`)
      .join('\n\n'),
  })
  plants = await readyDocument(alice, { title: 'Plants', text: 'Oaks grow. A badger lives under one.' })
})

const headings = async (words: string, args: Record<string, unknown> = {}) =>
  (await retrieve(alice, words, args)).map(({ document, passage }) => passage.heading ?? document.title)

describe('retrieval by words', () => {
  it('takes any of the words, the rarer ones first', async () => {
    expect(await headings('Do oaks or what stand beside a badger')).toEqual(
      expect.arrayContaining(['Plants']),
    )
    expect((await headings('What of the lynx and of filling words?'))[0]).toBe('Part 2')
    expect(await headings('unheard')).toEqual([])
    expect(await headings('?!')).toEqual([])
  })

  it('obeys operators', async () => {
    expect(await headings('badger -oaks')).toEqual(['Part 2'])
    expect(await headings('"lynx and the badger"')).toEqual(['Part 2'])
    expect(await headings('"badger and the lynx"')).toEqual([])
    expect((await headings('lynxes OR oaks')).sort()).toEqual(['Part 1', 'Plants'])
    expect(await headings('-badger')).toEqual([])
  })

  it('looks where it is told to', async () => {
    const sessionId = await alice.createSession({ documentIds: [plants] })
    expect(await headings('badger', { documentIds: [animals] })).toEqual(['Part 2'])
    expect(await headings('badger', { sessionIds: [sessionId] })).toEqual(['Plants'])
    expect(await headings('badger', { sessionIds: [sessionId], documentIds: [animals] })).toHaveLength(2)
    expect(await headings('badger', { documentIds: [] })).toEqual([])
    await alice.change('deleteSession', { sessionId })
    expect(await headings('badger', { sessionIds: [sessionId] })).toEqual([])
  })

  it('gives as many as are asked for, best first', async () => {
    const hits = await retrieve(alice, 'badger lynx filling', { limit: 2 })
    expect(hits).toHaveLength(2)
    expect(hits[0]?.score).toBeGreaterThan(hits[1]?.score ?? 0)
  })

  it.each([
    ['an empty query', { query: ' ' }, 'query: is empty'],
    ['a long query', { query: 'x'.repeat(2_001) }, 'query: has 2001 characters; at most 2000'],
    ['a NUL', { query: 'a\0' }, 'query: has a NUL character'],
    ['no limit', { limit: 0 }, 'limit: is out of range; allowed is 1 to 50'],
    ['a high limit', { limit: 51 }, 'limit: is out of range; allowed is 1 to 50'],
    ['many documents', { documentIds: 101 }, 'documentIds: has more than 100 entries'],
    ['many sessions', { sessionIds: 101 }, 'sessionIds: has more than 100 entries'],
  ])('is refused with %s', async (_name, args, message) => {
    const sessionId = await alice.createSession()
    const ids = { documentIds: animals, sessionIds: sessionId }
    const variables = Object.fromEntries(
      Object.entries({ query: 'x', ...args }).map(([name, value]) => [
        name,
        typeof value === 'number' && name !== 'limit'
          ? Array.from({ length: value }, () => ids[name as keyof typeof ids])
          : value,
      ]),
    )
    const { errors } = await alice.send(
      `query ($query: String!, $documentIds: [ID!], $sessionIds: [ID!], $limit: Int) {
        retrieve(query: $query, documentIds: $documentIds, sessionIds: $sessionIds, limit: $limit) { score } }`,
      variables,
    )
    expect(errors).toMatchObject([
      { message: expect.stringContaining(message), extensions: { code: 'BAD_USER_INPUT' } },
    ])
  })

  it('passes over what is stored of a content that is not ready', async () => {
    await query(
      app.databaseUrl,
      `INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words)
       SELECT tenant_id, gen_random_uuid(), id, 2, 1, 0, 1, 'unready', to_tsvector('public.parley', 'unready badger')
       FROM documents WHERE title = 'Plants'`,
    )
    expect(await headings('unready')).toEqual([])
    expect(await headings('"unready"')).toEqual([])
    expect(await headings('badger', { documentIds: [plants] })).toHaveLength(1)
  })

  it('takes odd words as words', async () => {
    const odd = `it's a back\\slash & | ! ( ) : * <-> 'quoted' %_ ${'👩‍🚀'.repeat(3)}`
    const id = await readyDocument(alice, { title: 'Odd', text: odd })
    for (const words of [odd, `'`, '\\', `it's`, 'back\\slash', `a'); DROP TABLE chunks; --`])
      await retrieve(alice, words, { documentIds: [id] })
    expect(await retrieve(alice, `it's quoted`, { documentIds: [id] })).toHaveLength(1)
  })

  it('cuts words as the search language does, once that is changed', async () => {
    const simple = await startTestApp()
    await readyDocument(simple.api(), { title: 'Running', text: 'They were running.' })
    expect(await retrieve(simple.api(), 'run')).toEqual([])
    await simple.stop()
    const env = { SEARCH_LANGUAGE: 'english' }
    const english = await startTestApp({ databaseUrl: simple.databaseUrl, env })
    expect(await retrieve(english.api(), 'run')).toMatchObject([{ document: { title: 'Running' } }])
    expect(await retrieve(english.api(), 'the')).toEqual([])
  })
})

it('plans a search by the index, not by all chunks of the tenant', async () => {
  const [{ tenant, user } = { tenant: '', user: '' }] = await query<{ tenant: string; user: string }>(
    app.databaseUrl,
    'SELECT tenant_id AS tenant, user_id AS user FROM documents LIMIT 1',
  )
  await query(
    app.databaseUrl,
    `WITH d AS (INSERT INTO documents (tenant_id, id, user_id, title, mime_type, bytes, status, chunk_count, indexed_version)
       SELECT $1, gen_random_uuid(), $2, 'Bulk ' || n, 'text/plain', 1, 'READY', 100, 1 FROM generate_series(1, 200) n
       RETURNING tenant_id, id)
     INSERT INTO chunks (tenant_id, id, document_id, version, seq, start_offset, end_offset, content, words)
     SELECT d.tenant_id, gen_random_uuid(), d.id, 1, n, n, n + 1, 'bulk', to_tsvector('public.parley', 'bulk word' || n)
     FROM d, generate_series(1, 100) n`,
    { values: [tenant, user] },
  )
  await query(app.databaseUrl, 'ANALYZE chunks, documents')
  const rows = await query<{ 'QUERY PLAN': string }>(
    app.databaseUrl,
    `EXPLAIN SELECT c.id FROM chunks c
     WHERE c.tenant_id = $1 AND c.document_id = ANY($2::uuid[]) AND c.words @@ 'word7'::tsquery`,
    { values: [tenant, []] },
  )
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
  expect(plan).toMatch(/Index Scan/)
  expect(plan).not.toMatch(/Seq Scan on chunks/)
})
