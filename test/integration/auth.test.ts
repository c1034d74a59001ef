import { createSecretKey } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { alice, encode, forge, hs256, now, rsa } from '../support/forge.ts'
import { openFrames } from '../support/frames.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'
import { openEventStream } from '../support/sse.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { AUTO_CREATE_TENANTS: 'false' } })
  await query(
    app.databaseUrl,
    `INSERT INTO tenants (id, slug, name) VALUES (gen_random_uuid(), 'demo', 'Demo'),
       (gen_random_uuid(), 'neighbours', 'Neighbours')`,
  )
})
besideNeighbour(() => app)

const viewer = '{ viewer { user { externalId } tenant { slug } role } }'

async function ask(headers: Record<string, string>, body: object = { query: viewer }) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  // A subscription is answered as a stream of events.
  const json = /^event: next\ndata: (.*)$/m.exec(text)?.[1] ?? text
  return { status: response.status, body: JSON.parse(json) as Record<string, unknown> }
}

/** How the socket closes for a token that is not accepted, or the code of the first operation's error. */
async function connect(params: Record<string, unknown>): Promise<number | string> {
  const frames = await openFrames(app.url)
  frames.send({ type: 'connection_init', payload: params })
  const acknowledged = frames
    .until(({ type }) => type === 'connection_ack')
    .then(
      async () => {
        frames.subscribe('1', viewer)
        const { type, payload } = await frames.until(({ id }) => id === '1')
        const errors = type === 'error' ? payload : payload.errors
        frames.socket.close()
        return (errors?.[0].extensions.code as string) ?? payload.data.viewer.tenant.slug
      },
      () => 'closed',
    )
  const outcome = await Promise.race([acknowledged, frames.closed.then(({ code }) => code)])
  return outcome === 'closed' ? (await frames.closed).code : outcome
}

const [header = '', payload = ''] = hs256(alice()).split('.')
const stranger = createSecretKey(Buffer.from('another-secret-that-is-32-characters'))

const refusedTokens: [string, string][] = [
  ['garbage', 'garbage'],
  ['three empty parts', '..'],
  ['a signature of another key', forge({ alg: 'HS256' }, alice(), stranger)],
  ['no signature', `${header}.${payload}.`],
  [
    'another payload under a good signature',
    `${header}.${encode({ ...alice(), tenant: 'acme' })}.${hs256(alice()).split('.')[2]}`,
  ],
  ['alg none', forge({ alg: 'none' }, alice())],
  ['alg nOnE', forge({ alg: 'nOnE' }, alice())],
  ['an algorithm of another kind', forge({ alg: 'RS256' }, alice(), rsa.privateKey)],
  ['no expiry', hs256({ sub: 'alice', tenant: 'demo' })],
  ['no user', hs256({ ...alice(), sub: undefined })],
  ['no tenant', hs256({ ...alice(), tenant: undefined })],
  ['a list of tenants', hs256({ ...alice(), tenant: ['demo'] })],
  ['any tenant', hs256({ ...alice(), tenant: '*' })],
  ['a role that there is not', hs256({ ...alice(), role: 'root' })],
  ['a start in the future', hs256({ ...alice(), nbf: now() + 300 })],
  ['more than 8 KiB', hs256({ ...alice(), name: 'x'.repeat(9_000) })],
  ['an unknown tenant', hs256({ ...alice(), tenant: 'acme' })],
  ['the id of an unknown tenant', hs256({ ...alice(), tenant: 'tenant_01h455vb4pex5vsknk084sn02q' })],
  ['a malformed id of a tenant', hs256({ ...alice(), tenant: 'tenant_nonsense' })],
]

