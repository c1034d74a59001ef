import { beforeAll, describe, expect, it } from 'vitest'
import { encodeId, newId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createDocument, documentFields, indexed, readyDocument, retrieve } from './documents.harness.ts'

let app: TestApp
let alice: Api
let bob: Api
let carol: Api
let admin: Api
beforeAll(async () => {
  app = await startTestApp({ env: { DOCUMENTS_PER_USER: '30', DOCUMENT_MAX_BYTES: '2000000' } })
  alice = app.api()
  bob = app.api({ user: 'bob' })
  carol = app.api({ user: 'carol' })
  admin = app.api({ user: 'root', role: 'ADMIN' })
})

const read = async (api: Api, id: string) =>
  (await api.run(`query ($id: ID!) { document(id: $id) { ${documentFields} } }`, { id })).document
const titles = async (api: Api, filter: Record<string, unknown> = {}) => {
  const { documents } = await api.run(
    'query ($filter: DocumentFilter) { documents(first: 100, filter: $filter) { totalCount nodes { title } } }',
    { filter },
  )
  expect(documents.totalCount).toBe(documents.nodes.length)
  return documents.nodes.map(({ title }: { title: string }) => title)
}
const documentsOf = async (api: Api, id: string) =>
  (await api.run('query ($id: ID!) { session(id: $id) { documents { id } } }', { id })).session.documents.map(
    (document: { id: string }) => document.id,
  )
const share = async (sessionId: string, user: string, role = 'VIEWER') => {
  await app.api({ user }).run('{ viewer { role } }')
  const added = await alice.mutate('addParticipant', { sessionId, externalUserId: user, role })
  expect(added).not.toHaveProperty('code')
}

describe('a document', () => {
  it('is stored at once and indexed soon', async () => {
    const text = 'Parrots talk. '.repeat(200)
    const made = await alice.mutate(
      'createDocument',
      { title: 'Birds', text, metadata: { shelf: 3 } },
      `document { ${documentFields} }`,
    )
    expect(made.document).toEqual({
      ...{ id: expect.stringMatching(/^document_/), title: 'Birds', mimeType: 'text/plain' },
      ...{ bytes: text.length, status: 'INDEXING', error: null, progress: 0, chunkCount: 0 },
      ...{ metadata: { shelf: 3 }, user: { externalId: 'alice' } },
    })
    expect(await indexed(alice, made.document.id)).toMatchObject({
      ...{ status: 'READY', progress: 1, chunkCount: 4, title: 'Birds' },
    })
    const { node } = await alice.run('query ($id: ID!) { node(id: $id) { ... on Document { title } } }', {
      id: made.document.id,
    })
    expect(node.title).toBe('Birds')
  })

  it('comes as base64, too', async () => {
    const text = '# Käse\n\nEin Stück Käse.'
    const id = await readyDocument(alice, {
      mimeType: 'text/markdown',
      base64: Buffer.from(text).toString('base64'),
    })
    expect(await read(alice, id)).toMatchObject({ bytes: Buffer.byteLength(text), mimeType: 'text/markdown' })
    const [hit] = await retrieve(alice, 'Käse', { documentIds: [id] })
    expect(hit?.passage).toMatchObject({ text, heading: 'Käse', startOffset: 0, endOffset: text.length })
  })

  it('is seen by its owner, by admins, and by whoever sees a session that it hangs on', async () => {
    const id = await readyDocument(alice, { title: 'Shared', text: 'A zebra.' })
    const sessionId = await alice.createSession({ documentIds: [id] })
    for (const api of [bob, carol]) expect(await read(api, id)).toBeNull()
    await share(sessionId, 'bob')
    expect(await read(alice, id)).toMatchObject({ title: 'Shared' })
    expect(await read(admin, id)).toMatchObject({ title: 'Shared' })
    expect(await read(bob, id)).toMatchObject({ title: 'Shared' })
    expect(await titles(bob)).toEqual(['Shared'])
    expect(await retrieve(bob, 'zebra')).toMatchObject([{ document: { id } }])
    expect(await read(carol, id)).toBeNull()
    expect(await titles(carol)).toEqual([])
    expect(await retrieve(carol, 'zebra', { documentIds: [id] })).toEqual([])
    for (const [name, input] of [
      ['updateDocument', { documentId: id, title: 'Taken' }],
      ['deleteDocument', { documentId: id }],
    ] as const) {
      expect(await bob.mutate(name, input)).toMatchObject({ code: 'FORBIDDEN' })
      expect(await carol.mutate(name, input)).toMatchObject({ code: 'NOT_FOUND' })
    }
    await alice.change('deleteSession', { sessionId })
    expect(await read(bob, id)).toBeNull()
    await alice.change('restoreSession', { sessionId })
    expect(await read(bob, id)).toMatchObject({ title: 'Shared' })
    await alice.change('updateSession', { sessionId, documentIds: [] })
    expect(await read(bob, id)).toBeNull()
    expect(await retrieve(bob, 'zebra')).toEqual([])
  })

  it('is changed by its owner and by admins', async () => {
    const id = await readyDocument(alice, { title: 'Old', text: 'Old text.', metadata: { a: 1 } })
    const change = (api: Api, input: Record<string, unknown>) =>
      api.mutate('updateDocument', { documentId: id, ...input }, `document { ${documentFields} }`)
    expect(await change(admin, { title: 'New' })).toMatchObject({
      document: { title: 'New', status: 'READY', metadata: { a: 1 }, user: { externalId: 'alice' } },
    })
    expect(await change(alice, { metadata: {}, title: null })).toMatchObject({
      document: { title: 'New', metadata: {} },
    })
    expect(await change(alice, { text: '# A heading', mimeType: 'text/markdown' })).toMatchObject({
      document: { status: 'INDEXING', mimeType: 'text/markdown', bytes: 11 },
    })
    expect(await indexed(alice, id)).toMatchObject({ status: 'READY', chunkCount: 1 })
    expect(await retrieve(alice, 'old', { documentIds: [id] })).toEqual([])
    expect(await retrieve(alice, 'heading', { documentIds: [id] })).toHaveLength(1)
  })

  it('is erased with all that was made of it', async () => {
    const id = await readyDocument(alice, { title: 'Doomed', text: 'A dodo.' })
    const sessionId = await alice.createSession({ documentIds: [id] })
    expect(await alice.mutate('deleteDocument', { documentId: id }, 'documentId')).toEqual({ documentId: id })
    expect(await read(alice, id)).toBeNull()
    expect(await documentsOf(alice, sessionId)).toEqual([])
    expect(await retrieve(alice, 'dodo')).toEqual([])
    expect(await alice.mutate('deleteDocument', { documentId: id })).toMatchObject({ code: 'NOT_FOUND' })
    const left = await query(
      app.databaseUrl,
      `SELECT (SELECT count(*)::int FROM chunks c WHERE NOT EXISTS (SELECT FROM documents d WHERE d.id = c.document_id))
        + (SELECT count(*)::int FROM document_contents c WHERE c.content = 'A dodo.'::bytea) AS count`,
    )
    expect(left).toEqual([{ count: 0 }])
  })

  it('is one of so many', async () => {
    const dave = app.api({ user: 'dave' })
    const results = await Promise.all(
      Array.from({ length: 34 }, (_, index) =>
        dave.mutate('createDocument', { title: `Number ${index}`, text: 'One' }),
      ),
    )
    expect(results.filter(({ code }) => code === 'LIMIT_EXCEEDED')).toHaveLength(4)
    expect(results.find(({ code }) => code)?.message).toContain('30 documents already')
  })
})

