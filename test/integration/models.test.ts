import { beforeAll, describe, expect, it } from 'vitest'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { createOllamaServer, type OllamaServer } from '../support/ollama-server.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'

const admin: Identity = { user: 'root', role: 'ADMIN' }
const fields = 'id provider name contextWindow capabilities status defaultParameters isAllowed'
const query = `query ($id: String!) { model(id: $id) { ${fields} } }`

let app: TestApp
let ollama: OllamaServer
const store = { load: async () => {}, unload: async () => {} }
beforeAll(async () => {
  ollama = await createOllamaServer({
    'llama3:8b': { capabilities: ['completion', 'tools'] },
    'spare:1b': {},
  })
  const env = { OLLAMA_BASE_URL: ollama.url }
  app = await startTestApp({ env, providers: [{ ...createRecordingProvider().provider, store }] })
  return () => ollama.close()
})

const find = async (id: string, identity: Identity = {}) => (await app.api(identity).run(query, { id })).model
const act = (name: string, model: string, identity = admin) =>
  app
    .api(identity)
    .mutate(name, { model }, name === 'pullModel' ? 'progress { status }' : `model { ${fields} }`)
const watch = (model: string, at = app, identity = admin) =>
  at.socket(identity).watch(
    `subscription ($model: String!) { modelProgress(model: $model) {
        model action status detail completedBytes totalBytes } }`,
    { model },
  )

describe('a model', () => {
  it('is found by its id, with what Ollama tells of it', async () => {
    expect(await find('ollama:llama3:8b')).toEqual({
      id: 'ollama:llama3:8b',
      provider: 'ollama',
      name: 'llama3:8b',
      contextWindow: 4_096,
      capabilities: ['TEXT', 'TOOLS'],
      status: 'AVAILABLE',
      defaultParameters: {},
      isAllowed: true,
    })
    expect(await find('ollama:none')).toBeNull()
    expect(await find('nobody:none')).toBeNull()
    const { errors } = await app.api().send(query, { id: 'gpt' })
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('is not a model id'),
      extensions: { code: 'BAD_USER_INPUT' },
    })
  })

  it('is loaded, shown as loading meanwhile, and unloaded', async () => {
    const release = ollama.holdLoads()
    expect((await act('loadModel', 'ollama:llama3:8b')).model.status).toBe('LOADING')
    const steps = watch('ollama:llama3:8b')
    expect(await steps.at(0)).toMatchObject({ action: 'LOAD', status: 'RUNNING' })
    expect((await find('ollama:llama3:8b')).status).toBe('LOADING')
    release()
    await steps.until(({ status }) => status === 'DONE')
    expect(await find('ollama:llama3:8b')).toMatchObject({ status: 'LOADED', contextWindow: 8_192 })
    expect((await act('unloadModel', 'ollama:llama3:8b')).model.status).toBe('AVAILABLE')
    expect(ollama.bodies.map(({ keep_alive }) => keep_alive)).toEqual([-1, 0])
  })

  it('is fetched once, however many ask for it, and answers when it is there', async () => {
    expect((await act('pullModel', 'ollama:new:1b')).progress).toEqual({ status: 'RUNNING' })
    const pull = await ollama.nextPull()
    const steps = watch('ollama:new:1b')
    expect(await steps.at(0)).toMatchObject({ model: 'ollama:new:1b', action: 'PULL', status: 'RUNNING' })
    expect((await act('pullModel', 'ollama:new:1b')).progress).toEqual({ status: 'RUNNING' })
    pull.tell({ status: 'pulling abc', digest: 'sha256:abc', total: 5_000_000_000, completed: 2_500_000_000 })
    expect(await steps.until(({ detail }) => detail === 'pulling abc')).toMatchObject({
      completedBytes: 2_500_000_000,
      totalBytes: 5_000_000_000,
    })
    pull.succeed()
    await steps.until(({ status }) => status === 'DONE')
    expect(await find('ollama:new:1b')).toMatchObject({ status: 'AVAILABLE' })
    expect(ollama.requests.filter((each) => each.startsWith('POST /api/pull'))).toHaveLength(1)
    const api = app.api()
    const sessionId = await api.createSession({ model: 'ollama:new:1b' })
    const sent = await api.sendMessage({ sessionId, content: 'How cold is it?', wait: true })
    expect(sent.assistantMessage).toMatchObject({ status: 'COMPLETE', content: 'It is cold.' })
  })

  it('that cannot be fetched or loaded fails in the words of its provider', async () => {
    await act('pullModel', 'ollama:wrong')
    const steps = watch('ollama:wrong')
    await steps.at(0)
    ;(await ollama.nextPull()).tell({ error: 'pull model manifest: file does not exist' })
    expect(await steps.until(({ status }) => status === 'FAILED')).toMatchObject({
      detail: 'ollama cannot fetch "wrong": pull model manifest: file does not exist',
    })
    expect(await act('loadModel', 'ollama:wrong')).toEqual({
      code: 'MODEL_UNAVAILABLE',
      message: 'There is no model "ollama:wrong" here; pullModel fetches models.',
    })
  })

  it('that is not in a folder of models is put there by hand', async () => {
    const { message } = await act('loadModel', 'recorded:none')
    expect(message).toBe(
      'There is no model "recorded:none" here; files are put into its provider\'s folder by hand.',
    )
  })

  it('of a provider that keeps its models elsewhere cannot be moved', async () => {
    for (const name of ['loadModel', 'unloadModel', 'pullModel'])
      expect(await act(name, 'demo:chat')).toMatchObject({
        code: 'MODEL_UNAVAILABLE',
        message: expect.stringContaining('"demo" are not kept by this installation'),
      })
    expect(await act('loadModel', 'nobody:none')).toMatchObject({ code: 'MODEL_UNAVAILABLE' })
    expect(await act('loadModel', 'none')).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('model: is not a model id'),
    })
  })

  it('is moved by admins only, and not at all where the operator keeps the models', async () => {
    for (const name of ['loadModel', 'unloadModel', 'pullModel', 'setModelDefaults'])
      expect(await act(name, 'ollama:spare:1b', { user: 'alice' }), name).toMatchObject({ code: 'FORBIDDEN' })
    const refused = watch('ollama:spare:1b', app, { user: 'alice' })
    await refused.ended
    expect(refused.failure).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
    const kept = await startTestApp({ env: { OLLAMA_BASE_URL: ollama.url, MODEL_MANAGEMENT: 'false' } })
    for (const name of ['loadModel', 'unloadModel', 'pullModel'])
      expect(await kept.api(admin).mutate(name, { model: 'ollama:spare:1b' }, '__typename')).toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringContaining('MODEL_MANAGEMENT'),
      })
    await kept.stop()
  })
})

