import { beforeAll, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const scope = { scope: 'USER' }

/** One of each thing that is deleted at once and for good, in a session that bob takes part in. */
async function things(alice: Api) {
  const { viewer } = await alice.run('{ viewer { user { id } } }')
  const sessionId = await alice.createSession({ title: 'Secret title' })
  await alice.change('addParticipant', { sessionId, externalUserId: 'bob', role: 'EDITOR' })
  const { userMessage, assistantMessage } = await alice.sendMessage({
    ...{ sessionId, content: 'Secret words', wait: true },
  })
  const file = { title: 'Secret file', text: 'Secret text' }
  const { document } = await alice.mutate('createDocument', file, 'document { id }')
  const { template } = await alice.mutate(
    'createTemplate',
    { name: `Secret ${sessionId}` },
    'template { id }',
  )
  for (const key of ['secret-one', 'secret-two', 'secret-three'])
    for (const of of [scope, { scope: 'SESSION', sessionId }])
      await alice.change('saveMemory', { ...of, key, value: 'Secret value' })
  const messageIds = [assistantMessage.id as string, userMessage.id as string]
  const [userId, documentId, templateId] = [viewer.user.id, document.id, template.id] as string[]
  return { userId, sessionId, messageIds, documentId, templateId }
}

/** Deletes each of them, and tells which deletions were refused. */
async function removeAll(
  api: Api,
  { userId, sessionId, messageIds, documentId, templateId }: Awaited<ReturnType<typeof things>>,
) {
  const ofSession = { scope: 'SESSION', sessionId }
  const removals: [string, Record<string, unknown>][] = [
    ...messageIds.map((messageId): [string, Record<string, unknown>] => ['deleteMessage', { messageId }]),
    ['deleteMemory', { ...scope, userId, key: 'secret-one' }],
    ['clearMemories', { ...scope, userId }],
    ['deleteMemory', { ...ofSession, key: 'secret-one' }],
    ['clearMemories', ofSession],
    // Nothing is left that could be deleted.
    ['clearMemories', ofSession],
    ['deleteMemory', { ...ofSession, key: 'secret-one' }],
    ['deleteDocument', { documentId }],
    ['deleteTemplate', { templateId }],
  ]
  const refused: string[] = []
  for (const [name, input] of removals) if ((await api.mutate(name, input)).code) refused.push(name)
  return { refused, all: removals.map(([name]) => name) }
}

/** The second deletion of a memory finds none. */
const onlyTheSecond = ['deleteMemory']

async function entriesOf(tenant: string) {
  const { auditLog } = await app.api({ user: 'root', tenant, role: 'ADMIN' }).run(`{ auditLog {
    nodes { at action target actorRole actor { externalId } } } }`)
  return (auditLog.nodes as { action: string }[])
    .filter(({ action }) => action !== 'addParticipant')
    .reverse()
}

it('what an admin deletes of others is written down, who did it and when, and nothing of what it said', async () => {
  const of = await things(app.api({ tenant: 'watched' }))
  const { refused } = await removeAll(app.api({ user: 'root', tenant: 'watched', role: 'ADMIN' }), of)
  expect(refused).toEqual(onlyTheSecond)
  const entries = await entriesOf('watched')
  const byRoot = { actorRole: 'ADMIN', actor: { externalId: 'root' }, at: expect.any(String) }
  expect(entries).toEqual([
    ...of.messageIds.map((target) => ({ action: 'deleteMessage', target, ...byRoot })),
    { action: 'deleteMemory', target: of.userId, ...byRoot },
    { action: 'clearMemories', target: of.userId, ...byRoot },
    { action: 'deleteMemory', target: of.sessionId, ...byRoot },
    { action: 'clearMemories', target: of.sessionId, ...byRoot },
    { action: 'deleteDocument', target: of.documentId, ...byRoot },
    { action: 'deleteTemplate', target: of.templateId, ...byRoot },
  ])
  expect(JSON.stringify(entries)).not.toMatch(/secret/i)
})

it('what people delete of their own is not', async () => {
  const alice = app.api({ tenant: 'private' })
  const { refused } = await removeAll(alice, await things(alice))
  expect(refused).toEqual(onlyTheSecond)
  expect(await entriesOf('private')).toEqual([])
})

it('nor is what somebody was not allowed to delete', async () => {
  const of = await things(app.api({ tenant: 'guarded' }))
  const { refused, all } = await removeAll(app.api({ user: 'carol', tenant: 'guarded' }), of)
  expect(refused).toEqual(all)
  expect(await entriesOf('guarded')).toEqual([])
})

it('what an owner deletes of a guest, and an editor of an owner, is', async () => {
  const [alice, bob] = [app.api({ tenant: 'shared' }), app.api({ tenant: 'shared', user: 'bob' })]
  const { sessionId } = await things(alice)
  const { userMessage } = await bob.sendMessage({ sessionId, content: 'Mine', wait: true })
  await bob.change('deleteMemory', { scope: 'SESSION', sessionId, key: 'secret-one' })
  await alice.change('deleteMessage', { messageId: userMessage.id })
  expect(await entriesOf('shared')).toEqual([
    expect.objectContaining({ action: 'deleteMemory', target: sessionId, actor: { externalId: 'bob' } }),
    expect.objectContaining({
      action: 'deleteMessage',
      target: userMessage.id,
      actor: { externalId: 'alice' },
    }),
  ])
})
