import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { ModelUnavailableError } from '../../src/lib/errors.ts'
import { type ModelInfo, type Provider, ProviderError } from '../../src/llm/provider.ts'
import { createModels } from '../../src/llm/registry.ts'
import { createOllamaServer } from '../support/ollama-server.ts'
import { patience } from '../support/patience.ts'

afterEach(() => {
  vi.useRealTimers()
})

/** Nobody listens on port 1, so that an Ollama of this machine does not join in. */
const configFrom = (env: Record<string, string> = {}) =>
  loadConfig({ OLLAMA_BASE_URL: 'http://127.0.0.1:1', ...env }).llm

/** A provider whose list is what the test says now, and that counts how often it was asked. */
function createSwitchable(name: string) {
  const state = { models: [{ name: 'one', capabilities: ['TEXT'] }] as ModelInfo[], isDown: false, asked: 0 }
  const provider: Provider = {
    name,
    async list() {
      state.asked += 1
      if (state.isDown) throw new ProviderError('connection', `${name} is down`, { isUnreached: true })
      return state.models
    },
    async *stream() {
      yield { type: 'end', finishReason: 'stop' }
    },
  }
  return { state, provider }
}

describe('resolve', () => {
  it('finds the provider by what stands before the first colon', () => {
    const models = createModels(configFrom())
    expect(models.defaultModel).toBe('demo:chat')
    expect(models.resolve('demo:chat')).toMatchObject({ provider: { name: 'demo' }, model: 'chat' })
    expect(models.resolve('ollama:llama3:8b')).toMatchObject({
      provider: { name: 'ollama' },
      model: 'llama3:8b',
    })
  })

  it.each(['openai:gpt-5-mini', 'chat', 'demo:', ':chat', ''])('refuses %j and says what is there', (id) => {
    const models = createModels(configFrom())
    expect(() => models.resolve(id)).toThrow(ModelUnavailableError)
    expect(() => models.resolve(id)).toThrow('Configured providers: demo, ollama.')
  })

  it('knows the providers that the settings switch on', () => {
    const models = createModels(
      configFrom({
        OPENAI_API_KEY: 'sk-one',
        ANTHROPIC_API_KEY: 'sk-two',
        COMPATIBLE_BASE_URL: 'http://127.0.0.1:1/v1',
      }),
    )
    for (const name of ['demo', 'openai', 'anthropic', 'ollama', 'compatible'])
      expect(models.resolve(`${name}:some-model`).provider.name).toBe(name)
    const keyless = createModels(configFrom({ OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' }))
    expect(keyless.resolve('openai:some-model').provider.name).toBe('openai')
  })

  it('puts a given provider in the place of the configured one', () => {
    const { provider } = createSwitchable('demo')
    expect(createModels(configFrom(), { providers: [provider] }).resolve('demo:chat').provider).toBe(provider)
  })
})

describe('list', () => {
  it('has the models of every provider under their ids', async () => {
    const server = await createOllamaServer({ 'llama3:8b': {} })
    onTestFinished(() => server.close())
    const { provider } = createSwitchable('recorded')
    const models = createModels(configFrom({ OLLAMA_BASE_URL: server.url }), {
      providers: [provider],
    })
    expect(await models.list()).toMatchObject([
      { id: 'demo:chat', provider: 'demo', name: 'chat', contextWindow: 128_000, status: 'AVAILABLE' },
      { id: 'ollama:llama3:8b', provider: 'ollama', name: 'llama3:8b', status: 'AVAILABLE' },
      { id: 'recorded:one', provider: 'recorded', name: 'one', status: 'AVAILABLE' },
    ])
  })

  it('tells what is in memory, anew once it may have changed', async () => {
    const { provider, state } = createSwitchable('recorded')
    const models = createModels(configFrom(), { providers: [provider] })
    const statusOf = async () => (await models.list()).find(({ id }) => id === 'recorded:one')?.status
    expect(await statusOf()).toBe('AVAILABLE')
    state.models = [{ name: 'one', capabilities: ['TEXT'], isLoaded: true }]
    expect(await statusOf()).toBe('AVAILABLE')
    models.forget('recorded')
    expect(await statusOf()).toBe('LOADED')
    expect(state.asked).toBe(2)
  })

  it('asks once in 30 seconds, however many ask it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { provider, state } = createSwitchable('recorded')
    const models = createModels(configFrom(), { providers: [provider] })
    await Promise.all([models.list(), models.list()])
    vi.setSystemTime(Date.now() + 29_000)
    await models.list()
    expect(state.asked).toBe(1)
    vi.setSystemTime(Date.now() + 2_000)
    state.models = [{ name: 'two', capabilities: ['TEXT'] }]
    expect((await models.list()).map(({ id }) => id)).toContain('recorded:two')
    expect(state.asked).toBe(2)
  })

  it('keeps what it knows of a provider that went away, and takes it back', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { provider, state } = createSwitchable('recorded')
    const log = { warn: vi.fn() }
    const models = createModels(configFrom(), { providers: [provider], log })
    const statusOf = async (id: string) => (await models.list()).find((model) => model.id === id)?.status
    expect(await statusOf('recorded:one')).toBe('AVAILABLE')

    state.isDown = true
    vi.setSystemTime(Date.now() + 31_000)
    expect(await statusOf('recorded:one')).toBe('UNAVAILABLE')
    expect(await statusOf('demo:chat')).toBe('AVAILABLE')
    vi.setSystemTime(Date.now() + 6_000)
    expect(await statusOf('recorded:one')).toBe('UNAVAILABLE')
    expect(log.warn).toHaveBeenCalledTimes(1)

    state.isDown = false
    expect(await statusOf('recorded:one')).toBe('UNAVAILABLE')
    vi.setSystemTime(Date.now() + 6_000)
    expect(await statusOf('recorded:one')).toBe('AVAILABLE')
  })

  it('lists the default model of a provider that was never reached', async () => {
    const env = { DEFAULT_MODEL: 'compatible:qwen', COMPATIBLE_BASE_URL: 'http://127.0.0.1:1/v1' }
    const log = { warn: vi.fn() }
    const models = createModels(configFrom(env), { log })
    expect((await models.list()).map(({ id, status }) => [id, status])).toEqual([
      ['demo:chat', 'AVAILABLE'],
      ['compatible:qwen', 'UNAVAILABLE'],
    ])
    expect(log.warn).toHaveBeenCalledWith(
      expect.objectContaining({ provider: 'compatible' }),
      'models cannot be listed',
    )
  })

  it('knows a provider for down while it was just found so, and looks again when it is wanted', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { provider, state } = createSwitchable('recorded')
    const models = createModels(configFrom(), { providers: [provider] })
    await models.list()
    state.isDown = true
    expect(models.isDown('recorded')).toBe(false)
    expect(state.asked).toBe(1)
    vi.setSystemTime(Date.now() + 31_000)
    expect(models.isDown('recorded')).toBe(false)
    await models.list()
    expect(models.isDown('recorded')).toBe(true)
    expect(models.isDown('demo')).toBe(false)
    // Twice, to be sure.
    expect(state.asked).toBe(3)

    vi.setSystemTime(Date.now() + 6_000)
    state.isDown = false
    expect(models.isDown('recorded')).toBe(true)
    await models.list()
    expect(state.asked).toBe(4)
    expect(models.isDown('recorded')).toBe(false)
  })

  it('takes no single failure for it: an idle connection may have ended', async () => {
    const { provider, state } = createSwitchable('recorded')
    state.isDown = true
    const models = createModels(configFrom(), { providers: [provider] })
    state.isDown = false
    expect((await models.list()).find(({ id }) => id === 'recorded:one')?.status).toBe('AVAILABLE')
    expect([state.asked, models.isDown('recorded')]).toEqual([2, false])
  })

  it('is looked at from the start, without being waited for', async () => {
    const { provider, state } = createSwitchable('recorded')
    state.models = [{ name: 'one', contextWindow: 600, capabilities: ['TEXT'] }]
    const away = createSwitchable('away')
    away.state.isDown = true
    const models = createModels(configFrom(), { providers: [provider, away.provider] })
    expect(models.contextWindow('recorded:one')).toBeNull()
    await vi.waitFor(() => expect(models.contextWindow('recorded:one')).toBe(600), patience)
    expect(models.isDown('away')).toBe(true)
  })

  it('learns a context window that changed, by being asked for it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { provider, state } = createSwitchable('recorded')
    const models = createModels(configFrom(), { providers: [provider] })
    await models.list()
    state.models = [{ name: 'one', contextWindow: 600, capabilities: ['TEXT'] }]
    vi.setSystemTime(Date.now() + 31_000)
    expect(models.contextWindow('recorded:one')).toBeNull()
    await vi.waitFor(() => expect(models.contextWindow('recorded:one')).toBe(600), patience)
  })

  it('takes a provider for down that a call did not reach, and looks whether it is', async () => {
    const { provider, state } = createSwitchable('recorded')
    const models = createModels(configFrom(), { providers: [provider] })
    await models.list()
    state.isDown = true
    models.foundDown('recorded')
    expect(models.isDown('recorded')).toBe(true)
    expect(state.asked).toBe(2)
    await models.list()
    expect(models.isDown('recorded')).toBe(true)
    state.isDown = false
    models.foundDown('recorded')
    await models.list()
    expect(models.isDown('recorded')).toBe(false)
  })

  it('lets a call try what nobody looked at for long, and does not take a refused list for a fault', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { provider, state } = createSwitchable('recorded')
    const models = createModels(configFrom(), { providers: [provider] })
    state.isDown = true
    await models.list()
    vi.setSystemTime(Date.now() + 16_000)
    expect(models.isDown('recorded')).toBe(false)
    const refusing: Provider = {
      ...provider,
      async list() {
        throw new ProviderError('connection', 'its answer cannot be read')
      },
    }
    const others = createModels(configFrom(), { providers: [refusing] })
    await others.list()
    expect(others.isDown('recorded')).toBe(false)
  })

  it('makes no noise about an Ollama that is not there', async () => {
    const log = { warn: vi.fn() }
    expect((await createModels(configFrom(), { log }).list()).map(({ id }) => id)).toEqual(['demo:chat'])
    expect(log.warn).not.toHaveBeenCalled()
  })
})
