import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { watchSession } from '../support/session-reader.ts'

const listed = 'https://app.example'
let app: TestApp
let own: string
beforeAll(async () => {
  app = await startTestApp({ env: { COOKIE_SIGN_IN: 'true', CORS_ORIGINS: listed } })
  own = new URL(app.url).origin
})
besideNeighbour(() => app)

type Headers = Record<string, string>
const viewer = '{ viewer { user { externalId } } }'
const csrf = { 'x-parley-csrf': '1' }

const signIn = (token: string | null, headers: Headers = {}) =>
  fetch(`${app.url}/sign-in`, {
    method: 'POST',
    headers: { ...headers, ...(token ? { authorization: `Bearer ${token}` } : {}) },
  })

/** As a browser would send it back. */
async function cookieOf(token: string): Promise<Headers> {
  const { status, headers } = await signIn(token)
  expect(status).toBe(204)
  return { cookie: String(headers.get('set-cookie')).split(';', 1)[0] ?? '' }
}

/** The same operation by each way through HTTP: its short way, Yoga, by GET, and as a stream of events. */
const ways: Record<string, (headers: Headers) => Promise<Response>> = {
  'a request': (headers) => post({ query: viewer }, headers),
  'a request with extensions': (headers) => post({ query: viewer, extensions: {} }, headers),
  'a request by GET': (headers) =>
    fetch(`${app.url}/graphql?query=${encodeURIComponent(viewer)}`, { headers }),
  'an event stream': (headers) => post({ query: viewer }, { ...headers, accept: 'text/event-stream' }),
}

const post = (body: object, headers: Headers) =>
  fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

/** A socket that sends an init without a token: the code with which it is closed, or the answer to it. */
async function overSocket(headers: Headers): Promise<number | string> {
  const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    headers,
  })
  socket.on('error', () => {})
  const refused = once(socket, 'unexpected-response').then(([, { statusCode }]) => statusCode as number)
  const answered = once(socket, 'open').then(async () => {
    socket.send('{"type":"connection_init"}')
    return Promise.race([
      once(socket, 'message').then(([data]) => JSON.parse(String(data)).type as string),
      once(socket, 'close').then(([code]) => code as number),
    ])
  })
  const outcome = await Promise.race([refused, answered])
  socket.terminate()
  return outcome
}

it('a token becomes a cookie that scripts cannot read and other sites do not send', async () => {
  const token = app.token({ expiresInSeconds: 60 })
  const { status, headers, body } = await signIn(token)
  expect({ status, body }).toEqual({ status: 204, body: null })
  const [pair, ...attributes] = String(headers.get('set-cookie')).split('; ')
  expect(pair).toBe(`__Host-parley=${token}`)
  const age = attributes.pop()
  expect(attributes).toEqual(['Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict'])
  expect(Number(age?.slice('Max-Age='.length))).toBeLessThanOrEqual(60)
  expect(headers.get('cache-control')).toBe('no-store')
})

describe('by its cookie somebody is signed in', () => {
  it.each(Object.keys(ways))('over %s', async (way) => {
    const cookie = await cookieOf(app.token())
    const pages: Headers[] = [{}, { origin: own }, { origin: listed }]
    for (const origin of pages) {
      const response = await ways[way]?.({ ...cookie, ...csrf, ...origin })
      expect(response?.status).toBe(200)
      expect(await response?.text()).toContain('"externalId":"alice"')
    }
    // What says more goes first.
    const other = { ...cookie, authorization: `Bearer ${app.token({ user: 'bob' })}` }
    expect(await (await ways[way]?.(other))?.text()).toContain('"externalId":"bob"')
  })

  it('over a WebSocket', async () => {
    const cookie = await cookieOf(app.token())
    for (const origin of [own, listed]) expect(await overSocket({ ...cookie, origin })).toBe('connection_ack')
    const frames = await openFrames(app.url, { params: {}, headers: { ...cookie, origin: own } })
    frames.subscribe('who', viewer)
    const { payload } = await frames.until(({ id }) => id === 'who')
    expect(payload.data.viewer.user.externalId).toBe('alice')
    frames.socket.terminate()
  })
})

