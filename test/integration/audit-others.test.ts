import { beforeAll, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { runEnd, watchRuns } from '../support/runs.ts'

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

/** Changes each of them, the messages last, and tells what was refused. */
async function changeAll(
  api: Api,
  {
    userId,
    sessionId,
    messageIds: [answerId, questionId],
    documentId,
    templateId,
  }: Awaited<ReturnType<typeof things>>,
  more: object = {},
) {
  const ofSession = { scope: 'SESSION', sessionId }
  const memories = [{ key: 'secret-one', value: 'Secret' }]
  const changes: [string, Record<string, unknown>][] = [
    ['updateSession', { sessionId, title: 'Secret change' }],
    ['saveMemory', { ...scope, userId, ...memories[0] }],
    ['saveMemories', { ...scope, userId, memories }],
    ['saveMemory', { ...ofSession, ...memories[0] }],
    ['saveMemories', { ...ofSession, memories }],
    ['updateDocument', { documentId, title: 'Secret change' }],
    ['updateTemplate', { templateId, title: 'Secret change' }],
    ['regenerateMessage', { messageId: answerId }],
    ['editMessage', { messageId: questionId, content: 'Secret change' }],
  ]
  const refused: string[] = []
  for (const [name, input] of changes)
    if ((await api.mutate(name, { ...input, ...(name.startsWith('save') ? {} : more) })).code)
      refused.push(name)
  return { refused, all: changes.map(([name]) => name) }
}

/** As it should be written down. */
const changesOf = (of: Awaited<ReturnType<typeof things>>, by: object) =>
  [
    ['updateSession', of.sessionId],
    ['saveMemory', of.userId],
    ['saveMemories', of.userId],
    ['saveMemory', of.sessionId],
    ['saveMemories', of.sessionId],
    ['updateDocument', of.documentId],
    ['updateTemplate', of.templateId],
    ['regenerateMessage', of.messageIds[0]],
    ['editMessage', of.messageIds[1]],
  ].map(([action, target]) => ({ action, target, at: expect.any(String), ...by }))

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

it('so is what an admin changes of others, or a service in their name', async () => {
  const tenant = 'changed'
  for (const [user, role] of [
    ['root', 'ADMIN'],
    ['robot', 'SERVICE'],
  ] as const) {
    const of = await things(app.api({ tenant, user: `owner-${role}` }))
    const before = (await entriesOf(tenant)).length
    const more = role === 'SERVICE' ? { userId: of.userId } : {}
    expect((await changeAll(app.api({ user, tenant, role }), of, more)).refused).toEqual([])
    const entries = (await entriesOf(tenant)).slice(before)
    expect(entries).toEqual(changesOf(of, { actorRole: role, actor: { externalId: user } }))
    expect(JSON.stringify(entries)).not.toMatch(/secret/i)
  }
})

it('what people change and delete of their own is not', async () => {
  const alice = app.api({ tenant: 'private' })
  expect((await changeAll(alice, await things(alice))).refused).toEqual([])
  const { refused } = await removeAll(alice, await things(alice))
  expect(refused).toEqual(onlyTheSecond)
  expect(await entriesOf('private')).toEqual([])
})

it('nor is what somebody was not allowed to change or delete', async () => {
  const of = await things(app.api({ tenant: 'guarded' }))
  const changed = await changeAll(app.api({ user: 'carol', tenant: 'guarded' }), of)
  expect(changed.refused).toEqual(changed.all)
  const { refused, all } = await removeAll(app.api({ user: 'carol', tenant: 'guarded' }), of)
  expect(refused).toEqual(all)
  expect(await entriesOf('guarded')).toEqual([])
})

it('what an owner takes back of a guest is, once, and not what they take back of their own', async () => {
  const [alice, bob] = [app.api({ tenant: 'hasty' }), app.api({ tenant: 'hasty', user: 'bob' })]
  const sessionId = await alice.createSession()
  await alice.change('addParticipant', { sessionId, externalUserId: 'bob', role: 'EDITOR' })
  const watch = await watchRuns(app, sessionId, { tenant: 'hasty' })
  const urgent = { onBusy: 'ROLLBACK', sessionId, content: '/stall' }
  const { userMessage } = await bob.sendMessage({ sessionId, content: '/stall' })
  // All but the first find a reply that has been taken back and has not ended.
  const own = await Promise.all([1, 2, 3].map(() => alice.sendMessage(urgent)))
  const { run } = await watch.until(
    ({ __typename, run }) => __typename === 'RunStarted' && own.some((sent) => sent.run.id === run.id),
  )
  await alice.sendMessage(urgent)
  await watch.until(runEnd(run.id))
  expect(await entriesOf('hasty')).toEqual([
    expect.objectContaining({
      action: 'sendMessage',
      target: userMessage.id,
      actor: { externalId: 'alice' },
    }),
  ])
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
