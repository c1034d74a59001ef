import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { readyDocument } from './documents.harness.ts'
import { createFiles } from './export-import.harness.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})
const { importFile, exportSession } = createFiles(() => app)

describe('a session that draws on a document', () => {
  const citedBy = `documents { title } messages { nodes { clientId
    citations { marker score document { title } passage { text page heading startOffset endOffset } } } }`
  const read = async (id: string, api = app.api()) =>
    (await api.run(`query ($id: ID!) { session(id: $id) { key ${citedBy} } }`, { id })).session

  async function conversation(text: string) {
    const documentId = await readyDocument(app.api(), { title: 'Newts', text })
    const { session } = await app
      .api()
      .mutate('getOrCreateSession', { key: text, documentIds: [documentId] }, 'session { id }')
    await app
      .api()
      .change('sendMessage', { sessionId: session.id, content: text, clientId: 'asked', wait: true })
    return { documentId, sessionId: session.id as string }
  }

  it('comes back with its citations, which are erased with the document in every copy', async () => {
    const { sessionId, documentId } = await conversation('Newts are shy.')
    const exported = await exportSession(sessionId, app.api())
    const copy = await importFile(exported, app.api())
    const { key: _, ...original } = await read(sessionId)
    expect(original.messages.nodes[1].citations).toMatchObject([{ passage: { text: 'Newts are shy.' } }])
    expect(await read(copy.id)).toEqual({ key: null, ...original })
    const { session: fork } = await app
      .api()
      .mutate(
        'forkSession',
        { sessionId: copy.id, atMessageId: (await lastOf(copy.id)).id },
        'session { id }',
      )
    expect((await read(fork.id)).messages.nodes[1].citations).toEqual(original.messages.nodes[1].citations)
    await app.api().change('deleteDocument', { documentId })
    for (const id of [sessionId, copy.id, fork.id])
      expect(await read(id)).toMatchObject({
        documents: [],
        messages: { nodes: [{ citations: [] }, { citations: [] }] },
      })
    // The file outlives it; an import brings nothing back.
    expect(await read((await importFile(exported, app.api())).id)).toMatchObject({
      documents: [],
      messages: { nodes: [{ clientId: 'asked' }, { citations: [] }] },
    })
  })

  const lastOf = async (id: string) =>
    (await app.api().run('query ($id: ID!) { session(id: $id) { lastMessage { id } } }', { id })).session
      .lastMessage

  it('takes along for each reader the documents that it sees, and no more into another tenant', async () => {
    const { sessionId, documentId } = await conversation('Toads hide.')
    const guest = app.api({ user: 'guest' })
    await app.api().change('addParticipant', { sessionId, externalUserId: 'guest', role: 'VIEWER' })
    await app.api().change('updateSession', { sessionId, documentIds: [] })
    const cited = async (api: Api) => (await exportSession(sessionId, api)).messages[1]?.citations
    const passage = { marker: 1, text: 'Toads hide.' }
    expect(await cited(guest)).toEqual([expect.not.objectContaining({ document: expect.anything() })])
    expect(await cited(guest)).toMatchObject([passage])
    expect(await cited(app.api())).toMatchObject([{ ...passage, document: documentId }])

    const exported = await exportSession(sessionId, app.api())
    const { id: _, ...settings } = exported.session
    const claimed = { ...exported, session: { ...settings, documents: [{ id: documentId, title: 'Toads' }] } }
    const unknown = JSON.parse(
      JSON.stringify(claimed).replaceAll(documentId, 'document_01h455vb4pex5vsknk084sn02q'),
    )
    const strangers = [guest, app.api({ tenant: 'globex' }), app.api({ tenant: 'globex', role: 'ADMIN' })]
    for (const api of strangers)
      for (const file of [claimed, unknown])
        expect(await read((await importFile(file, api)).id, api)).toMatchObject({
          documents: [],
          messages: { nodes: [{ citations: [] }, { citations: [] }] },
        })
    expect(await read((await importFile(claimed, app.api())).id)).toMatchObject({
      documents: [{ title: 'Newts' }],
      messages: { nodes: [{ citations: [] }, { citations: [{ document: { title: 'Newts' } }] }] },
    })
  })
})

it('an import takes the key of its file, unless a session of its owner has it', async () => {
  const api = app.api({ user: 'keyed' })
  const file = { format: 'parley/1', session: { key: 'ticket-7' }, messages: [] }
  const [first, second] = [await importFile(file, api), await importFile(file, api)]
  expect([first.key, second.key]).toEqual(['ticket-7', null])
  const { session } = await api.mutate('getOrCreateSession', { key: 'ticket-7' }, 'session { id }')
  expect(session.id).toBe(first.id)
  // As with getOrCreateSession, a deleted one counts as gone.
  await api.change('deleteSession', { sessionId: first.id })
  expect((await importFile(file, api)).key).toBe('ticket-7')
})

it('of imports that race for a key, one has it and all are stored', async () => {
  const api = app.api({ user: 'racing' })
  const file = { format: 'parley/1', session: { key: 'one' }, messages: [] }
  await Promise.all(Array.from({ length: 5 }, () => importFile(file, api)))
  const { sessions } = await api.run('{ sessions(first: 10) { nodes { key } } }')
  const keys = sessions.nodes.map(({ key }: { key: string | null }) => key)
  expect(keys.filter(Boolean)).toEqual(['one'])
  expect(keys).toHaveLength(5)
})
