import { beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { createLog, type Log } from '../../src/telemetry/log.ts'
import { type Identity, startTestApp } from '../support/app.ts'
import { createOllamaServer } from '../support/ollama-server.ts'
import { patience } from '../support/patience.ts'
import { createRecordingProvider, recordedModel } from '../support/recording-provider.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'

const admin: Identity = { user: 'root', role: 'ADMIN' }
const isInstalled = requireRedis()
let redis: TestRedis
beforeAll(async () => {
  if (isInstalled) redis = await startRedis()
})

async function startTwo() {
  const ollama = await createOllamaServer({ 'llama3:8b': {} })
  onTestFinished(() => ollama.close())
  const env = { REDIS_URL: redis.url, OLLAMA_BASE_URL: ollama.url }
  const one = await startTestApp({ env })
  const other = await startTestApp({ env, databaseUrl: one.databaseUrl })
  onTestFinished(async () => {
    await other.stop()
    await one.stop()
  })
  return { ollama, one, other }
}

it('a download through one node is told through another, down to its end', async () => {
  const { ollama, one, other } = await startTwo()
  await one.api(admin).change('pullModel', { model: 'ollama:new:1b' })
  const pull = await ollama.nextPull()
  const steps = other
    .socket(admin)
    .watch('subscription { modelProgress(model: "ollama:new:1b") { status detail completedBytes } }')
  expect(await steps.at(0)).toMatchObject({ status: 'RUNNING' })
  pull.tell({ status: 'pulling abc', total: 10, completed: 4 })
  await steps.until(({ completedBytes }) => completedBytes === 4)
  expect((await other.api().run('{ models { id } }')).models).not.toContainEqual({ id: 'ollama:new:1b' })
  pull.succeed()
  await steps.until(({ status }) => status === 'DONE')
  // Its list is asked anew, though the last answer is not old yet.
  await vi.waitFor(
    async () =>
      expect((await other.api().run('{ models { id } }')).models).toContainEqual({ id: 'ollama:new:1b' }),
    patience,
  )
})

it('a load through one node is shown by another', async () => {
  const { ollama, one, other } = await startTwo()
  const release = ollama.holdLoads()
  const query = '{ model(id: "ollama:llama3:8b") { status } }'
  expect((await other.api().run(query)).model).toEqual({ status: 'AVAILABLE' })
  await one.api(admin).change('loadModel', { model: 'ollama:llama3:8b' })
  await vi.waitFor(
    async () => expect((await other.api().run(query)).model).toEqual({ status: 'LOADING' }),
    patience,
  )
  release()
  await vi.waitFor(
    async () => expect((await other.api().run(query)).model).toEqual({ status: 'LOADED' }),
    patience,
  )
})

it('a model that one node takes from a tenant is refused by another', async () => {
  const { one, other } = await startTwo()
  const sessionId = await other.api().createSession()
  const send = () => other.api().sendMessage({ sessionId, content: 'Hi', wait: true })
  expect((await send()).run.status).toBe('COMPLETED')
  await one.api(admin).change('setModelDefaults', { model: 'demo:chat', isAllowed: false })
  await vi.waitFor(async () => expect(await send()).toMatchObject({ code: 'MODEL_UNAVAILABLE' }), patience)
})

it('news of a provider that a node does not know is no fault of it', async () => {
  const warnings: string[] = []
  const log: Log = Object.assign(Object.create(createLog({ level: 'silent' }, false)), {
    warn: (_fields: object, message: string) => warnings.push(message),
  })
  const store = { load: async () => {}, unload: async () => {}, async *pull() {} }
  const provider = { ...createRecordingProvider().provider, store }
  const env = { REDIS_URL: redis.url, REDIS_KEY_PREFIX: 'unknown:' }
  const one = await startTestApp({ env, providers: [provider] })
  const other = await startTestApp({ env, databaseUrl: one.databaseUrl, log })
  onTestFinished(async () => {
    await other.stop()
    await one.stop()
  })
  expect(await one.api(admin).mutate('loadModel', { model: recordedModel })).not.toHaveProperty('code')
  await one.api(admin).change('setModelDefaults', { model: 'demo:chat', isAllowed: false })
  const create = () => other.api().mutate('createSession', { model: 'demo:chat' }, '__typename')
  await vi.waitFor(async () => expect(await create()).toMatchObject({ code: 'MODEL_UNAVAILABLE' }), patience)
  expect(warnings).toEqual([])
})
