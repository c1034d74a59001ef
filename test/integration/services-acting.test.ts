import { type GraphQLNamedInputType, getNamedType, isInputObjectType } from 'graphql'
import { beforeAll, describe, expect, it } from 'vitest'
import { schema } from '../../src/schema.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createMeteredProvider, meteredModel } from './quotas.harness.ts'

let app: TestApp
let service: Api
let alice: Api
let sessionId: string
let messageId: string
let aliceId: string
const userOf = async (api: Api) => (await api.run('{ viewer { user { id } } }')).viewer.user.id

beforeAll(async () => {
  app = await startTestApp({ providers: [createMeteredProvider().provider] })
  service = app.api({ user: 'robot', role: 'SERVICE' })
  alice = app.api()
  aliceId = await userOf(alice)
  sessionId = await alice.createSession({ model: meteredModel })
  const added = await service.mutate(
    'addMessages',
    { sessionId, messages: [{ role: 'USER', content: '{}' }], userId: aliceId },
    'messages { id author { externalId } }',
  )
  messageId = added.messages[0].id
  expect(added.messages[0].author).toEqual({ externalId: 'alice' })
})

const usage = { input: 30, output: 12 }
const used = async (api: Api) =>
  (await api.run('{ viewer { quota { usedTokens } } }')).viewer.quota[0].usedTokens
const ledgerOf = async (api: Api, userId: string) =>
  (await api.run('query ($id: ID) { userStats(userId: $id) { tokens } }', { id: userId })).userStats.tokens

