import { getEventListeners, once } from 'node:events'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createLocalProvider } from '../../src/llm/local.ts'
import { loadInstalled } from '../../src/llm/local-engine.ts'
import type { ModelPart, Provider } from '../../src/llm/provider.ts'
import { startTestApp } from '../support/app.ts'
import { loadForTests, requireLocalModels } from '../support/local-models.ts'
import { writeTinyModel } from '../support/tiny-gguf.ts'
import { collect, errorOf, neverAborted, requestFor, textOf } from './provider.suite.ts'

requireLocalModels()

// Several threads wait for each other in a loop, which a busy machine makes slow.
const settings = { contextTokens: 256, parallel: 1, threads: 1 }
const emoji = [0xf0, 0x9f, 0x98, 0x80]

let directory = ''
let provider: Provider
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'parley-models-'))
  const path = (name: string) => join(directory, `${name}.gguf`)
  await writeTinyModel(path('cold'), { says: ['It', ' is', ' cold', ...emoji, '!', '\n\nü'] })
  await writeTinyModel(path('endless'), {
    says: ['on', ' and', ' ...'],
    isEndless: true,
    contextLength: 4_096,
  })
  await copyFile(path('cold'), path('part-00001-of-00002'))
  await copyFile(path('cold'), path('part-00002-of-00002'))
  await writeFile(path('broken'), 'GGUF, but no model')
  await writeFile(join(directory, 'notes.txt'), 'no model')
  provider = createLocalProvider({ directory, ...settings }, loadForTests)
})
afterAll(async () => {
  await provider.close?.()
  await rm(directory, { recursive: true })
})

const ask = (model: string, signal = neverAborted(), question = 'How is it?') =>
  provider.stream(requestFor(model)(question), signal)

