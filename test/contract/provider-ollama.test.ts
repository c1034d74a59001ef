import { describe, expect, it, onTestFinished } from 'vitest'
import type { ModelStore, PullProgress } from '../../src/llm/provider.ts'
import { createOllamaProvider } from '../../src/llm/vendors.ts'
import { createOllamaServer, type OllamaModel } from '../support/ollama-server.ts'
import { collect, neverAborted, requestFor, textOf } from './provider.suite.ts'

async function setUp(models: Record<string, OllamaModel> = {}) {
  const server = await createOllamaServer(models)
  onTestFinished(() => server.close())
  const provider = createOllamaProvider({ baseUrl: `${server.url}/` })
  return { server, provider, store: provider.store as Required<ModelStore> }
}

describe('an Ollama', () => {
  it('tells its models with what each can do, and which are in memory', async () => {
    const { provider, store } = await setUp({
      'llama3:8b': { capabilities: ['completion', 'tools'] },
      'llava:7b': { capabilities: ['completion', 'vision'], contextLength: 4_096 },
      'small:1b': { parameters: 'stop    "<|end|>"\nnum_ctx    2048', contextLength: 32_768 },
      'nomic-embed-text:latest': { capabilities: ['embedding'], contextLength: 2_048 },
      'wide:70b': { contextLength: 131_072 },
    })
    await store.load('llama3:8b', neverAborted())
    expect(await provider.list()).toEqual([
      { name: 'llama3:8b', capabilities: ['TEXT', 'TOOLS'], contextWindow: 8_192, isLoaded: true },
      { name: 'llava:7b', capabilities: ['TEXT', 'VISION'], contextWindow: 4_096, isLoaded: false },
      { name: 'small:1b', capabilities: ['TEXT'], contextWindow: 2_048, isLoaded: false },
      {
        name: 'nomic-embed-text:latest',
        capabilities: ['EMBEDDINGS'],
        contextWindow: 2_048,
        isLoaded: false,
      },
      // Ollama gives it no more by itself, as far as is known before it is loaded.
      { name: 'wide:70b', capabilities: ['TEXT'], contextWindow: 4_096, isLoaded: false },
    ])
  })

  it('is asked for what is in a file once', async () => {
    const { server, provider } = await setUp({ 'llama3:8b': {} })
    await provider.list()
    server.add('gone:1b')
    await provider.list()
    await provider.list()
    expect(server.requests.filter((each) => each.startsWith('POST'))).toEqual([
      'POST /api/show llama3:8b',
      'POST /api/show gone:1b',
    ])
  })

  it('loads a model to stay, and lets go of it', async () => {
    const { server, provider, store } = await setUp({ 'llama3:8b': {} })
    await store.load('llama3:8b', neverAborted())
    expect((await provider.list())[0]?.isLoaded).toBe(true)
    await store.unload('llama3:8b', neverAborted())
    expect((await provider.list())[0]?.isLoaded).toBe(false)
    expect(server.bodies).toEqual([
      { model: 'llama3:8b', keep_alive: -1, stream: false },
      { model: 'llama3:8b', keep_alive: 0, stream: false },
    ])
  })

  it('loads a model with the context that its operator wants, and no more than there is', async () => {
    const server = await createOllamaServer({ 'llama3:8b': {}, 'small:1b': { contextLength: 2_048 } })
    onTestFinished(() => server.close())
    const provider = createOllamaProvider({ baseUrl: server.url, contextTokens: 16_384 })
    expect(await provider.list()).toMatchObject([{ contextWindow: 16_384 }, { contextWindow: 2_048 }])
    await provider.store?.load('llama3:8b', neverAborted())
    expect(server.bodies).toMatchObject([{ options: { num_ctx: 16_384 } }])
  })

  it('refuses to load what it does not have, in its own words', async () => {
    const { store } = await setUp()
    await expect(store.load('none', neverAborted())).rejects.toMatchObject({
      kind: 'invalid',
      message: "ollama refused the request (HTTP 404): model 'none' not found",
    })
  })

  it('gives up a load when the signal aborts', async () => {
    const { server, store } = await setUp({ 'llama3:8b': {} })
    onTestFinished(server.holdLoads())
    const stopping = new AbortController()
    const loading = store.load('llama3:8b', stopping.signal)
    stopping.abort(new Error('enough'))
    await expect(loading).rejects.toThrow('enough')
  })

  it('tells how far a download is, and ends when it is there', async () => {
    const { server, provider, store } = await setUp()
    const told = gather(store.pull('llama3:8b', neverAborted()))
    const pull = await server.nextPull()
    pull.tell({ status: 'pulling abc', digest: 'sha256:abc', total: 5_000_000_000, completed: 2_500_000_000 })
    pull.tell({ status: 'verifying sha256 digest' })
    pull.succeed()
    expect(await told).toEqual([
      { detail: 'pulling manifest' },
      { detail: 'pulling abc', totalBytes: 5_000_000_000, completedBytes: 2_500_000_000 },
      { detail: 'verifying sha256 digest' },
      { detail: 'success' },
    ])
    expect((await provider.list())[0]?.name).toBe('llama3:8b')
  })

  it('tells a download that fails from one that is broken off', async () => {
    const { server, store } = await setUp()
    const failing = gather(store.pull('none', neverAborted()))
    const failed = expect(failing).rejects.toMatchObject({
      kind: 'invalid',
      message: 'ollama cannot fetch "none": pull model manifest: file does not exist',
    })
    ;(await server.nextPull()).tell({ error: 'pull model manifest: file does not exist' })
    await failed
    const breaking = gather(store.pull('half', neverAborted()))
    const broken = expect(breaking).rejects.toMatchObject({ kind: 'connection' })
    ;(await server.nextPull()).cut()
    await broken
  })

  it('stops a download at the server when the signal aborts', async () => {
    const { server, store } = await setUp()
    const stopping = new AbortController()
    const told = gather(store.pull('llama3:8b', stopping.signal))
    const stopped = expect(told).rejects.toThrow('enough')
    const { isAborted } = await server.nextPull()
    stopping.abort(new Error('enough'))
    await stopped
    expect(await isAborted).toBe(true)
  })

  it('answers', async () => {
    const { provider } = await setUp({ 'llama3:8b': {} })
    expect(textOf(await collect(provider.stream(requestFor('llama3:8b')('Cold?'), neverAborted())))).toBe(
      'It is cold.',
    )
  })

  it('is out of reach where nobody listens', async () => {
    const { server, provider, store } = await setUp()
    await server.close()
    await expect(provider.list()).rejects.toMatchObject({ kind: 'connection' })
    await expect(store.load('llama3:8b', neverAborted())).rejects.toMatchObject({ kind: 'connection' })
    await expect(gather(store.pull('llama3:8b', neverAborted()))).rejects.toMatchObject({
      kind: 'connection',
    })
  })
})

async function gather(progress: AsyncIterable<PullProgress>): Promise<PullProgress[]> {
  const all: PullProgress[] = []
  for await (const each of progress) all.push(each)
  return all
}
