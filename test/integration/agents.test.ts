import { beforeAll, describe, expect, it } from 'vitest'
import { encodeId, newId } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const admin: Identity = { user: 'root', role: 'ADMIN' }
const fields = `id key name description model systemPrompt parameters maxActiveSessionsPerUser isActive
  tools { name description parameters requiresApproval }`
const weather = {
  name: 'get_weather',
  description: 'The weather of a place',
  parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
}

async function create(input: object, identity = admin) {
  const { createAgent } = await app.api(identity).run(
    `mutation ($input: CreateAgentInput!) { createAgent(input: $input) { __typename
      ... on CreateAgentPayload { agent { ${fields} } } ... on Error { code message } } }`,
    { input },
  )
  return createAgent
}

async function update(input: object, identity = admin) {
  const { updateAgent } = await app.api(identity).run(
    `mutation ($input: UpdateAgentInput!) { updateAgent(input: $input) { __typename
      ... on UpdateAgentPayload { agent { ${fields} } } ... on Error { code message } } }`,
    { input },
  )
  return updateAgent
}

const find = (variables: object, identity: Identity = {}) =>
  app
    .api(identity)
    .send(`query ($id: ID, $key: String) { agent(id: $id, key: $key) { ${fields} } }`, { ...variables })

describe('an agent', () => {
  it('is made with all that it is, and found by id and by key', async () => {
    const input = {
      key: 'weather',
      name: 'Weather',
      description: 'Knows the sky',
      model: 'demo:chat',
      systemPrompt: 'Be brief.',
      parameters: { temperature: 0.2 },
      maxActiveSessionsPerUser: 2,
      tools: [weather, { ...weather, name: 'set_alarm', requiresApproval: true }],
    }
    const { agent } = await create(input)
    expect(agent).toMatchObject({
      ...input,
      isActive: true,
      tools: [
        { ...weather, requiresApproval: false },
        { name: 'set_alarm', requiresApproval: true },
      ],
    })
    expect((await find({ key: 'weather' })).data).toEqual({ agent })
    expect((await find({ id: agent.id })).data).toEqual({ agent })
    const { agents } = await app.api().run('{ agents { key } }')
    expect(agents).toContainEqual({ key: 'weather' })
  })

  it('needs nothing but a key and a name', async () => {
    const { agent } = await create({ key: 'plain', name: 'Plain' })
    expect(agent).toMatchObject({ model: null, parameters: {}, tools: [], maxActiveSessionsPerUser: null })
  })

  it('keeps what an update leaves out, and loses what it sets to null', async () => {
    const { agent } = await create({
      key: 'changing',
      name: 'Changing',
      model: 'demo:chat',
      tools: [weather],
    })
    const renamed = await update({ agentId: agent.id, name: 'Changed' })
    expect(renamed.agent).toEqual({ ...agent, name: 'Changed' })
    const cleared = await update({ agentId: agent.id, model: null, tools: null, name: null })
    expect(cleared.agent).toEqual({ ...agent, name: 'Changed', model: null, tools: [] })
  })

  it('can be taken out of choice and put back', async () => {
    const { agent } = await create({ key: 'resting', name: 'Resting' })
    const session = await app.api().createSession({ agent: 'resting' })
    expect((await update({ agentId: agent.id, isActive: false })).agent.isActive).toBe(false)
    const refused = await app
      .api()
      .run(`mutation { createSession(input: { agent: "resting" }) { ... on Error { code } } }`)
    expect(refused.createSession).toEqual({ code: 'NOT_FOUND' })
    // A session that chose it before goes on.
    const { run } = await app.api().sendMessage({ sessionId: session, content: 'Hello', wait: true })
    expect(run.status).toBe('COMPLETED')
    expect((await find({ key: 'resting' })).data?.agent.isActive).toBe(false)
    await update({ agentId: agent.id, isActive: true })
    await app.api().createSession({ agent: 'resting' })
  })

  it('sets how many active sessions a user may have with it', async () => {
    await create({ key: 'single', name: 'Single', maxActiveSessionsPerUser: 1 })
    const first = await app.api().createSession({ agent: 'single' })
    const { createSession } = await app.api().run(
      `mutation { createSession(input: { agent: "single" }) { ... on CreateSessionPayload {
        deactivatedSessions { id } } } }`,
    )
    expect(createSession.deactivatedSessions).toEqual([{ id: first }])
  })

  it('has its key to itself, within its tenant', async () => {
    await create({ key: 'taken', name: 'First' })
    expect(await create({ key: 'taken', name: 'Second' })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'key: "taken" is taken by another agent',
    })
    expect(await create({ key: 'taken', name: 'Abroad' }, { ...admin, tenant: 'globex' })).toMatchObject({
      agent: { name: 'Abroad' },
    })
  })
})