describe('a token', () => {
  it('that is good lets in by either door', async () => {
    const token = hs256(alice())
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const { status, body } = await ask({ authorization: `${scheme} ${token}` })
      expect([status, body]).toEqual([
        200,
        { data: { viewer: { user: { externalId: 'alice' }, tenant: { slug: 'demo' }, role: 'USER' } } },
      ])
    }
    for (const params of [
      { authorization: `Bearer ${token}` },
      { Authorization: `bearer ${token}` },
      { AUTHORIZATION: token },
      { token },
    ])
      expect(await connect(params)).toBe('demo')
  })

  it.each(refusedTokens)('with %s is refused by either door', async (_what, token) => {
    const { status, body } = await ask({ authorization: `Bearer ${token}` })
    expect(status).toBe(401)
    expect(body).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
    expect(JSON.stringify(body)).not.toMatch(/node_modules|\.ts:|SELECT|stack/)
    expect(await connect({ authorization: `Bearer ${token}` })).toBe(4401)
  })

  it('that has expired is refused, and by a socket in the way that makes clients come back', async () => {
    const token = hs256({ ...alice(), exp: now() - 60 })
    const { status, body } = await ask({ authorization: `Bearer ${token}` })
    expect(status).toBe(401)
    expect(body).toMatchObject({
      errors: [
        { message: expect.stringContaining('has expired at'), extensions: { code: 'UNAUTHENTICATED' } },
      ],
    })
    expect(await connect({ token })).toBe(4403)
  })

  it('that is missing is asked for', async () => {
    for (const headers of [{}, { authorization: '' }] as Record<string, string>[]) {
      const { status, body } = await ask(headers)
      expect(status).toBe(401)
      expect(body).toMatchObject({
        errors: [
          {
            message: expect.stringContaining('Sign in: send the header'),
            extensions: { code: 'UNAUTHENTICATED' },
          },
        ],
      })
    }
    for (const params of [{}, { token: '' }, { token: 5 }, { authorization: ['Bearer x'] }])
      expect(await connect(params)).toBe(4401)
  })

  it('in another scheme, in the address or in a cookie is none', async () => {
    const token = hs256(alice())
    expect((await ask({ authorization: `Basic ${token}` })).status).toBe(401)
    expect((await ask({ cookie: `token=${token}; authorization=Bearer ${token}` })).status).toBe(401)
    const response = await fetch(
      `${app.url}/graphql?token=${token}&authorization=${token}&query=${encodeURIComponent(viewer)}`,
    )
    expect(response.status).toBe(401)
  })

  it('decides about the tenant alone, whatever else names one', async () => {
    const { body } = await ask({
      authorization: `Bearer ${hs256(alice())}`,
      'x-tenant': 'acme',
      'x-tenant-id': 'acme',
      tenant: 'acme',
    })
    expect(body).toMatchObject({ data: { viewer: { tenant: { slug: 'demo' } } } })
  })

  it('that is refused leaves no user behind', async () => {
    const users = await query<{ name: string }>(
      app.databaseUrl,
      "SELECT external_id AS name FROM users WHERE external_id <> 'neighbour'",
    )
    expect(users).toEqual([{ name: 'alice' }])
  })
})

describe('a mutation or subscription without a token', () => {
  it.each([
    ['mutation { createSession(input: {}) { __typename } }'],
    ['mutation { cancelRun(input: { runId: "run_01h455vb4pex5vsknk084sn02q" }) { __typename } }'],
    ['{ node(id: "session_01h455vb4pex5vsknk084sn02q") { id } }'],
    ['{ agents { id } models { id } }'],
    ['subscription { sessionEvents(sessionId: "session_01h455vb4pex5vsknk084sn02q") { cursor } }'],
  ])('is refused: %s', async (operation) => {
    const { status, body } = await ask({}, { query: operation })
    expect(status).toBe(401)
    expect(body.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
    expect(Object.values(body.data ?? {}).filter((value) => value !== null)).toEqual([])
  })
})

it('what a refused token holds is not repeated', async () => {
  const { body } = await ask({
    authorization: `Bearer ${forge({ alg: 'HS256', kid: 'canary-kid' }, { canary: 1 }, stranger)}`,
  })
  expect(JSON.stringify(body)).not.toContain('canary')
})

describe('the expiry of a token', () => {
  it('closes a socket in the middle of a subscription, with 4403', async () => {
    const demo = await startTestApp()
    const sessionId = await demo.api().createSession()
    const frames = await openFrames(demo.url, { params: { token: demo.token({ expiresInSeconds: 2 }) } })
    frames.subscribe('live', 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }', {
      id: sessionId,
    })
    await frames.until(({ id }) => id === 'live')
    expect(await frames.closed).toEqual({
      code: 4403,
      reason: 'The token has expired: connect again with a fresh one',
    })
  })

  it('that is over by one clock alone leaves live connections standing until it is by any', async () => {
    const demo = await startTestApp()
    // Clocks may differ by half a minute.
    const token = demo.token({ expiresInSeconds: -26 })
    const stream = openEventStream(demo.url, token, 'subscription { sessionChanged { __typename } }')
    const frames = await openFrames(demo.url, { params: { token } })
    const openedAtMs = performance.now()
    const lasted = (end: Promise<unknown>) => end.then(() => performance.now() - openedAtMs)
    const lastedMs = await Promise.all([lasted(frames.closed), lasted(stream.ended)])
    expect(Math.min(...lastedMs)).toBeGreaterThan(2_000)
    expect(await frames.closed).toMatchObject({ code: 4403 })
  })
})
