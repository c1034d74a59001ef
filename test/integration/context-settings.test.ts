import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createWideProvider, preview, sessionWith, talk } from './context.harness.ts'
import { readyDocument } from './documents.harness.ts'
import { ask } from './messages.harness.ts'

const { provider } = createWideProvider()
const model = 'wide:open'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ providers: [provider], env: { MAX_SESSIONS_PER_AGENT: '100' } })
})

describe('settings', () => {
  const policy = { kind: 'TOKEN_BUDGET', tokens: 5_000 }
  const fields = 'contextPolicy { kind messages tokens keepLast passages memories }'
  const read = {
    kind: 'TOKEN_BUDGET',
    tokens: 5_000,
    messages: null,
    keepLast: null,
    passages: null,
    memories: null,
  }

  it('are kept by agents, sessions and templates, handed on, changed and cleared', async () => {
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    const { agent } = await admin.mutate(
      'createAgent',
      { key: 'frugal', name: 'Frugal', model, contextPolicy: policy, memoryTools: true },
      `agent { id memoryTools ${fields} }`,
    )
    expect(agent).toMatchObject({ contextPolicy: read, memoryTools: true })
    const cleared = { agentId: agent.id, contextPolicy: null, memoryTools: null }
    expect(await admin.mutate('updateAgent', cleared, `agent { memoryTools ${fields} }`)).toEqual({
      agent: { contextPolicy: null, memoryTools: false },
    })
    const { template } = await admin.mutate(
      'createTemplate',
      { name: 'Frugal', contextPolicy: policy },
      `template { id ${fields} }`,
    )
    expect(template.contextPolicy).toEqual(read)
    const { session } = await admin.mutate(
      'createSession',
      { template: template.id },
      `session { id ${fields} }`,
    )
    expect(session.contextPolicy).toEqual(read)
    const other = { sessionId: session.id, contextPolicy: { kind: 'FULL', memories: true } }
    expect(await admin.mutate('updateSession', other, `session { ${fields} }`)).toMatchObject({
      session: { contextPolicy: { kind: 'FULL', memories: true, tokens: null } },
    })
    const { userMessage } = await ask(admin, session.id, 'Hello')
    const fork = { sessionId: session.id, atMessageId: userMessage.id }
    expect(await admin.mutate('forkSession', fork, `session { ${fields} }`)).toMatchObject({
      session: { contextPolicy: { kind: 'FULL' } },
    })
    const none = { sessionId: session.id, contextPolicy: null }
    expect(await admin.mutate('updateSession', none, `session { ${fields} }`)).toEqual({
      session: { contextPolicy: null },
    })
    const changed = { templateId: template.id, contextPolicy: null }
    expect(await admin.mutate('updateTemplate', changed, `template { ${fields} }`)).toEqual({
      template: { contextPolicy: null },
    })
  })

  it.each<[string, object, string]>([
    ['tokens', { kind: 'TOKEN_BUDGET' }, 'is missing; TOKEN_BUDGET needs it'],
    ['messages', { kind: 'LAST_MESSAGES' }, 'is missing; LAST_MESSAGES needs it'],
    ['messages', { kind: 'LAST_MESSAGES', messages: 0 }, 'is below 1'],
    ['messages', { kind: 'LAST_MESSAGES', messages: 10_001 }, 'is above 10000'],
    ['tokens', { kind: 'TOKEN_BUDGET', tokens: 49 }, 'is below 50'],
    ['messages', { kind: 'FULL', messages: 5 }, 'goes with LAST_MESSAGES only'],
    [
      'tokens',
      { kind: 'FULL', tokens: 500 },
      'goes with TOKEN_BUDGET, SUMMARIZE, HIERARCHICAL, RETRIEVAL only',
    ],
    ['keepLast', { kind: 'SUMMARIZE', keepLast: 1_001 }, 'is above 1000'],
    ['passages', { kind: 'RETRIEVAL', passages: 21 }, 'is above 20'],
    ['passages', { kind: 'SUMMARIZE', passages: 2 }, 'goes with RETRIEVAL only'],
  ])('name the fault of %s in %o', async (path, contextPolicy, says) => {
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    const sessionId = await admin.createSession({ agent: 'router' })
    const inputs: [string, object][] = [
      ['createSession', {}],
      ['updateSession', { sessionId }],
      ['sendMessage', { sessionId, content: 'x' }],
      ['createAgent', { key: 'faulty', name: 'Faulty' }],
      ['createTemplate', { name: 'Faulty' }],
    ]
    for (const [name, input] of inputs)
      expect(await admin.mutate(name, { ...input, contextPolicy }), name).toEqual({
        code: 'BAD_USER_INPUT',
        message: `contextPolicy.${path}: ${says}`,
      })
  })

  it.each([
    ['content', { content: ' ' }],
    ['content', { content: 'x'.repeat(10_001) }],
    ['content', { content: 'a\0' }],
    ['model', { model: 'gpt' }],
    ['parameters', { parameters: { tone: 'warm' } }],
    ['contextPolicy.tokens', { contextPolicy: { kind: 'FULL', tokens: 100 } }],
  ])('are refused by a preview that names %s', async (path, args) => {
    const { api, sessionId } = await sessionWith(app, [], {}, 'xaver')
    const { errors } = await api.send(
      `query ($id: ID!, $content: String, $model: String, $parameters: JSONObject, $contextPolicy: ContextPolicyInput) {
        session(id: $id) { contextPreview(content: $content, model: $model, parameters: $parameters,
          contextPolicy: $contextPolicy) { totalTokens } } }`,
      { id: sessionId, ...args },
    )
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
    expect(errors?.[0]?.message.startsWith(`${path}: `)).toBe(true)
  })

  it('go out with an export and come in again', async () => {
    const { api, sessionId } = await sessionWith(app, talk(1), { contextPolicy: policy }, 'wanda')
    const { url } = await api.mutate('exportSession', { sessionId }, 'url')
    const content = await (await fetch(`${app.url}${url}`)).text()
    expect(JSON.parse(content).session.contextPolicy).toEqual(policy)
    const { session } = await api.mutate('importSession', { content }, `session { ${fields} }`)
    expect(session.contextPolicy).toEqual(read)
    const faulty = content.replace('5000', '5')
    expect(await api.mutate('importSession', { content: faulty })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('contextPolicy.tokens: is below 50'),
    })
  })

  it('are previewed to those who may send, and to nobody else', async () => {
    const { api, sessionId } = await sessionWith(app, talk(1), {}, 'tess')
    const asked = 'query ($id: ID!) { session(id: $id) { contextPreview { totalTokens } } }'
    await api.change('addParticipant', { sessionId, externalUserId: 'uma', role: 'VIEWER' }, 'session { id }')
    const viewer = await app.api({ user: 'uma' }).send(asked, { id: sessionId })
    expect(viewer.errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    const stranger = await app.api({ user: 'vera' }).send(asked, { id: sessionId })
    expect(stranger).toEqual({ data: { session: null } })
  })
})

it('a preview shows a send with its documents', async () => {
  const alice = app.api()
  const owls = await readyDocument(alice, { title: 'Owls', text: 'Owls eat mice.' })
  const frogs = await readyDocument(alice, { title: 'Frogs', text: 'Frogs eat flies.' })
  const sessionId = await alice.createSession({ documentIds: [owls] })
  const shownOf = async (documentIds?: string[]) =>
    JSON.stringify(await preview(alice, sessionId, { content: 'What do they eat?', documentIds }))
  expect(await shownOf()).toContain('Owls eat mice.')
  expect(await shownOf([frogs])).toContain('Frogs eat flies.')
  expect(await shownOf([frogs])).not.toContain('Owls')
  expect(await shownOf([])).not.toContain('Owls')
  const bob = app.api({ user: 'bob' })
  const foreign = await readyDocument(bob, { title: 'Bats', text: 'Bats eat moths.' })
  const { errors } = await alice.send(
    `query ($id: ID!, $documentIds: [ID!]) { session(id: $id) {
      contextPreview(content: "x", documentIds: $documentIds) { limit } } }`,
    { id: sessionId, documentIds: [foreign] },
  )
  expect(errors?.[0]?.extensions.code).toBe('NOT_FOUND')
})
