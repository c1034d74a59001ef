import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

const viewer = '{ viewer { role } }'

/** Slow enough that no count is paid back while a test runs. */
const env = {
  REQUESTS_PER_SECOND: '0.01',
  REQUESTS_BURST: '40',
  SERVICE_REQUESTS_PER_SECOND: '1000',
  SENDS_PER_MINUTE: '3',
  OPERATIONS_PER_SECOND: '0.01',
  OPERATIONS_BURST: '5',
  NEW_CONNECTIONS_PER_ADDRESS: '0.01',
  NEW_CONNECTIONS_BURST: '6',
  TRUSTED_PROXY_HOPS: '1',
  CONNECTIONS_PER_TENANT: '4',
}

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env })
})
besideNeighbour(() => app, { user: 'neighbour', tenant: 'neighbours', role: 'SERVICE' })

type Asked = { token?: string; headers?: Record<string, string>; body?: object; url?: string }

/** As from an address of its own, unless told. */
async function ask({ token, headers = {}, body = { query: viewer }, url = app.url }: Asked) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

/** Asks until it is refused; gives how often that went well, and the refusal. */
async function untilRefused(asked: Asked) {
  for (let count = 0; ; count += 1) {
    const answer = await ask(asked)
    if (answer.status === 429) return { count, ...answer }
    if (count > 200) throw new Error('nothing was refused')
  }
}

const tooMany = (setting: string, what = 'requests') => ({
  message: expect.stringMatching(new RegExp(`^Too many ${what}; try again in \\d+ s \\(${setting}\\)\\.$`)),
  extensions: { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) },
})