describe('what a service does for a user', () => {
  it('is sent, answered and paid for in its name', async () => {
    const admin = app.api({ user: 'ada', role: 'ADMIN' })
    await admin.change('setQuota', { scope: 'USER', userId: aliceId, period: 'DAY', tokens: 1_000 })
    const sent = await service.mutate(
      'sendMessage',
      { sessionId, content: JSON.stringify(usage), externalUserId: 'alice', wait: true },
      'userMessage { author { externalId } } run { status }',
    )
    expect(sent).toEqual({ userMessage: { author: { externalId: 'alice' } }, run: { status: 'COMPLETED' } })
    const robotId = await userOf(service)
    expect(await ledgerOf(service, aliceId)).toBe(42)
    expect(await ledgerOf(service, robotId)).toBe(0)
    expect(await used(alice)).toBe(42)
  })

  it('is read by it', async () => {
    const unread = async () =>
      (await alice.run('query ($id: ID!) { session(id: $id) { viewerUnread } }', { id: sessionId })).session
        .viewerUnread
    await service.change('addMessages', { sessionId, messages: [{ role: 'USER', content: 'By a program' }] })
    const before = await unread()
    await service.change('addMessages', {
      sessionId,
      messages: [{ role: 'USER', content: 'By alice' }],
      userId: aliceId,
    })
    expect(await unread()).toBe(before)
    await service.change('markRead', { sessionId, userId: aliceId })
    expect(await unread()).toBe(0)
  })

  it('is forked and edited by it', async () => {
    const fork = await service.mutate(
      'forkSession',
      { sessionId, atMessageId: messageId, userId: aliceId },
      'session { id user { externalId } messages { nodes { id } } }',
    )
    expect(fork.session.user).toEqual({ externalId: 'alice' })
    const edited = await service.mutate(
      'editMessage',
      { messageId: fork.session.messages.nodes[0].id, content: '{}', userId: aliceId },
      'userMessage { author { externalId } } assistantMessage { id } run { id }',
    )
    expect(edited.userMessage.author).toEqual({ externalId: 'alice' })
    await alice.change('cancelRun', { runId: edited.run.id })
    const anew = await service.mutate(
      'regenerateMessage',
      { messageId: edited.assistantMessage.id, userId: aliceId },
      'userMessage { author { externalId } }',
    )
    expect(anew.userMessage.author).toEqual({ externalId: 'alice' })
  })

  it('is bound to the rights of the user', async () => {
    await userOf(app.api({ user: 'stan' }))
    const message = { sessionId, content: '{}' }
    for (const externalUserId of ['stan', 'nobody'])
      expect(await service.mutate('sendMessage', { ...message, externalUserId })).toMatchObject({
        code: 'NOT_FOUND',
      })
    await alice.change('addParticipant', { sessionId, externalUserId: 'stan', role: 'VIEWER' })
    expect(await service.mutate('sendMessage', { ...message, externalUserId: 'stan' })).toMatchObject({
      code: 'FORBIDDEN',
    })
    expect(await service.mutate('markRead', { sessionId, externalUserId: 'stan' })).toEqual({
      __typename: 'MarkReadPayload',
    })
  })

  it('is answered and paid for where it keeps nothing, and gets its tools from the user', async () => {
    const before = await used(alice)
    const question = { model: meteredModel, wait: true, userId: aliceId }
    const messages = [{ role: 'USER', content: JSON.stringify(usage) }]
    const run = 'run { id status } userMessage { author { externalId } }'
    const author = { author: { externalId: 'alice' } }
    const ended = { run: { status: 'COMPLETED' }, userMessage: author }
    expect(await service.mutate('complete', { ...question, messages }, run)).toMatchObject(ended)
    const { template } = await service.mutate(
      'createTemplate',
      { name: 'Measured', openingMessages: messages, externalUserId: 'alice' },
      'template { id author { externalId } }',
    )
    expect(template).toMatchObject(author)
    const executed = await service.mutate('executeTemplate', { ...question, templateId: template.id }, run)
    expect(executed).toMatchObject(ended)
    expect(await used(alice)).toBe(before + 84)

    const asked = await service.mutate(
      'complete',
      {
        ...question,
        messages: [{ role: 'USER', content: JSON.stringify({ end: 'tools' }) }],
        tools: [{ name: 'look', description: 'Looks', parameters: { type: 'object' } }],
      },
      'run { id status }',
    )
    expect(asked.run.status).toBe('REQUIRES_ACTION')
    const results = [{ toolCallId: 'call_1', content: 'seen' }]
    const given = { runId: asked.run.id, results }
    expect(await service.mutate('submitToolResults', { ...given, externalUserId: 'stan' })).toMatchObject({
      code: 'NOT_FOUND',
    })
    expect(
      await service.mutate(
        'submitToolResults',
        { ...given, userId: aliceId },
        'toolMessages { author { externalId } }',
      ),
    ).toEqual({ toolMessages: [author] })
    await alice.mutate('cancelRun', { runId: asked.run.id })
  })

  it('is owned by it', async () => {
    const owned = 'document { id user { externalId } }'
    const input = { title: 'Tides', text: 'Ebb and flood', userId: aliceId }
    const { document } = await service.mutate('createDocument', input, owned)
    expect(document.user).toEqual({ externalId: 'alice' })
    const byStan = { documentId: document.id, externalUserId: 'stan' }
    for (const name of ['updateDocument', 'deleteDocument'])
      expect(await service.mutate(name, byStan)).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('is written down as done by the service', async () => {
    const made = await alice.createSession()
    await service.mutate('deleteSession', { sessionId: made, userId: aliceId })
    await service.mutate('purgeSession', { sessionId: made, userId: aliceId })
    const { auditLog } = await app
      .api({ user: 'ada', role: 'ADMIN' })
      .run('{ auditLog(first: 2) { nodes { action target actor { externalId } actorRole } } }')
    const entry = { target: made, actor: { externalId: 'robot' }, actorRole: 'SERVICE' }
    expect(auditLog.nodes).toEqual([
      { ...entry, action: 'purgeSession' },
      { ...entry, action: 'deleteSession' },
    ])
  })

  it('is one thing under one clientId, whoever it is for', async () => {
    const message = { role: 'USER', content: 'Once', clientId: 'once' }
    const add = (more: object) =>
      service.mutate('addMessages', { sessionId, messages: [message], ...more }, 'messages { id }')
    const first = await add({ userId: aliceId })
    expect(await add({ userId: aliceId })).toEqual(first)
    expect(await add({})).toMatchObject({ code: 'CONFLICT' })
  })
})

/** Everything that a service may do for a user, on what alice has. */
async function everything() {
  const sent = await alice.sendMessage({ sessionId, content: '{}', wait: true })
  const { document } = await alice.mutate('createDocument', { title: 'Hers', text: 'Ebb' }, 'document { id }')
  const name = `Hers ${document.id}`
  const { template } = await alice.mutate('createTemplate', { name }, 'template { id }')
  const [runId, documentId, templateId] = [sent.run.id, document.id, template.id]
  return {
    sendMessage: { sessionId, content: '{}' },
    addMessages: { sessionId, messages: [{ role: 'USER', content: '{}' }] },
    editMessage: { messageId, content: '{}' },
    regenerateMessage: { messageId },
    deleteMessage: { messageId },
    cancelRun: { runId },
    cancelSessionRuns: { sessionId },
    moveQueuedRun: { runId, position: 0 },
    submitToolResults: { runId, results: [{ toolCallId: 'call', content: '' }] },
    setTyping: { sessionId, isTyping: true },
    updateSession: { sessionId, title: 'Another' },
    deleteSession: { sessionId },
    restoreSession: { sessionId },
    purgeSession: { sessionId },
    updateDocument: { documentId, title: 'Another' },
    deleteDocument: { documentId },
    updateTemplate: { templateId, name: 'Another' },
    deleteTemplate: { templateId },
  }
}

it('is no way to do for a user what that user may not', async () => {
  const looker = app.api({ user: 'looker' })
  await userOf(looker)
  await alice.mutate('addParticipant', { sessionId, externalUserId: 'looker', role: 'VIEWER' })
  for (const [name, input] of Object.entries(await everything())) {
    const own = await looker.mutate(name, { ...input })
    expect(own.code, name).toMatch(/^(FORBIDDEN|NOT_FOUND)$/)
    expect(await service.mutate(name, { ...input, externalUserId: 'looker' }), name).toEqual(own)
  }
})

/** Admins name others there, too; see import, memory, participants and sessions-keyed.test.ts. */
const byAdmins = [
  ...['createSession', 'getOrCreateSession', 'importSession', 'addParticipant'],
  ...['saveMemory', 'saveMemories', 'deleteMemory', 'clearMemories'],
]
const namesUser = (type: GraphQLNamedInputType) =>
  isInputObjectType(type) && 'externalUserId' in type.getFields()

it('neither users nor admins act for others, but for themselves', async () => {
  const stan = await userOf(app.api({ user: 'stan' }))
  const every = await everything()
  const inputs = {
    ...every,
    markRead: { sessionId },
    forkSession: { sessionId, atMessageId: messageId },
    exportSession: { sessionId },
    complete: { messages: [{ role: 'USER', content: '{}' }] },
    executeTemplate: every.deleteTemplate,
    createDocument: { title: 'Mine', text: 'Ebb' },
    createTemplate: { name: 'Mine' },
  }
  const names = Object.values(schema.getMutationType()?.getFields() ?? {})
    .filter(({ args }) => args.some(({ type }) => namesUser(getNamedType(type))))
    .map(({ name }) => name)
  expect(names.filter((name) => !(name in inputs) && !byAdmins.includes(name))).toEqual([])
  for (const api of [alice, app.api({ user: 'ada', role: 'ADMIN' })])
    for (const [name, input] of Object.entries(inputs))
      for (const [field, value] of [
        ['userId', stan],
        ['externalUserId', 'stan'],
      ] as const)
        expect(await api.mutate(name, { ...input, [field]: value }), name).toEqual({
          code: 'FORBIDDEN',
          message: `${field}: only a service token may act for another user.`,
        })
  expect(await alice.mutate('markRead', { sessionId, userId: aliceId })).not.toHaveProperty('code')
  expect(
    await service.mutate('markRead', { sessionId, userId: aliceId, externalUserId: 'alice' }),
  ).toMatchObject({ code: 'BAD_USER_INPUT', message: 'externalUserId: cannot be combined with userId' })
})