describe('settings of a tenant', () => {
  const set = (input: object, identity: Identity = { ...admin, tenant: 'acme' }) =>
    app.api(identity).mutate('setModelDefaults', { ...input }, `model { ${fields} }`)
  const user: Identity = { tenant: 'acme' }

  it('are the defaults of a model, under those of agent, session and send', async () => {
    const recording = createRecordingProvider()
    const own = await startTestApp({ providers: [recording.provider], env: { DEFAULT_MODEL: model } })
    const boss = own.api(admin)
    const parameters = { temperature: 0.1, topP: 0.2, topK: 3, seed: 4 }
    const made = await boss.mutate('setModelDefaults', { model, parameters }, 'model { defaultParameters }')
    expect(made.model).toEqual({ defaultParameters: parameters })
    await boss.change('createAgent', {
      key: 'deep',
      name: 'Deep',
      parameters: { topP: 0.9, topK: 9, seed: 9 },
    })
    const api = own.api()
    const sessionId = await api.createSession({ agent: 'deep', parameters: { topK: 99, seed: 99 } })
    const sending = api.sendMessage({ sessionId, content: 'Hi', parameters: { seed: 999 }, wait: true })
    const call = await recording.call(0)
    call.tell(say('Hi'), end)
    await sending
    expect(call.request.parameters).toEqual({ temperature: 0.1, topP: 0.9, topK: 99, seed: 999 })
    await own.stop()
  })

  it('keep what is left out, and clear by null', async () => {
    const model = 'ollama:spare:1b'
    expect((await set({ model, parameters: { temperature: 1 } })).model.defaultParameters).toEqual({
      temperature: 1,
    })
    expect((await set({ model, isAllowed: true })).model.defaultParameters).toEqual({ temperature: 1 })
    expect((await set({ model, parameters: null })).model.defaultParameters).toEqual({})
  })

  it('take a model from the tenant, and from it alone', async () => {
    const model = 'ollama:spare:1b'
    const api = app.api(user)
    const before = await api.createSession({ model })
    expect((await set({ model, isAllowed: false })).model.isAllowed).toBe(false)
    expect(await find(model, user)).toBeNull()
    expect(JSON.stringify(await api.run('{ models { id } }'))).not.toContain(model)
    expect(await find(model, { ...admin, tenant: 'acme' })).toMatchObject({ isAllowed: false })

    const refused = {
      code: 'MODEL_UNAVAILABLE',
      message: `The model "${model}" is not allowed in this tenant.`,
    }
    expect(await api.mutate('createSession', { model })).toEqual(refused)
    expect(await api.sendMessage({ sessionId: before, content: 'Hi' })).toEqual(refused)
    expect(await api.sendMessage({ sessionId: await api.createSession(), content: 'Hi', model })).toEqual(
      refused,
    )
    expect(await api.mutate('updateSession', { sessionId: await api.createSession(), model })).toEqual(
      refused,
    )
    expect(await api.mutate('createTemplate', { name: 'With it', model })).toEqual(refused)
    const boss = app.api({ ...admin, tenant: 'acme' })
    expect(await boss.mutate('createAgent', { key: 'with-it', name: 'With it', model })).toEqual(refused)

    expect(await find(model)).toMatchObject({ isAllowed: true })
    expect(await app.api().createSession({ model })).toMatch(/^session_/)
    await set({ model, isAllowed: true })
    const { run } = await api.sendMessage({ sessionId: before, content: 'Hi', wait: true })
    expect(run.status).toBe('COMPLETED')
  })
})
