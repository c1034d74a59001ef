import { beforeAll, describe, expect, it } from 'vitest'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'

const admin: Identity = { user: 'root', role: 'ADMIN' }
const user: Identity = { tenant: 'acme' }

let app: TestApp
const seedless = createRecordingProvider()
const picky = createRecordingProvider()
beforeAll(async () => {
  // Providers of which nothing but their settings is asked.
  const nowhere = 'http://127.0.0.1:9'
  const env = { ANTHROPIC_BASE_URL: nowhere, OPENAI_BASE_URL: nowhere }
  const limits = { lacks: ['seed'], temperatureMax: 1 } as const
  const pickyLimits = { takesEitherSampling: true, maxOutputTokens: 100, maxStops: 1 }
  const providers = [
    { ...seedless.provider, limits },
    { ...picky.provider, name: 'picky', limits: pickyLimits },
  ]
  app = await startTestApp({ env, providers })
})

const set = (input: object, fields = 'defaultParameters') =>
  app.api({ ...admin, tenant: 'acme' }).mutate('setModelDefaults', { ...input }, `model { ${fields} }`)

describe('parameters', () => {
  it('are told by their names, as far as a model is known', async () => {
    const taken = async (model: string) =>
      (await set({ model, isAllowed: true }, 'contextWindow maxOutputTokens parameters')).model
    expect(await taken('demo:chat')).toEqual({
      contextWindow: 128_000,
      maxOutputTokens: null,
      parameters: ['temperature', 'topP', 'topK', 'maxOutputTokens', 'stop', 'seed'],
    })
    expect(await taken('openai:gpt-5-mini')).toEqual({
      contextWindow: 272_000,
      maxOutputTokens: 128_000,
      parameters: ['maxOutputTokens', 'seed'],
    })
  })

  it('are checked by what a model takes', async () => {
    expect(await set({ model: 'demo:chat', parameters: { temperature: 3 } })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'parameters.temperature: is above 2',
    })
    expect(await set({ model: 'demo:chat', parameters: { maxOutputTokens: 128_001 } })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'parameters.maxOutputTokens: is above 128000, the context window of "demo:chat"',
    })
    expect(await set({ model: 'demo:chat', parameters: { tone: 1 } })).toMatchObject({
      code: 'BAD_USER_INPUT',
    })
    expect(await set({ model: 'nobody:none', isAllowed: false })).toMatchObject({ code: 'MODEL_UNAVAILABLE' })
    const claude = 'anthropic:claude-haiku-4-5'
    expect(await set({ model: claude, parameters: { temperature: 1.5, seed: 1 } })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: `parameters.temperature: is above 1, the most that "${claude}" takes; parameters.seed: is not taken by "${claude}"; leave it out`,
    })
    const refused = {
      code: 'BAD_USER_INPUT',
      message: `parameters.seed: is not taken by "${model}"; leave it out`,
    }
    const parameters = { seed: 4 }
    expect(await set({ model, parameters })).toMatchObject(refused)
    const api = app.api(user)
    expect(await api.mutate('createSession', { model, parameters })).toMatchObject(refused)
    const sessionId = await api.createSession({ model: 'demo:chat', parameters })
    expect(await api.sendMessage({ sessionId, content: 'Hi', model, parameters })).toMatchObject(refused)
    const sending = api.sendMessage({ sessionId, content: 'Hi', model, parameters: { topK: 5 }, wait: true })
    const call = await seedless.call(0)
    call.tell(say('Hi'), end)
    await sending
    expect(call.request.parameters).toEqual({ topK: 5 })
    // What was set for another model and is too much for this one is left to this one's default.
    const hot = await api.createSession({ model: 'demo:chat', parameters: { temperature: 1.5 } })
    const asking = api.sendMessage({ sessionId: hot, content: 'Hi', model, wait: true })
    const next = await seedless.call(1)
    next.tell(say('Hi'), end)
    await asking
    expect(next.request.parameters).toEqual({})
  })

  it('are checked by what is known of a model, wherever they are given', async () => {
    const [api, boss] = [app.api(user), app.api({ ...admin, tenant: 'acme' })]
    const sessionId = await api.createSession()
    const cases = [
      [
        'openai:gpt-5-mini',
        { temperature: 0.5, topP: 0.9, stop: ['END'], seed: 1, maxOutputTokens: 128_001 },
        [
          'parameters.temperature: is not taken by "openai:gpt-5-mini"; leave it out',
          'parameters.topP: is not taken by "openai:gpt-5-mini"; leave it out',
          'parameters.maxOutputTokens: is above 128000, the most that "openai:gpt-5-mini" writes',
          'parameters.stop: is not taken by "openai:gpt-5-mini"; leave it out',
        ],
      ],
      [
        'openai:gpt-4o-2024-11-20',
        { temperature: 0.5, topP: 0.9, stop: ['1', '2', '3', '4', '5'], maxOutputTokens: 16_385 },
        [
          'parameters.maxOutputTokens: is above 16384, the most that "openai:gpt-4o-2024-11-20" writes',
          'parameters.stop: has 5 entries; "openai:gpt-4o-2024-11-20" takes 4',
        ],
      ],
      [
        'anthropic:claude-haiku-4-5',
        { temperature: 0.5, topP: 0.9, topK: 5, maxOutputTokens: 64_000 },
        [
          'parameters.topP: is not taken by "anthropic:claude-haiku-4-5" beside temperature; leave one of them out',
        ],
      ],
    ] as const
    for (const [model, parameters, faults] of cases) {
      const refused = { code: 'BAD_USER_INPUT', message: faults.join('; ') }
      const asked = { model, parameters }
      const messages = [{ role: 'USER', content: 'Hi' }]
      expect(await set(asked)).toMatchObject(refused)
      expect(await api.mutate('createSession', asked)).toMatchObject(refused)
      expect(await api.mutate('updateSession', { sessionId, ...asked })).toMatchObject(refused)
      expect(await api.mutate('createTemplate', { name: 'Much', ...asked })).toMatchObject(refused)
      expect(await boss.mutate('createAgent', { key: 'much', name: 'Much', ...asked })).toMatchObject(refused)
      expect(await api.sendMessage({ sessionId, content: 'Hi', ...asked })).toMatchObject(refused)
      expect(await api.mutate('complete', { messages, ...asked })).toMatchObject(refused)
    }
    // Of a model that nobody knows nothing is refused.
    const parameters = {
      temperature: 2,
      topP: 1,
      stop: ['1', '2', '3', '4', '5'],
      maxOutputTokens: 1_000_000,
    }
    expect((await set({ model: 'openai:own', parameters })).model.defaultParameters).toEqual(parameters)
  })

  it('leave a model what it takes of those that were set for others', async () => {
    await app
      .api({ ...admin, tenant: 'acme' })
      .mutate('createAgent', { key: 'warm', name: 'Warm', parameters: { temperature: 1, stop: ['1', '2'] } })
    const api = app.api(user)
    const parameters = { topP: 0.5, maxOutputTokens: 101 }
    const sessionId = await api.createSession({ agent: 'warm', parameters })
    const sending = api.sendMessage({ sessionId, content: 'Hi', model: 'picky:model', wait: true })
    const call = await picky.call(0)
    call.tell(say('Hi'), end)
    await sending
    // Of the two that it takes one of, the session's word goes over its agent's.
    expect(call.request.parameters).toEqual({ topP: 0.5 })
  })

  it('go for the model that is there already where parameters come alone', async () => {
    const [api, boss] = [app.api(user), app.api({ ...admin, tenant: 'acme' })]
    const refused = {
      code: 'BAD_USER_INPUT',
      message: `parameters.seed: is not taken by "${model}"; leave it out`,
    }
    const parameters = { seed: 4 }
    const key = 'seedless'
    const { agent } = await boss.mutate('createAgent', { key, name: key, model }, 'agent { id }')
    expect(await boss.mutate('updateAgent', { agentId: agent.id, parameters })).toEqual(refused)
    const given = { name: key, model }
    const { template } = await boss.mutate('createTemplate', given, 'template { id }')
    expect(await boss.mutate('updateTemplate', { templateId: template.id, parameters })).toEqual(refused)

    expect(await api.mutate('createSession', { agent: key, parameters })).toEqual(refused)
    const update = (input: object) => api.mutate('updateSession', { parameters, ...input }, '__typename')
    const [own, agents, neither] = [
      await api.createSession({ model }),
      await api.createSession({ agent: key }),
      await api.createSession(),
    ]
    expect(await update({ sessionId: own })).toEqual(refused)
    expect(await update({ sessionId: agents })).toEqual(refused)
    expect(await update({ sessionId: neither, agent: key })).toEqual(refused)
    // Nobody chose one: it is that of the server.
    expect(await update({ sessionId: neither, parameters: { maxOutputTokens: 128_001 } })).toEqual({
      code: 'BAD_USER_INPUT',
      message: 'parameters.maxOutputTokens: is above 128000, the context window of "demo:chat"',
    })
    for (const input of [
      { sessionId: neither },
      { sessionId: own, model: null },
      { sessionId: agents, agent: null },
    ])
      expect(await update(input)).not.toHaveProperty('code')
  })
})
