import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { createRedisPresence } from '../../src/realtime/presence-redis.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'
import { createServerProcess } from '../support/server-process.ts'
import type { Watch } from '../support/watch.ts'

const feed = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
  __typename cursor
  ... on PresenceChanged { present { externalId } presentCount }
  ... on TypingChanged { typing { externalId } } } }`

type Activity = 'present' | 'typing'
const setsOf = (watch: Watch, activity: Activity): string[] =>
  watch.events.flatMap((event) =>
    event[activity] ? event[activity].map((user: { externalId: string }) => user.externalId).join('+') : [],
  )

const untilTold = async (watch: Watch, activity: Activity, sets: string[]) => {
  await watch.until(() => setsOf(watch, activity).length >= sets.length)
  expect(setsOf(watch, activity)).toEqual(sets)
}

async function open(app: Pick<TestApp, 'socket'>, sessionId: string, user?: string) {
  const watch = app.socket(user ? { user } : {}).watch(feed, { sessionId })
  await watch.at(0)
  return watch
}

describe('presence at two nodes with one Redis', () => {
  const isInstalled = requireRedis()
  let redis: TestRedis
  let one: TestApp
  let other: TestApp
  beforeAll(async () => {
    if (!isInstalled) return
    redis = await startRedis()
    one = await startTestApp({ env: { REDIS_URL: redis.url } })
    other = await startTestApp({ databaseUrl: one.databaseUrl, env: { REDIS_URL: redis.url } })
  })

  async function share() {
    const sessionId = await one.api().createSession()
    await one.api({ user: 'bob' }).run('{ viewer { role } }')
    await one.api().change('addParticipant', { sessionId, externalUserId: 'bob', role: 'EDITOR' })
    return sessionId
  }

  it('is told to all, once, and stays through a reload that ends at the other node', async () => {
    const sessionId = await share()
    const alice = await open(one, sessionId)
    const bob = await open(other, sessionId, 'bob')
    await untilTold(alice, 'present', ['alice+bob'])
    await untilTold(bob, 'present', ['alice+bob'])
    bob.stop()
    const again = await open(one, sessionId, 'bob')
    await other.api({ user: 'bob' }).change('setTyping', { sessionId, isTyping: true })
    await untilTold(alice, 'typing', ['bob'])
    // Said where it was not begun.
    await one.api({ user: 'bob' }).change('sendMessage', { sessionId, content: 'Hello' })
    await untilTold(alice, 'typing', ['bob', ''])
    again.stop()
    await untilTold(alice, 'present', ['alice+bob', 'alice'])
    const { session } = await other
      .api()
      .run('query ($id: ID!) { session(id: $id) { present { externalId } } }', { id: sessionId })
    expect(session.present).toEqual([{ externalId: 'alice' }])
  })

  it('ends with a message that is sent where nobody looks on', async () => {
    const sessionId = await share()
    const { session } = await one
      .api()
      .run('query ($id: ID!) { session(id: $id) { participants { role user { id } } } }', { id: sessionId })
    const bob = session.participants.find(({ role }: { role: string }) => role === 'EDITOR').user.id
    const store = await openStore()
    // For longer than any test waits, so that nothing else ends it.
    const lease = { activity: 'typing', userId: decodeId(bob).uuid, holder: '', ttlMs: 600_000 } as const
    await store.exchange([{ place: decodeId(sessionId).uuid, leases: [lease] }])
    const alice = await open(other, sessionId)
    await untilTold(alice, 'typing', ['bob'])
    await one.api({ user: 'bob' }).sendMessage({ sessionId, content: 'Hello' })
    await untilTold(alice, 'typing', ['bob', ''])
  })

  async function openStore() {
    const log = { info() {}, warn() {} }
    const store = await createRedisPresence({ url: redis.url, keyPrefix: 'parley:', memoryMs: 60_000, log })
    onTestFinished(() => store.close())
    return store
  }

  it('names a hundred, and counts all', async () => {
    const sessionId = await share()
    const { uuid } = decodeId(sessionId)
    const crowd = await query<{ id: string }>(
      one.databaseUrl,
      `INSERT INTO users (tenant_id, id, external_id) SELECT s.tenant_id, gen_random_uuid(), 'crowd' || n
        FROM sessions s, generate_series(1, 120) n WHERE s.id = $1 RETURNING id`,
      { values: [uuid] },
    )
    const store = await openStore()
    const leases = crowd.map(
      ({ id }) => ({ activity: 'present', userId: id, holder: 'x', ttlMs: 20_000 }) as const,
    )
    await store.exchange([{ place: uuid, leases }])
    const alice = await open(one, sessionId)
    const told = await alice.until(({ presentCount }) => presentCount === 121)
    expect(told.present).toHaveLength(100)
    const { session } = await other
      .api()
      .run('query ($id: ID!) { session(id: $id) { present { id } presentCount } }', { id: sessionId })
    expect([session.present.length, session.presentCount]).toEqual([100, 121])
  })

  it('ends with a node that is killed, what was typed there first', async () => {
    const killed = await createServerProcess({ DATABASE_URL: one.databaseUrl, REDIS_URL: redis.url })
    await killed.start()
    const sessionId = await share()
    const bob = await open(one, sessionId, 'bob')
    await open(killed, sessionId)
    await untilTold(bob, 'present', ['alice+bob'])
    await killed.api().change('setTyping', { sessionId, isTyping: true })
    await untilTold(bob, 'typing', ['alice'])
    await killed.end('SIGKILL')
    const killedAtMs = performance.now()
    await untilTold(bob, 'typing', ['alice', ''])
    expect(performance.now() - killedAtMs).toBeLessThan(12_000)
    await untilTold(bob, 'present', ['alice+bob', 'bob'])
    expect(performance.now() - killedAtMs).toBeLessThan(30_000)
  })

  it('is right again after Redis was away and lost all', async () => {
    const sessionId = await share()
    const alice = await open(one, sessionId)
    const bob = await open(other, sessionId, 'bob')
    await untilTold(alice, 'present', ['alice+bob'])
    const presentNow = async () => {
      const { session } = await one
        .api()
        .run('query ($id: ID!) { session(id: $id) { present { externalId } } }', { id: sessionId })
      return session.present.map(({ externalId }: { externalId: string }) => externalId)
    }
    await redis.kill()
    expect(await presentNow()).toEqual([])
    bob.stop()
    await redis.start()
    await expect.poll(presentNow, { interval: 250 }).toEqual(['alice'])
    await open(other, sessionId, 'bob')
    await alice.until(() => setsOf(alice, 'present').length > 1)
    expect(setsOf(alice, 'present').at(-1)).toBe('alice+bob')
    const keys = await redis.admin.keys('*')
    for (const key of keys) expect(await redis.admin.pttl(key), key).toBeGreaterThan(0)
  })
})