describe('row 21: a page of another origin does nothing in the name of who is signed in', () => {
  const forged: Record<string, Headers> = {
    'from a foreign origin': { ...csrf, origin: 'https://evil.example' },
    'from a port beside': { ...csrf, origin: 'http://localhost:1' },
    'from nowhere known': { ...csrf, origin: 'null' },
    'of another site without an origin': { ...csrf, 'sec-fetch-site': 'cross-site' },
    'without the header, as forms and images are': {},
  }
  it.each(Object.entries(forged))('%s', async (_name, headers) => {
    const cookie = await cookieOf(app.token())
    for (const [way, send] of Object.entries(ways)) {
      const response = await send({ ...cookie, ...headers })
      expect([way, response.status]).toEqual([way, 403])
      const { errors, data } = (await response.json()) as { errors: unknown[]; data?: unknown }
      expect(data).toBeUndefined()
      expect(errors).toEqual([
        { message: expect.stringMatching(/CORS_ORIGINS|x-parley-csrf/), extensions: { code: 'FORBIDDEN' } },
      ])
      expect(response.headers.get('access-control-allow-origin')).toBeNull()
    }
  })

  it('nor signs anybody in or out', async () => {
    const token = app.token()
    const origin = { origin: 'https://evil.example' }
    expect((await signIn(token, origin)).status).toBe(403)
    const cookie = await cookieOf(token)
    for (const headers of [origin, { ...csrf, ...origin }, {}])
      expect(
        (await fetch(`${app.url}/sign-out`, { method: 'POST', headers: { ...cookie, ...headers } })).status,
      ).toBe(403)
    expect((await ways['a request']?.({ ...cookie, ...csrf }))?.status).toBe(200)
  })

  it('row 45: nor opens a socket', async () => {
    const cookie = await cookieOf(app.token())
    expect(await overSocket({ ...cookie, origin: 'https://evil.example' })).toBe(403)
    expect(await overSocket({ ...cookie, origin: own, 'sec-fetch-site': 'cross-site' })).toBe(403)
    // A page without TLS, of a host that is not this machine: the cookie does not count.
    const plain = { host: 'chat.example', origin: 'http://chat.example' }
    expect(await overSocket({ ...cookie, ...plain })).toBe(4401)
    expect(await overSocket({ ...cookie, ...plain, origin: 'https://chat.example' })).toBe('connection_ack')
    // A browser always names the page: what names none has not asked one, so the cookie is no proof of anything.
    expect(await overSocket(cookie)).toBe(4401)
  })
})

it('row 62: who signs out ends the token itself, wherever it is in use', async () => {
  const token = app.token({ user: 'leaver' })
  const cookie = await cookieOf(token)
  const sessionId = await app.api({ user: 'leaver' }).createSession()
  const frames = await openFrames(app.url, { params: {}, headers: { ...cookie, origin: own } })
  frames.subscribe('watch', watchSession, { sessionId })
  await frames.until(({ id }) => id === 'watch')
  const out = await fetch(`${app.url}/sign-out`, { method: 'POST', headers: { ...cookie, ...csrf } })
  expect(out.status).toBe(204)
  expect(out.headers.get('set-cookie')).toMatch(/^__Host-parley=; .*Max-Age=0$/)
  expect(await frames.closed).toMatchObject({ code: 4403 })
  expect((await ways['a request']?.({ ...cookie, ...csrf }))?.status).toBe(401)
  expect((await ways['a request']?.({ authorization: `Bearer ${token}` }))?.status).toBe(401)
  // Again is no fault.
  expect(
    (await fetch(`${app.url}/sign-out`, { method: 'POST', headers: { ...cookie, ...csrf } })).status,
  ).toBe(204)
})

it('what is no token signs nobody in', async () => {
  const answers = [signIn(null), signIn('x.y.z'), signIn(app.token({ expiresInSeconds: -60 }))]
  for (const answer of await Promise.all(answers)) {
    expect(answer.status).toBe(401)
    expect(answer.headers.get('set-cookie')).toBeNull()
  }
  const long = await signIn(app.token({ user: 'u'.repeat(255), tenant: 'demo' }) + 'A'.repeat(4_000))
  expect(long.status).toBe(400)
  expect(await long.json()).toMatchObject({
    errors: [
      {
        message: expect.stringMatching(
          /^authorization: has a token of \d+ bytes; a cookie holds at most 3900$/,
        ),
      },
    ],
  })
  expect((await fetch(`${app.url}/sign-in`)).status).toBe(405)
})

it('a page that CORS_ORIGINS lists may ask to sign in; no other is told so', async () => {
  const ask = (origin: string) =>
    fetch(`${app.url}/sign-in`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    })
  const { status, headers } = await ask(listed)
  expect(status).toBe(204)
  expect(headers.get('access-control-allow-origin')).toBe(listed)
  expect(headers.get('access-control-allow-headers')).toBe('authorization, x-parley-csrf')
  expect((await ask('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull()
})

it('by default there is nothing of it', async () => {
  const plain = await startTestApp()
  expect((await fetch(`${plain.url}/sign-in`, { method: 'POST' })).status).toBe(404)
  const headers = { ...csrf, cookie: `__Host-parley=${plain.token()}` }
  expect((await fetch(`${plain.url}/graphql?query=${encodeURIComponent(viewer)}`, { headers })).status).toBe(
    401,
  )
})