describe('the requests of a user', () => {
  it('are counted over every door, whatever they ask, and those of others beside them are answered', async () => {
    const token = app.token({ user: 'flooder' })
    const from = { 'x-forwarded-for': '198.51.100.1' }
    const bodies = [{ query: viewer }, { query: viewer, extensions: {} }, { query: '{ nonsense' }]
    for (let count = 0; count < 36; count += 1)
      expect((await ask({ token, body: bodies[count % 3] ?? {} })).status).toBeLessThan(429)
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${token}` }, headers: from })
    for (const id of ['1', '2', '3', '4', '5']) frames.subscribe(id, viewer)
    expect((await frames.until(({ id, type }) => id === '4' && type !== 'complete')).type).toBe('next')
    const refusal = await frames.until(({ id }) => id === '5')
    expect(refusal).toEqual({ id: '5', type: 'error', payload: [tooMany('REQUESTS_PER_SECOND')] })

    for (const body of bodies) {
      const { status, headers, body: answer } = await ask({ token, body })
      expect(status).toBe(429)
      expect(answer).toEqual({ errors: [tooMany('REQUESTS_PER_SECOND')] })
      expect(headers.get('retry-after')).toBe(String(answer.errors[0].extensions.retryAfterSeconds))
    }
    const stream = openEventStream(app.url, token, watchSession, { sessionId: 'session_x' })
    expect((await stream.response).status).toBe(429)

    // The same person of another tenant, and another one of the same.
    expect((await ask({ token: app.token({ user: 'flooder', tenant: 'other' }) })).status).toBe(200)
    expect((await ask({ token: app.token({ user: 'neighbour' }) })).status).toBe(200)
    frames.socket.terminate()
  })

  it('without a valid token are counted by where they come from', async () => {
    const headers = { 'x-forwarded-for': '192.0.2.7, 203.0.113.9' }
    const { count, body } = await untilRefused({ token: 'nonsense', headers })
    expect(count).toBe(40)
    expect(body.errors).toEqual([
      tooMany('REQUESTS_PER_SECOND', 'requests without a valid token from this address'),
    ])
    // What a caller puts before the proxy's own entry changes nothing; another address is another caller.
    const lying = { 'x-forwarded-for': '192.0.2.8, 203.0.113.9' }
    expect((await ask({ headers: lying })).status).toBe(429)
    expect((await ask({ headers: { 'x-forwarded-for': '203.0.113.10' } })).status).toBe(401)
    expect((await ask({ token: app.token({ user: 'nat' }), headers })).status).toBe(200)
    // Of IPv6, the first half counts.
    await untilRefused({ headers: { 'x-forwarded-for': '2001:db8:0:7::1' } })
    expect((await ask({ headers: { 'x-forwarded-for': '2001:db8:0:7:ffff::2' } })).status).toBe(429)
    expect((await ask({ headers: { 'x-forwarded-for': '2001:db8:0:8::1' } })).status).toBe(401)
    // A port makes no other caller, and what is no address is nobody's: it counts for whoever called here.
    for (const same of [
      '203.0.113.9:1234',
      '[203.0.113.9]',
      '[2001:db8:0:7::3]:443',
      '2001:db8:0:7::1%a:b:c:d:e:f',
    ])
      expect((await ask({ headers: { 'x-forwarded-for': same } })).status, same).toBe(429)
    const made = await Promise.all(
      Array.from({ length: 41 }, (_, index) => ask({ headers: { 'x-forwarded-for': `nobody-${index}` } })),
    )
    expect(made.map(({ status }) => status)).toContain(429)
  })

  it('may be many more of a service, which speaks for many', async () => {
    const token = app.token({ user: 'robot', role: 'SERVICE' })
    for (let count = 0; count < 100; count += 1) expect((await ask({ token })).status).toBe(200)
  })
})

it('sends are counted by user, in every session, and copies of a send are not', async () => {
  const alice = app.api({ user: 'sender' })
  const sessions = [await alice.createSession(), await alice.createSession()]
  const send = (index: number, clientId?: string) =>
    alice.run(
      `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
        __typename ... on SendMessagePayload { userMessage { id } } ... on Error { code message }
        ... on RateLimitedError { retryAfterSeconds } } }`,
      { input: { sessionId: sessions[index % 2], content: 'Hello', clientId, wait: true } },
    )
  const first = await send(0, 'first')
  for (const index of [1, 2]) expect((await send(index)).sendMessage.__typename).toBe('SendMessagePayload')
  expect((await send(3)).sendMessage).toEqual({
    __typename: 'RateLimitedError',
    code: 'RATE_LIMITED',
    message: expect.stringMatching(/^Too many sends; try again in \d+ s \(SENDS_PER_MINUTE\)\.$/),
    retryAfterSeconds: expect.any(Number),
  })
  expect(await send(0, 'first')).toEqual(first)
  const { userMessage } = first.sendMessage
  expect(await alice.mutate('editMessage', { messageId: userMessage.id, content: 'Hi' })).toMatchObject({
    code: 'RATE_LIMITED',
  })
  // What a service sends counts for the owner of the session.
  const robot = app.api({ user: 'robot', role: 'SERVICE' })
  expect(await robot.sendMessage({ sessionId: sessions[0], content: 'Hello' })).toMatchObject({
    code: 'RATE_LIMITED',
  })
  const bob = app.api({ user: 'neighbour' })
  const sent = await bob.sendMessage({ sessionId: await bob.createSession(), content: 'Hello', wait: true })
  expect(sent).toHaveProperty('run')
})

it('sends of a tenant are counted together, and those of others are not held up', async () => {
  const few = await startTestApp({ env: { SENDS_PER_MINUTE_PER_TENANT: '2' } })
  const send = async (user: string, tenant: string) => {
    const api = few.api({ user, tenant })
    return api.sendMessage({ sessionId: await api.createSession(), content: 'Hello', wait: true })
  }
  for (const user of ['one', 'two']) expect(await send(user, 'noisy')).toHaveProperty('run')
  expect(await send('three', 'noisy')).toEqual({
    code: 'RATE_LIMITED',
    message: expect.stringMatching(/^Too many sends of the tenant; .* \(SENDS_PER_MINUTE_PER_TENANT\)\.$/),
  })
  expect(await send('one', 'quiet')).toHaveProperty('run')
})

describe('a WebSocket', () => {
  const open = (user: string, address: string) =>
    openFrames(app.url, {
      params: { authorization: `Bearer ${app.token({ user })}` },
      headers: { 'x-forwarded-for': address },
    })

  it('is refused single operations, and is closed with 1013 where it goes on', async () => {
    const neighbour = await open('quiet', '198.51.100.3')
    const sessionId = await app.api({ user: 'quiet' }).createSession()
    neighbour.subscribe('watch', watchSession, { sessionId })
    await neighbour.until(({ id }) => id === 'watch')

    const frames = await open('hasty', '198.51.100.2')
    for (let index = 0; index < 10; index += 1) {
      frames.subscribe(`q${index}`, viewer)
      frames.send({ id: `q${index}`, type: 'complete' })
    }
    expect(await frames.until(({ id }) => id === 'q5')).toEqual({
      id: 'q5',
      type: 'error',
      payload: [tooMany('OPERATIONS_PER_SECOND', 'operations on this connection')],
    })
    for (let index = 10; index < 20; index += 1) frames.subscribe(`q${index}`, viewer)
    expect(await frames.closed).toMatchObject({ code: 1013 })

    await app.api({ user: 'quiet' }).change('sendMessage', { sessionId, content: 'Hello' })
    await neighbour.until(({ payload }) => payload?.data?.sessionEvents?.__typename === 'RunFinished')
    neighbour.socket.terminate()
  })

  it('is closed with 1013 where it goes on though it has no place left', async () => {
    const full = await startTestApp({ env: { ...env, SUBSCRIPTIONS_PER_CONNECTION: '1' } })
    const frames = await openFrames(full.url, { params: { authorization: `Bearer ${full.token()}` } })
    frames.subscribe('watch', watchSession, { sessionId: await full.api().createSession() })
    await frames.until(({ id }) => id === 'watch')
    for (let index = 0; index < 20; index += 1) frames.subscribe(`q${index}`, viewer)
    expect(await frames.closed).toMatchObject({ code: 1013 })
  })

  it.each([
    ['before it is greeted', false],
    ['once it is greeted', true],
  ])('is closed with 1013 where messages that begin nothing never end, %s', async (_when, isGreeted) => {
    const params = { authorization: `Bearer ${app.token({ user: 'talker' })}` }
    const frames = await openFrames(app.url, {
      ...(isGreeted && { params }),
      headers: { 'x-forwarded-for': '198.51.100.9' },
    })
    for (let index = 0; index < 100; index += 1)
      frames.send(index % 2 === 0 ? { type: 'ping' } : { id: 'none', type: 'complete' })
    expect(await frames.closed).toMatchObject({ code: 1013 })
  })

  it('is refused before it is opened, where too many come from one address', async () => {
    const opened = []
    for (let count = 0; count < 6; count += 1)
      opened.push(await openFrames(app.url, { headers: { 'x-forwarded-for': '198.51.100.4' } }))
    const more = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { 'x-forwarded-for': '198.51.100.4' },
    })
    more.on('error', () => {})
    const [, response] = await once(more, 'unexpected-response')
    expect(response.statusCode).toBe(429)
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
    more.terminate()
    for (const frames of opened) frames.send({ type: 'ping' })
    for (const frames of opened) await frames.until(({ type }) => type === 'pong')
    const elsewhere = await openFrames(app.url, { headers: { 'x-forwarded-for': '198.51.100.5' } })
    for (const { socket } of [...opened, elsewhere]) socket.terminate()
  })

  it('is refused where the tenant has as many as it may', async () => {
    const params = (user: string) => ({ authorization: `Bearer ${app.token({ user, tenant: 'crowd' })}` })
    const at = (index: number) => ({ headers: { 'x-forwarded-for': `198.51.101.${index}` } })
    const opened = []
    for (let index = 0; index < 4; index += 1)
      opened.push(await openFrames(app.url, { params: params(`user-${index}`), ...at(index) }))
    const more = await openFrames(app.url, at(4))
    more.send({ type: 'connection_init', payload: params('user-4') })
    expect(await more.closed).toEqual({
      code: 1013,
      reason: 'The tenant has 4 connections already (CONNECTIONS_PER_TENANT).',
    })
    for (const { socket } of opened) socket.terminate()
  })
})

describe('two nodes on one Redis', () => {
  if (!requireRedis()) return

  it('count together, and each for itself while Redis is away', async () => {
    const redis = await startRedis()
    const both = { ...env, REDIS_URL: redis.url, REQUESTS_BURST: '30' }
    const one = await startTestApp({ env: both })
    const two = await startTestApp({ env: both, databaseUrl: one.databaseUrl })
    const token = one.token({ user: 'roamer' })
    expect((await untilRefused({ token, url: one.url })).count).toBeGreaterThanOrEqual(30)
    // The other learns of it with its own first request that is settled.
    await ask({ token, url: two.url })
    await expect.poll(async () => (await ask({ token, url: two.url })).status).toBe(429)
    redis.freeze()
    const other = one.token({ user: 'patient' })
    const startedAt = performance.now()
    expect((await ask({ token: other, url: two.url })).status).toBe(200)
    expect(performance.now() - startedAt).toBeLessThan(900)
    expect((await untilRefused({ token: other, url: two.url })).count).toBeGreaterThanOrEqual(29)
    redis.thaw()
  })
})