describe('refused', () => {
  const good = { key: 'good', name: 'Good' }
  it.each([
    ['an empty key', { ...good, key: '' }, 'key: '],
    ['a key of other letters', { ...good, key: 'Größe' }, 'key: is not a key'],
    ['a key like an id', { ...good, key: 'agent_x' }, 'key: begins with agent_'],
    ['a long key', { ...good, key: 'k'.repeat(64) }, 'key: has 64 characters'],
    ['an empty name', { ...good, name: ' ' }, 'name: is empty'],
    ['a long name', { ...good, name: 'n'.repeat(101) }, 'name: has 101 characters'],
    ['a name with a NUL', { ...good, name: 'a\0b' }, 'name: has a NUL character'],
    ['a long description', { ...good, description: 'd'.repeat(1_001) }, 'description: has 1001'],
    ['a malformed model', { ...good, model: 'chat' }, 'model: is not a model id'],
    ['a long prompt', { ...good, systemPrompt: 'p'.repeat(10_001) }, 'systemPrompt: has 10001'],
    ['unknown parameters', { ...good, parameters: { heat: 1 } }, 'parameters: has unknown parameters (heat)'],
    ['a limit of none', { ...good, maxActiveSessionsPerUser: 0 }, 'maxActiveSessionsPerUser: is below 1'],
    ['a tool without a name', { ...good, tools: [{ ...weather, name: '' }] }, 'tools.0.name: is not a name'],
    [
      'a tool of a bad name',
      { ...good, tools: [{ ...weather, name: 'a b' }] },
      'tools.0.name: is not a name',
    ],
    [
      'two tools of a name',
      { ...good, tools: [weather, weather] },
      'tools.1.name: get_weather is there twice',
    ],
    [
      'a tool that says nothing',
      { ...good, tools: [{ ...weather, description: '' }] },
      'tools.0.description: is empty',
    ],
    [
      'no schema',
      { ...good, tools: [{ ...weather, parameters: {} }] },
      'tools.0.parameters: is not the schema of an object',
    ],
    [
      'properties in a list',
      { ...good, tools: [{ ...weather, parameters: { type: 'object', properties: [] } }] },
      'tools.0.parameters: has "properties" that are not an object',
    ],
    [
      'a schema without end',
      { ...good, tools: [{ ...weather, parameters: { type: 'object', x: 'x'.repeat(16_384) } }] },
      'tools.0.parameters: has 16',
    ],
    [
      'too many tools',
      { ...good, tools: Array.from({ length: 65 }, (_, n) => ({ ...weather, name: `t${n}` })) },
      'tools: has more than 64 entries',
    ],
  ])('is %s', async (_what, input, message) => {
    const answer = await create(input)
    expect(answer).toMatchObject({ __typename: 'ValidationError', code: 'BAD_USER_INPUT' })
    expect(answer.message).toContain(message)
    expect((await find({ key: 'good' })).data).toEqual({ agent: null })
  })

  it('is a model of an unknown provider, when made and when changed', async () => {
    expect(await create({ ...good, model: 'nobody:chat' })).toMatchObject({ code: 'MODEL_UNAVAILABLE' })
    const { agent } = await create({ key: 'changed', name: 'Changed' })
    expect(await update({ agentId: agent.id, model: 'nobody:chat' })).toMatchObject({
      code: 'MODEL_UNAVAILABLE',
    })
    expect(await update({ agentId: agent.id, name: '' })).toMatchObject({ code: 'BAD_USER_INPUT' })
  })

  it('is everybody who is no admin', async () => {
    const { agent } = await create({ key: 'guarded', name: 'Guarded' })
    expect(await create({ key: 'sneaked', name: 'Sneaked' }, {})).toMatchObject({ code: 'FORBIDDEN' })
    expect(await update({ agentId: agent.id, name: 'Mine' }, {})).toMatchObject({ code: 'FORBIDDEN' })
    expect((await find({ key: 'guarded' })).data?.agent.name).toBe('Guarded')
  })

  it('is the agent of another tenant, and one that is not there', async () => {
    const { agent } = await create({ key: 'ours', name: 'Ours' })
    const stranger: Identity = { user: 'root', role: 'ADMIN', tenant: 'globex' }
    for (const agentId of [agent.id, encodeId('Agent', newId())])
      expect(await update({ agentId, name: 'Theirs' }, stranger)).toMatchObject({ code: 'NOT_FOUND' })
    expect((await find({ id: agent.id }, stranger)).data).toEqual({ agent: null })
    expect((await find({ key: 'ours' }, stranger)).data).toEqual({ agent: null })
    expect((await find({ key: 'ours' })).data?.agent.name).toBe('Ours')
  })

  it('is a question for no agent, or for two', async () => {
    const both = { id: encodeId('Agent', newId()), key: 'primary' }
    for (const variables of [{}, both, { id: 'agent_x' }, { key: 'a\0b' }])
      expect((await find(variables)).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
  })
})
