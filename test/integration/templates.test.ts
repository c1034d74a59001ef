import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
let alice: Api
let bob: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
  bob = app.api({ user: 'bob' })
})

const fields =
  'id name title agent { key } model systemPrompt openingMessages { role content } parameters metadata author { externalId }'
const review = {
  title: 'Code review',
  agent: 'research',
  model: 'demo:chat',
  systemPrompt: 'You review code.',
  openingMessages: [
    { role: 'SYSTEM', content: 'Be strict.' },
    { role: 'USER', content: 'Please review.' },
    { role: 'ASSISTANT', content: 'Paste it here.' },
  ],
  parameters: { temperature: 0.1 },
  metadata: { kind: 'review', level: 1 },
}
let names = 0
const create = async (input: Record<string, unknown> = {}, api = alice) =>
  (await api.mutate('createTemplate', { name: `Template ${names++}`, ...input }, `template { ${fields} }`))
    .template
const read = async (api: Api, id: string) =>
  (await api.run(`query ($id: ID!) { template(id: $id) { ${fields} } }`, { id })).template

const sessionFields = `session { title titleSource agent { key } model systemPrompt parameters metadata messageCount
  template { name } messages { nodes { seq role content agent { key } author { externalId } } } lastMessageAt }`
const begin = (input: Record<string, unknown>, api = bob) => api.mutate('createSession', input, sessionFields)

