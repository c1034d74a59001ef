import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, expect, it, vi } from 'vitest'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { startTestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'
import { watchSession } from '../support/session-reader.ts'

const isInstalled = requireRedis()
let redis: TestRedis
beforeAll(async () => {
  if (isInstalled) redis = await startRedis()
})

it('a reply that one node writes is seen live through another', async () => {
  const env = { REDIS_URL: redis.url }
  const writer = await startTestApp({ env })
  const other = await startTestApp({ env, databaseUrl: writer.databaseUrl })
  const sessionId = await writer.api().createSession()
  const { assistantMessage } = await writer.api().sendMessage({ sessionId, content: '/pace 30 /long 60' })
  const watch = other
    .socket()
    .watch('subscription ($messageId: ID!) { tokenStream(messageId: $messageId) { offset text status } }', {
      messageId: assistantMessage.id,
    })
  await watch.ended
  const text = watch.events.reduce((all, piece) => (piece.offset === 0 ? piece.text : all + piece.text), '')
  const { message } = await other
    .api()
    .run('query ($id: ID!) { message(id: $id) { content } }', { id: assistantMessage.id })
  expect(text).toBe(message.content)
  expect(watch.events.length).toBeGreaterThan(5)
  expect(await redis.admin.keys('parley:*')).not.toEqual([])
  await other.stop()
  await writer.stop()
  const clients = String(await redis.admin.client('LIST'))
  expect(clients).not.toMatch(/ name=parley/)
})

it('a server keeps to its REDIS_KEY_PREFIX, in keys and channels', async () => {
  const shared = await startRedis()
  // What is counted stays there while the test runs.
  const limits = { REQUESTS_PER_SECOND: '0.01', REQUESTS_BURST: '40', CONNECTIONS_PER_USER: '10' }
  const env = { REDIS_URL: shared.url, REDIS_KEY_PREFIX: 'mine:', ...limits }
  const app = await startTestApp({ env })
  const sessionId = await app.api().createSession()
  const watch = app.socket().watch(watchSession, { sessionId })
  await watch.at(0)
  await app.api().change('setTyping', { sessionId, isTyping: true })
  await app.api().change('sendMessage', { sessionId, content: 'Hello' })
  await watch.until(({ __typename }) => __typename === 'RunFinished')
  // Counts of requests are told to Redis some moments after the requests.
  const keys = await vi.waitFor(async () => {
    const written = await shared.admin.keys('*')
    for (const kind of [/:rate:/, /:held:/, /:nodes$/, /:log$/, /:meta$/, /:who$/])
      expect(written).toContainEqual(expect.stringMatching(kind))
    return written
  }, patience)
  const channels = (await shared.admin.pubsub('CHANNELS')) as string[]
  for (const names of [keys, channels]) {
    expect(names.length).toBeGreaterThan(1)
    expect(names.filter((name) => !name.startsWith('mine:'))).toEqual([])
  }
})

it('an outage makes a node degraded, not unready, and is survived', async () => {
  const app = await startTestApp({ env: { REDIS_URL: redis.url, REDIS_KEY_PREFIX: 'outage:' } })
  const ready = async () => {
    const response = await fetch(`${app.url}/ready`)
    return { status: response.status, body: await response.json() }
  }
  const whole = { status: 200, body: { status: 'ready' } }
  expect(await ready()).toEqual(whole)
  await redis.kill()
  await vi.waitFor(
    async () =>
      expect(await ready()).toEqual({
        status: 200,
        body: { status: 'degraded', reason: 'Redis does not answer: live feeds wait' },
      }),
    patience,
  )
  await redis.start()
  await vi.waitFor(async () => expect(await ready()).toEqual(whole), patience)
  await app.api().createSession()
})

it('a server whose Redis cannot be reached does not start, and says why', async () => {
  const config = loadConfig({ NODE_ENV: 'test', PORT: '0', REDIS_URL: 'redis://:hush@127.0.0.1:9' })
  await expect(startApp(config, { log: createLog({ level: 'silent' }, false) })).rejects.toThrow(
    'Redis at 127.0.0.1:9 (REDIS_URL) cannot be reached: connect ECONNREFUSED 127.0.0.1:9',
  )
})

it('one node alone does not load what Redis needs', async () => {
  const script = `
    import { createRequire } from 'node:module'
    await import(${JSON.stringify(import.meta.resolve('../../src/app.ts'))})
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    console.log(loaded.some((path) => path.includes('/pg/')), loaded.some((path) => path.includes('/ioredis/')))
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  expect(stdout).toBe('true false\n')
})

it('who may not follow a session leaves no log of it behind', async () => {
  const ownRedis = await startRedis()
  const app = await startTestApp({ env: { REDIS_URL: ownRedis.url } })
  const foreign = await app.api({ user: 'bob' }).createSession()
  const messageAdded = 'subscription ($sessionId: ID!) { messageAdded(sessionId: $sessionId) { id } }'
  for (const sessionId of [foreign, foreign.replace(/.{4}$/, '0000')])
    for (const operation of [watchSession, messageAdded]) {
      const watch = app.socket().watch(operation, { sessionId })
      await watch.ended
      expect(watch).toMatchObject({ events: [], failure: [{ extensions: { code: 'NOT_FOUND' } }] })
    }
  expect(await ownRedis.admin.keys('*{session:*')).toEqual([])
})
