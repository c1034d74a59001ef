import { expect, it, onTestFinished, vi } from 'vitest'
import type { Provider } from '../../src/llm/provider.ts'
import { type Identity, startTestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { startFreshPostgres } from '../support/postgres.ts'
import { requireRedis, startRedis } from '../support/redis.ts'

const isRedisInstalled = requireRedis()
const admin: Identity = { user: 'root', role: 'ADMIN' }
const fields = `status version startedAt now
  node { cpu { cores load } loadAverage memory { totalBytes usedBytes availableBytes } disk { totalBytes } gpus { name } }
  database { isReachable latencyMs pool { max open inUse waiting } }
  broker { kind isReachable } models { total available loaded unavailable }
  connections subscriptions activeRuns queuedRuns`

async function start(options: Parameters<typeof startTestApp>[0] = {}) {
  const app = await startTestApp(options)
  onTestFinished(() => app.stop())
  const read = async (identity = admin) =>
    (await app.api(identity).run(`{ systemStatus { ${fields} } }`)).systemStatus
  return { app, read }
}

it('tells how a server does, with what is open on it', async () => {
  const { app, read } = await start()
  const status = await read()
  expect(status).toMatchObject({
    status: 'OK',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    database: { isReachable: true, latencyMs: expect.any(Number), pool: { max: 10, waiting: 0 } },
    broker: { kind: 'MEMORY', isReachable: true },
    models: { total: 1, available: 1, loaded: 0, unavailable: 0 },
    connections: 0,
    subscriptions: 0,
    activeRuns: 0,
    queuedRuns: 0,
  })
  expect(Date.parse(status.startedAt)).toBeLessThanOrEqual(Date.parse(status.now))
  expect(status.node.memory.totalBytes).toBeGreaterThan(1_048_576)
  const watch = app.socket(admin).watch('subscription { systemStatusChanged { connections subscriptions } }')
  expect(await watch.at(0)).toEqual({ connections: 1, subscriptions: 1 })
  expect(await read()).toMatchObject({ connections: 1, subscriptions: 1 })
  watch.stop()
  await vi.waitFor(async () => expect(await read()).toMatchObject({ subscriptions: 0 }), patience)
})

it('counts the models of the others while a provider does not answer', async () => {
  const silent: Provider = {
    name: 'silent',
    list: () => new Promise(() => {}),
    async *stream() {
      yield { type: 'end', finishReason: 'stop' }
    },
  }
  const { read } = await start({ providers: [silent], env: { DEFAULT_MODEL: 'demo:chat' } })
  expect((await read()).models).toEqual({ total: 1, available: 1, loaded: 0, unavailable: 0 })
})

it("counts the tenant's runs and no other's", async () => {
  const { app, read } = await start()
  const sessionId = await app.api().createSession()
  const { run } = await app.api().sendMessage({ sessionId, content: '/stall' })
  await app.api().change('sendMessage', { sessionId, content: 'Next' })
  expect(await read()).toMatchObject({ activeRuns: 1, queuedRuns: 1 })
  expect(await read({ ...admin, tenant: 'globex' })).toMatchObject({ activeRuns: 0, queuedRuns: 0 })
  await app.api().change('cancelRun', { runId: run.id })
  await vi.waitFor(async () => expect(await read()).toMatchObject({ activeRuns: 0, queuedRuns: 0 }), patience)
})

it('is told again in the interval that was asked for, until nobody listens', async () => {
  const { app } = await start()
  const watch = app.socket(admin).watch('subscription { systemStatusChanged(intervalSeconds: 1) { now } }')
  const [first, second] = [await watch.at(0), await watch.at(1)]
  const betweenMs = Date.parse(second.now) - Date.parse(first.now)
  expect(betweenMs).toBeGreaterThanOrEqual(990)
  watch.stop()
})

it('is for admins, and takes intervals of 1 to 60 seconds', async () => {
  const { app } = await start()
  const { errors } = await app.api().send('{ systemStatus { version } }')
  expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
  const refused = async (identity: Identity, argument: string) => {
    const watch = app.socket(identity).watch(`subscription { systemStatusChanged${argument} { now } }`)
    await watch.ended
    return watch.failure
  }
  expect(await refused({}, '')).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
  for (const [seconds, says] of [
    [0, 'is below 1'],
    [61, 'is above 60'],
    [-5, 'is below 1'],
  ] as const)
    expect(await refused(admin, `(intervalSeconds: ${seconds})`)).toMatchObject([
      { message: expect.stringContaining(says), extensions: { code: 'BAD_USER_INPUT' } },
    ])
})

it('answers while the database is away, for whoever is known', async () => {
  const server = await startFreshPostgres()
  const { read } = await start({ databaseUrl: await server.createDatabase() })
  expect(await read()).toMatchObject({ status: 'OK' })
  await server.stop()
  expect(await read()).toMatchObject({
    status: 'DOWN',
    database: { isReachable: false, latencyMs: null },
    activeRuns: null,
    queuedRuns: null,
  })
})

it('is degraded while Redis is away', async () => {
  if (!isRedisInstalled) return
  const redis = await startRedis()
  const { read } = await start({ env: { REDIS_URL: redis.url, REDIS_KEY_PREFIX: 'status:' } })
  expect(await read()).toMatchObject({ status: 'OK', broker: { kind: 'REDIS', isReachable: true } })
  await redis.kill()
  await vi.waitFor(
    async () => expect(await read()).toMatchObject({ status: 'DEGRADED', broker: { isReachable: false } }),
    patience,
  )
  await redis.start()
})