describe('the list of documents', () => {
  it('is filtered, and paged from the newest on', async () => {
    const erin = app.api({ user: 'erin' })
    const ids: string[] = []
    for (const title of ['Alpha 50%', 'Beta', 'Gamma', 'Alphabet'])
      ids.push(await readyDocument(erin, { title, text: title }))
    await createDocument(erin, {
      title: 'Broken',
      mimeType: 'application/pdf',
      base64: Buffer.from('%PDF-1.4 nothing').toString('base64'),
    }).then((id) => indexed(erin, id))
    expect(await titles(erin, { title: 'ALPHA' })).toEqual(['Alphabet', 'Alpha 50%'])
    expect(await titles(erin, { title: '0%' })).toEqual(['Alpha 50%'])
    expect(await titles(erin, { status: 'FAILED' })).toEqual(['Broken'])
    const sessionId = await erin.createSession({ documentIds: [ids[1], ids[2]] })
    expect(await titles(erin, { sessionId })).toEqual(['Gamma', 'Beta'])
    expect(await titles(erin, { sessionId, title: 'a', status: 'READY' })).toEqual(['Gamma', 'Beta'])
    const seen: string[] = []
    for (let after: string | null = null; ; ) {
      const { documents } = await erin.run(
        `query ($after: Cursor) { documents(first: 2, after: $after) {
          totalCount pageInfo { hasNextPage endCursor } nodes { title user { externalId } } } }`,
        { after },
      )
      expect(documents.totalCount).toBe(5)
      seen.push(...documents.nodes.map(({ title }: { title: string }) => title))
      after = documents.pageInfo.endCursor
      if (!documents.pageInfo.hasNextPage) break
    }
    expect(seen).toEqual(['Broken', 'Alphabet', 'Gamma', 'Beta', 'Alpha 50%'])
  })
})