describe('a template', () => {
  it('is there for everybody of the tenant, and for nobody else', async () => {
    const made = await create(review)
    expect(made).toMatchObject({ ...review, agent: { key: 'research' }, author: { externalId: 'alice' } })
    expect(await read(bob, made.id)).toEqual(made)
    const { node } = await bob.run(`query ($id: ID!) { node(id: $id) { ... on Template { name } } }`, {
      id: made.id,
    })
    expect(node.name).toBe(made.name)
    const foreign = app.api({ tenant: 'globex', role: 'ADMIN' })
    expect(await read(foreign, made.id)).toBeNull()
    expect((await foreign.run('{ templates { totalCount } }')).templates.totalCount).toBe(0)
    for (const name of ['updateTemplate', 'deleteTemplate'])
      expect(await foreign.mutate(name, { templateId: made.id })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await foreign.mutate('createSession', { template: made.id })).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('is changed by its author and admins alone', async () => {
    const { id } = await create(review)
    for (const name of ['updateTemplate', 'deleteTemplate'])
      expect(await bob.mutate(name, { templateId: id })).toMatchObject({ code: 'FORBIDDEN' })
    const change = async (input: Record<string, unknown>, api = alice) =>
      (await api.mutate('updateTemplate', { templateId: id, ...input }, `template { ${fields} }`)).template
    // What is left out stays, null clears.
    const changed = await change({
      title: null,
      agent: null,
      parameters: null,
      openingMessages: null,
      name: null,
    })
    expect(changed).toMatchObject({
      ...{ title: null, agent: null, parameters: {}, openingMessages: [] },
      ...{ model: review.model, systemPrompt: review.systemPrompt, metadata: review.metadata },
      name: expect.stringContaining('Template'),
    })
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    expect(await change({ name: 'Renamed', agent: 'primary' }, admin)).toEqual({
      ...changed,
      name: 'Renamed',
      agent: { key: 'primary' },
    })
    expect(await admin.mutate('deleteTemplate', { templateId: id }, 'templateId')).toEqual({ templateId: id })
    expect(await read(alice, id)).toBeNull()
    expect(await alice.mutate('deleteTemplate', { templateId: id })).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('has a name of its own', async () => {
    await create({ name: 'Taken' })
    const { id } = await create()
    const taken = { code: 'BAD_USER_INPUT', message: expect.stringContaining('name: "Taken" is taken') }
    expect(await alice.mutate('createTemplate', { name: 'Taken' })).toEqual(taken)
    expect(await alice.mutate('updateTemplate', { templateId: id, name: 'Taken' })).toEqual(taken)
    await create({ name: 'Taken' }, app.api({ tenant: 'globex' }))
  })

  it('has metadata that with those of a session are not more than a session may have', async () => {
    const { id } = await create({ metadata: { a: 'x'.repeat(10_000) } })
    const more = { b: 'x'.repeat(10_000) }
    const refused = { code: 'BAD_USER_INPUT', message: expect.stringMatching(/^metadata: has 20\d+ bytes/) }
    expect(await begin({ template: id, metadata: more })).toEqual(refused)
    expect(await bob.mutate('getOrCreateSession', { key: 'k', template: id, metadata: more })).toEqual(
      refused,
    )
    const { session } = await begin({ template: id, metadata: { a: 'less', ...more } })
    expect(session.metadata).toEqual({ a: 'less', ...more })
  })

  it('is listed by name, in pages', async () => {
    const librarian = app.api({ tenant: 'library' })
    for (const name of ['Delta', 'Alpha', 'Charlie', 'Bravo', 'Echo']) await create({ name }, librarian)
    const seen: string[] = []
    let after: string | null = null
    do {
      const { templates } = await librarian.run(
        `query ($after: Cursor) { templates(first: 2, after: $after) {
          totalCount pageInfo { hasNextPage endCursor } nodes { name agent { key } } } }`,
        { after },
      )
      expect(templates.totalCount).toBe(5)
      seen.push(...templates.nodes.map(({ name }: { name: string }) => name))
      after = templates.pageInfo.hasNextPage ? templates.pageInfo.endCursor : null
    } while (after)
    expect(seen).toEqual(['Alpha', 'Bravo', 'Charlie', 'Delta', 'Echo'])
  })

  it.each([
    ['an empty name', { name: ' ' }, 'name'],
    ['a long name', { name: 'n'.repeat(101) }, 'name'],
    ['a long title', { title: 't'.repeat(256) }, 'title'],
    ['no model id', { model: 'chat' }, 'model'],
    ['a long prompt', { systemPrompt: 'p'.repeat(10_001) }, 'systemPrompt'],
    ['an empty message', { openingMessages: [{ role: 'USER', content: '' }] }, 'openingMessages.0.content'],
    ['many messages', { openingMessages: Array(21).fill({ role: 'USER', content: 'x' }) }, 'openingMessages'],
    ['an unknown parameter', { parameters: { heat: 1 } }, 'parameters'],
    ['large metadata', { metadata: { a: 'x'.repeat(20_000) } }, 'metadata'],
  ])('is refused with %s', async (_name, input, path) => {
    const { id } = await create()
    const fault = { code: 'BAD_USER_INPUT', message: expect.stringContaining(`${path}: `) }
    expect(await alice.mutate('createTemplate', { name: 'Never', ...input })).toEqual(fault)
    expect(await alice.mutate('updateTemplate', { templateId: id, ...input })).toEqual(fault)
  })

  it('is refused with what does not exist', async () => {
    for (const [input, code] of [
      [{ agent: 'nobody' }, 'NOT_FOUND'],
      [{ model: 'openai:not-configured' }, 'MODEL_UNAVAILABLE'],
    ] as const)
      expect(await alice.mutate('createTemplate', { name: 'Never', ...input })).toMatchObject({ code })
  })
})

describe('a session made from a template', () => {
  it('begins as it says', async () => {
    const { id, name } = await create(review)
    const { session } = await begin({ template: id })
    expect(session).toMatchObject({
      ...{ title: 'Code review', titleSource: 'PERSON', agent: { key: 'research' }, model: 'demo:chat' },
      ...{ systemPrompt: review.systemPrompt, parameters: review.parameters, metadata: review.metadata },
      template: { name },
      messageCount: 3,
      lastMessageAt: expect.any(String),
    })
    expect(session.messages.nodes).toEqual([
      { seq: 1, role: 'SYSTEM', content: 'Be strict.', agent: null, author: { externalId: 'bob' } },
      { seq: 2, role: 'USER', content: 'Please review.', agent: null, author: { externalId: 'bob' } },
      { seq: 3, role: 'ASSISTANT', content: 'Paste it here.', agent: { key: 'research' }, author: null },
    ])
  })

  it('is answered after its opening', async () => {
    const { id } = await create(review)
    const sessionId = await bob.createSession({ template: id })
    const sent = await bob.sendMessage({ sessionId, content: 'let a', wait: true })
    expect(sent).toMatchObject({ userMessage: { seq: 4 }, assistantMessage: { seq: 5, status: 'COMPLETE' } })
  })

  it('takes what is given beside it over what it says', async () => {
    const { id } = await create(review)
    const { session } = await begin({
      ...{ template: id, title: 'Mine', agent: 'primary', systemPrompt: 'Other' },
      parameters: { topP: 0.5 },
      metadata: { level: 2 },
    })
    expect(session).toMatchObject({
      ...{ title: 'Mine', agent: { key: 'primary' }, model: 'demo:chat', systemPrompt: 'Other' },
      parameters: { temperature: 0.1, topP: 0.5 },
      metadata: { kind: 'review', level: 2 },
      messageCount: 3,
    })
  })

  it('is found by its key without a second opening', async () => {
    const { id } = await create(review)
    const input = { key: 'review-1', template: id }
    const results = await Promise.all(
      Array.from({ length: 8 }, () =>
        bob.mutate('getOrCreateSession', input, 'created session { id messageCount }'),
      ),
    )
    expect(results.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(results.map(({ session }) => JSON.stringify(session))).size).toBe(1)
    expect(results[0].session.messageCount).toBe(3)
  })

  it('outlives it', async () => {
    const { id } = await create(review)
    const sessionId = await bob.createSession({ template: id })
    await alice.change('updateTemplate', { templateId: id, title: 'Later' })
    const query = 'query ($id: ID!) { session(id: $id) { title template { title } } }'
    expect((await bob.run(query, { id: sessionId })).session).toEqual({
      title: 'Code review',
      template: { title: 'Later' },
    })
    await alice.change('deleteTemplate', { templateId: id })
    expect((await bob.run(query, { id: sessionId })).session).toEqual({
      title: 'Code review',
      template: null,
    })
    expect(await begin({ template: id })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await begin({ template: sessionId })).toMatchObject({ code: 'BAD_USER_INPUT' })
  })
})