describe('local models', () => {
  it('are the files of a folder, with the room that they and the operator give', async () => {
    const model = { capabilities: ['TEXT'], isLoaded: false }
    expect(await provider.list()).toEqual([
      { name: 'broken', ...model },
      { name: 'cold', ...model, contextWindow: 256 },
      { name: 'endless', ...model, contextWindow: 256 },
      { name: 'part-00001-of-00002', ...model, contextWindow: 256 },
    ])
  })

  it('say a reply whole, in order, with its usage and one end', async () => {
    const parts = await collect(ask('cold'))
    expect(parts.map(({ type }) => type).join(' ')).toMatch(/^start( text-delta)+ usage end$/)
    expect(textOf(parts)).toBe('It is cold😀!\n\nü')
    for (const part of parts) if (part.type === 'text-delta') expect(part.text).not.toContain('\ufffd')
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
    const usage = parts.find((part) => part.type === 'usage')?.usage
    expect(usage?.outputTokens).toBe(10)
    expect(usage?.inputTokens).toBeGreaterThan(10)
    // What the place knows of before is not read again.
    const again = (await collect(ask('cold'))).find((part) => part.type === 'usage')?.usage
    expect(again).toMatchObject({ inputTokens: usage?.inputTokens, outputTokens: usage?.outputTokens })
    expect(again?.cachedInputTokens).toBeGreaterThan(usage?.cachedInputTokens ?? 0)
  })

  it('take the parameters, and say when the limit ended a reply', async () => {
    const parameters = { maxOutputTokens: 3, temperature: 0.1, topP: 0.9, topK: 4, seed: 7 }
    const limited = await collect(
      provider.stream({ ...requestFor('cold')('How is it?'), parameters }, neverAborted()),
    )
    expect(textOf(limited)).toBe('It is cold')
    expect(limited.at(-1)).toEqual({ type: 'end', finishReason: 'length' })
    const stopped = await collect(
      provider.stream(
        { ...requestFor('cold')('How is it?'), parameters: { stop: [' cold'] } },
        neverAborted(),
      ),
    )
    expect(textOf(stopped)).toBe('It is')
    expect(stopped.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
  })

  it('end with their room, instead of forgetting the beginning', async () => {
    expect((await collect(ask('endless'))).at(-1)).toEqual({ type: 'end', finishReason: 'length' })
    const long = await collect(ask('endless', neverAborted(), 'x'.repeat(500)))
    expect(errorOf(long)).toMatchObject({
      kind: 'invalid',
      message: expect.stringMatching(/^The conversation has 5\d\d tokens; "endless" has room for 256\.$/),
    })
  })

  it('stop when they are told to, and give their place to the next', async () => {
    const stopping = new AbortController()
    const parts: ModelPart[] = []
    for await (const part of ask('endless', stopping.signal)) {
      parts.push(part)
      if (textOf(parts).length > 4) stopping.abort()
    }
    expect(textOf(parts)).toMatch(/^on and/)
    expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
    expect(await collect(ask('endless', AbortSignal.abort()))).toEqual([
      { type: 'end', finishReason: 'cancelled' },
    ])
    expect(textOf(await collect(ask('endless')))).toMatch(/^on and/)
  })

  it('are looked for in their folder alone', async () => {
    for (const name of ['none', '../cold', 'part-00002-of-00002'])
      expect(errorOf(await collect(ask(name)))).toMatchObject({
        kind: 'invalid',
        message: `There is no model "${name}" in the folder of local models.`,
      })
    expect(errorOf(await collect(ask('broken')))).toMatchObject({
      kind: 'invalid',
      message: '"broken" is not a model that can be loaded.',
    })
    const elsewhere = createLocalProvider({ directory: join(directory, 'none'), ...settings }, loadForTests)
    await expect(elsewhere.list()).rejects.toMatchObject({
      isUnreached: true,
      message: 'The folder LOCAL_MODELS_DIR cannot be read (ENOENT).',
    })
  })

  it('are brought into memory, and leave it when their reply is done', async () => {
    const isLoaded = async () => (await provider.list()).find(({ name }) => name === 'cold')?.isLoaded
    await provider.store?.load('cold', neverAborted())
    expect(await isLoaded()).toBe(true)
    const parts: ModelPart[] = []
    let unloaded: Promise<void> | undefined
    for await (const part of ask('cold')) {
      parts.push(part)
      unloaded ??= provider.store?.unload('cold', neverAborted())
    }
    await unloaded
    expect(textOf(parts)).toBe('It is cold😀!\n\nü')
    expect(await isLoaded()).toBe(false)
  })

  it('leave nothing on a signal that outlives their loads', async () => {
    const stopping = new AbortController().signal
    await provider.store?.load('cold', stopping)
    await provider.store?.unload('cold', stopping)
    await expect.poll(() => getEventListeners(stopping, 'abort')).toEqual([])
  })

  it('are not available without the package that runs them', async () => {
    const lines = new PassThrough({ encoding: 'utf8' })
    const bare = createLocalProvider({ directory, ...settings }, () =>
      loadInstalled('node-llama-cpp-missing'),
    )
    const app = await startTestApp({
      providers: [bare],
      env: { DEFAULT_MODEL: 'local:cold' },
      log: pino({ level: 'warn' }, lines),
    })
    onTestFinished(() => app.stop())
    // The operator is told at the start.
    expect(JSON.parse(String(await once(lines, 'data'))).err.message).toContain(
      'Local models need the package node-llama-cpp, which is not installed: npm install node-llama-cpp@3.22.1',
    )
    const sessionId = await app.api().createSession()
    expect(await app.api().sendMessage({ sessionId, content: 'How is it?' })).toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: '"local" cannot be reached now, so "local:cold" is not available.',
    })
  })

  it('answer in a session, and are loaded by admins', async () => {
    const own = createLocalProvider({ directory, ...settings }, loadForTests)
    const app = await startTestApp({ providers: [own] })
    onTestFinished(() => app.stop())
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    const model = 'local:cold'
    expect(await admin.mutate('pullModel', { model })).toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: 'The models of "local" are put into its folder by hand; none can be fetched.',
    })
    const sessionId = await app.api().createSession({ model })
    const sent = await app.api().sendMessage({ sessionId, content: 'How is it?', wait: true })
    expect(sent).toMatchObject({
      assistantMessage: { content: 'It is cold😀!\n\nü', status: 'COMPLETE', finishReason: 'STOP' },
      run: { status: 'COMPLETED', usage: { outputTokens: 10 } },
    })
    const status = 'model { status pricing { input } }'
    expect(await admin.mutate('unloadModel', { model }, status)).toEqual({
      model: { status: 'AVAILABLE', pricing: { input: '0' } },
    })
  })
})