describe('the documents of a session', () => {
  it('are given with it, replaced with an update, and copied with a fork', async () => {
    const [one, two] = [
      await createDocument(alice, { title: 'One', text: 'One' }),
      await createDocument(alice, { title: 'Two', text: 'Two' }),
    ]
    const sessionId = await alice.createSession({ documentIds: [two, one, two] })
    expect(await documentsOf(alice, sessionId)).toEqual([one, two])
    await alice.change('updateSession', { sessionId, title: 'Same documents' })
    expect(await documentsOf(alice, sessionId)).toEqual([one, two])
    await alice.change('updateSession', { sessionId, documentIds: [two] })
    expect(await documentsOf(alice, sessionId)).toEqual([two])
    const { userMessage } = await alice.sendMessage({ sessionId, content: 'Hello', wait: true })
    const { session } = await alice.mutate(
      'forkSession',
      { sessionId, atMessageId: userMessage.id },
      'session { documents { title } }',
    )
    expect(session.documents).toEqual([{ title: 'Two' }])
    const keyed = { key: 'with documents', documentIds: [one] }
    const got = await alice.mutate('getOrCreateSession', keyed, 'session { documents { title } }')
    expect(got.session.documents).toEqual([{ title: 'One' }])
    const { exportSession } = await alice.run(
      `mutation ($id: ID!) { exportSession(input: { sessionId: $id, format: JSON }) {
        ... on ExportSessionPayload { url } } }`,
      { id: sessionId },
    )
    const exported = await (await fetch(`${app.url}${exportSession.url}`)).json()
    expect(exported).toMatchObject({ session: { documents: [{ id: two, title: 'Two' }] } })
  })

  it('must all be visible to whoever gives them', async () => {
    const [own, others] = [
      await createDocument(bob, { title: 'Own', text: 'Own' }),
      await createDocument(alice, { title: 'Not his', text: 'Not his' }),
    ]
    const refused = { code: 'NOT_FOUND', message: 'No such document, or it is not visible to you.' }
    const nobodys = encodeId('Document', newId())
    const sessionId = await bob.createSession({ documentIds: [own] })
    for (const id of [others, nobodys]) {
      expect(await bob.mutate('createSession', { documentIds: [own, id] })).toEqual(refused)
      expect(await bob.mutate('updateSession', { sessionId, documentIds: [id] })).toEqual(refused)
      expect(await bob.sendMessage({ sessionId, content: 'x', documentIds: [id] })).toEqual(refused)
    }
    expect(await documentsOf(bob, sessionId)).toEqual([own])
    const tooMany = Array.from({ length: 101 }, () => nobodys)
    expect(await bob.mutate('updateSession', { sessionId, documentIds: tooMany })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('documentIds: has more than 100 entries'),
    })
  })

  it('may be attached and deleted at one moment', async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await createDocument(carol, { text: 'Short-lived' })
      const sessionId = await carol.createSession()
      const [attached] = await Promise.all([
        carol.mutate('updateSession', { sessionId, documentIds: [id] }, 'session { id }'),
        carol.mutate('deleteDocument', { documentId: id }),
      ])
      if (!attached.session) expect(attached).toMatchObject({ code: 'NOT_FOUND' })
      expect(await documentsOf(carol, sessionId)).toEqual([])
    }
  })
})

describe('a document is refused', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  it.each([
    ['an empty title', { title: ' ', text: 'x' }, 'title: is empty'],
    ['a long title', { title: 't'.repeat(256), text: 'x' }, 'title: has 256 characters'],
    ['no content', {}, 'text: is missing'],
    ['an empty content', { text: '' }, 'text: is empty'],
    ['a blank content', { text: ' \n\t' }, 'text: is empty'],
    ['an empty file', { base64: '' }, 'base64: is empty'],
    ['two contents', { text: 'x', base64: base64('x') }, 'base64: cannot be combined with text'],
    ['another type', { text: 'x', mimeType: 'text/html' }, 'mimeType: is not read here; allowed is one of'],
    ['what is no base64', { base64: 'not base64!' }, 'base64: is not base64'],
    ['a NUL', { text: 'a\0b' }, 'text: is not text'],
    ['half a surrogate pair', { text: 'a\ud800' }, 'text: is not text'],
    [
      'Latin-1',
      { base64: Buffer.from([0x61, 0xe4, 0x62]).toString('base64') },
      'base64: is not text in UTF-8',
    ],
    [
      'text as PDF',
      { text: '%PDF-1.4', mimeType: 'application/pdf' },
      'text: does not go with application/pdf',
    ],
    ['no PDF', { base64: base64('GIF89a'), mimeType: 'application/pdf' }, 'base64: is no PDF file'],
    ['too much', { text: 'x'.repeat(2_000_001) }, 'text: has 2000001 bytes; at most 2000000 are allowed'],
    ['large metadata', { text: 'x', metadata: { a: 'x'.repeat(20_000) } }, 'metadata: has 20008 bytes'],
  ])('with %s', async (_name, input, message) => {
    const fault = { code: 'BAD_USER_INPUT', message: expect.stringContaining(message) }
    expect(await bob.mutate('createDocument', { title: 'Never', ...input })).toEqual(fault)
    if (message.includes('is missing')) return
    const id = await createDocument(bob, { text: 'Kept' })
    expect(await bob.mutate('updateDocument', { documentId: id, ...input })).toEqual(fault)
    expect(await bob.mutate('deleteDocument', { documentId: id }, 'documentId')).toHaveProperty('documentId')
  })

  it('with a new type for the same content', async () => {
    const id = await createDocument(bob, { text: 'Kept' })
    const input = { documentId: id, mimeType: 'text/markdown' }
    expect(await bob.mutate('updateDocument', input)).toMatchObject({
      message: 'mimeType: goes with a new text or base64 only',
    })
  })
})
