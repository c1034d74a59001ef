import { createHash, createSecretKey, X509Certificate } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import {
  alice,
  certificateOf,
  ec,
  encode,
  forge,
  hs256,
  now,
  otherRsa,
  pemOf,
  rsa,
  secret,
} from '../support/forge.ts'
import { openFrames } from '../support/frames.ts'
import { openLiveDoors } from '../support/live-doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

const issued = { iss: 'https://issuer.example', aud: 'parley' }
const good = () => ({ ...alice(), ...issued })

/** A server that proves tokens by its secret, and one that proves them by a key set; both share their callers' tenant. */
let bySecret: TestApp
let byKeySet: TestApp
/** What the key set holds now. */
let keys: object[]
/** What was asked of the one who holds the key set, and of whom tokens may name besides. */
const fetched: string[] = []
let elsewhere: string

beforeAll(async () => {
  keys = [
    { ...rsa.publicKey.export({ format: 'jwk' }), use: 'sig', kid: 'one' },
    { ...ec.publicKey.export({ format: 'jwk' }), use: 'sig', kid: 'two' },
  ]
  const provider = createServer((request, response) => {
    fetched.push(request.url ?? '')
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  atEndOfFile(() => {
    provider.closeAllConnections()
    provider.close()
  })
  elsewhere = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const env = { JWT_ISSUER: issued.iss, JWT_AUDIENCE: issued.aud }
  bySecret = await startTestApp({ env })
  const keySet = { JWT_JWKS_URL: `${elsewhere}/jwks`, JWT_JWKS_REFRESH_SECONDS: '3600' }
  byKeySet = await startTestApp({ env: { ...env, ...keySet } })
})
besideNeighbour(() => bySecret)

const rs256 = (header: object, payload: object = good(), key = rsa.privateKey) =>
  forge({ alg: 'RS256', kid: 'one', ...header }, payload, key)

const watchAll = 'subscription { sessionChanged { __typename } }'

/** What each door says to this token: of requests and event streams the status, of sockets the frame or the code. */
async function outcomesOf(app: TestApp, token: string) {
  const { status } = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: '{ viewer { role } }' }),
  })
  const stream = openEventStream(app.url, token, watchAll)
  const events = (await stream.response).status
  if (events === 200) expect(await stream.at(0)).not.toBeNull()
  stream.cut()
  const frames = await openFrames(app.url)
  frames.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
  const { type, payload } = await Promise.race([
    frames.until(({ type }) => type === 'connection_ack'),
    frames.closed.then(({ code }) => ({ type: String(code), payload: undefined })),
  ]).catch(async () => ({ type: String((await frames.closed).code), payload: undefined }))
  frames.socket.terminate()
  return { status, events, socket: type, payload }
}

const letIn = { status: 200, events: 200, socket: 'connection_ack' }
const keptOut = { status: 401, events: 401, socket: '4401' }

it('lets in who has a good token, by its secret and by its key set', async () => {
  expect(await outcomesOf(bySecret, hs256(good()))).toMatchObject(letIn)
  expect(await outcomesOf(byKeySet, rs256({}))).toMatchObject(letIn)
})

const without = (name: string) => Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name))

const ownSecret = createSecretKey(Buffer.from('o'.repeat(64)))
const ownJwk = ownSecret.export({ format: 'jwk' })

it.each<[string, string[]]>([
  ['row 51: alg none in any writing', ['none', 'None', 'nOnE', ''].map((alg) => forge({ alg }, good()))],
  [
    'row 54: an exp that is past, missing, no number or endless',
    [now() - 60, undefined, `${now() + 600}`, 1e20, -1].map((exp) => hs256({ ...good(), exp })),
  ],
  [
    'row 55: a token from the future',
    [hs256({ ...good(), nbf: now() + 120 }), hs256({ ...good(), iat: now() + 120 })],
  ],
  [
    'row 56: a wrong issuer or audience',
    [
      hs256({ ...good(), iss: 'https://other.example' }),
      hs256({ ...good(), aud: 'other' }),
      hs256({ ...good(), aud: ['other', 'another'] }),
      hs256(without('iss')),
      hs256(without('aud')),
    ],
  ],
  [
    'row 58: critical extensions, and a secret that the token brings along',
    [hs256(good(), { crit: ['b64'], b64: false }), forge({ alg: 'HS256', jwk: ownJwk }, good(), ownSecret)],
  ],
  [
    'row 59: a tenant that is changed, missing, empty, several, a number or all',
    [
      hs256(good()).replace(/\.[^.]+\./, `.${encode({ ...good(), tenant: 'other' })}.`),
      ...[undefined, '', ['demo'], 1, '*'].map((tenant) => hs256({ ...good(), tenant })),
    ],
  ],
  [
    'row 61: more than 8 KiB, and an encrypted token',
    [
      hs256({ ...good(), more: 'x'.repeat(9_000) }),
      `${encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..${['a', 'b', 'c'].join('.')}`,
    ],
  ],
])('%s is refused by every door', async (what, tokens) => {
  const isOfExp = what.startsWith('row 54')
  for (const token of tokens) {
    // A token that was good once has a code of its own, on which clients come again with another.
    const socket = isOfExp ? expect.stringMatching(/^440[13]$/) : '4401'
    expect(await outcomesOf(bySecret, token), token.slice(0, 200)).toMatchObject({ ...keptOut, socket })
  }
})

it('rows 52, 53, 57 and 58: what a key set does not prove is refused, and nothing else is asked for keys', async () => {
  const der = rsa.publicKey.export({ type: 'spki', format: 'der' })
  const jwk = rsa.publicKey.export({ format: 'jwk' })
  const certificate = certificateOf(otherRsa)
  const { raw, publicKey } = new X509Certificate(Buffer.from(certificate, 'base64'))
  expect(publicKey.equals(otherRsa.publicKey)).toBe(true)
  const thumbprint = createHash('sha256').update(raw).digest('base64url')
  const tokens = [
    ...[Buffer.from(pemOf(rsa.publicKey)), der, Buffer.from(JSON.stringify(jwk))].map((key) =>
      forge({ alg: 'HS256', kid: 'one' }, good(), key),
    ),
    forge({ alg: 'HS256', kid: 'one' }, good(), secret),
    rs256({ kid: 'two' }),
    forge({ alg: 'ES256', kid: 'one' }, good(), ec.privateKey),
    ...['../../etc/passwd', "' OR 1=1 --", `${elsewhere}/kid`, 'k'.repeat(1_000), 'k'.repeat(10_240)].map(
      (kid) => rs256({ kid }),
    ),
    ...Array.from({ length: 30 }, (_, index) =>
      rs256({ kid: createHash('sha1').update(`${index}`).digest('hex') }),
    ),
    rs256({ jku: `${elsewhere}/jku`, kid: 'three' }, good(), otherRsa.privateKey),
    rs256({ x5u: `${elsewhere}/x5u` }, good(), otherRsa.privateKey),
    ...[
      { jwk: otherRsa.publicKey.export({ format: 'jwk' }) },
      { x5c: [certificate] },
      { x5c: [certificate], 'x5t#S256': thumbprint, kid: thumbprint },
      { x5c: [certificate], jku: `${elsewhere}/jku`, kid: undefined },
    ].map((header) => rs256(header, good(), otherRsa.privateKey)),
  ]
  for (const token of tokens) {
    expect(await outcomesOf(byKeySet, token), token.slice(0, 200)).toMatchObject(keptOut)
  }
  expect(new Set(fetched)).toEqual(new Set(['/jwks']))
  expect(fetched.length).toBeLessThanOrEqual(2)
})

describe('row 60: another tenant that is named beside the token', () => {
  const tenant = 'neighbours'
  const headers = { tenant, 'x-tenant': tenant, 'x-tenant-id': tenant }
  const body = { extensions: { tenant } }
  const ours = '{ viewer { tenant { slug } } }'

  it('counts for nothing at any door', async () => {
    const token = hs256(good())
    const authorization = `Bearer ${token}`
    const answer = await fetch(`${bySecret.url}/graphql?tenant=${tenant}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization, ...headers },
      body: JSON.stringify({ query: ours, variables: { tenant }, ...body }),
    })
    expect(await answer.json()).toEqual({ data: { viewer: { tenant: { slug: 'demo' } } } })

    const frames = await openFrames(bySecret.url, { headers, params: { authorization, ...headers } })
    frames.send({ id: '1', type: 'subscribe', payload: { query: ours, variables: { tenant }, ...body } })
    const { payload } = await frames.until(({ id }) => id === '1')
    expect(payload).toEqual({ data: { viewer: { tenant: { slug: 'demo' } } } })
    frames.socket.terminate()

    const list = 'subscription { sessionChanged { sessionId } }'
    const stream = openEventStream(bySecret.url, token, list, { tenant }, { headers, body })
    expect(await stream.at(0)).toEqual({ sessionId: null })
    // The same user's there would be told first.
    await createApi(bySecret.url, hs256({ ...good(), tenant })).createSession()
    const sessionId = await createApi(bySecret.url, token).createSession()
    expect(await stream.at(1)).toEqual({ sessionId })
    stream.cut()
  })

  it('is no argument of anything', async () => {
    const token = hs256(good())
    const { errors } = await createApi(bySecret.url, token).send(
      `{ sessions(tenant: "${tenant}") { totalCount } }`,
    )
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }])
    const list = `subscription { sessionChanged(tenant: "${tenant}") { sessionId } }`
    expect((await openEventStream(bySecret.url, token, list).response).status).toBe(400)
    const frames = await openFrames(bySecret.url, { params: { token } })
    frames.subscribe('1', list)
    expect(await frames.until(({ id }) => id === '1')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    })
    frames.socket.terminate()
  })
})

describe('row 62', () => {
  it('what is open as its token expires ends by every door, and goes on with a fresh one', async () => {
    const { url } = bySecret
    const api = createApi(url, hs256(good()))
    const sessionId = await api.createSession()
    const { frames, stream } = await openLiveDoors(url, hs256({ ...good(), exp: now() + 3 }), sessionId)
    const after = (await stream.at(0)).cursor
    expect((await frames.closed).code).toBe(4403)
    await expect.poll(() => stream.failure, { timeout: 10_000 }).toBeDefined()

    await api.change('addMessages', { sessionId, messages: [{ role: 'USER', content: 'Meanwhile' }] })
    const missed = { __typename: 'MessageAdded', message: { content: 'Meanwhile' } }
    const token = hs256({ ...good(), exp: now() + 500 })
    const again = openEventStream(url, token, watchSession, { sessionId, after })
    expect(await again.at(0)).toMatchObject(missed)
    const socket = await openFrames(url, { params: { token } })
    socket.subscribe('1', watchSession, { sessionId, after })
    expect((await socket.until(({ id }) => id === '1')).payload.data.sessionEvents).toMatchObject(missed)
    again.cut()
    socket.socket.terminate()
  })

  it('a token that was revoked is refused by every door', async () => {
    const token = hs256({ ...good(), jti: 'left' })
    expect(await outcomesOf(bySecret, token)).toMatchObject(letIn)
    const admin = createApi(bySecret.url, hs256({ ...good(), sub: 'root', role: 'admin' }))
    await admin.change('revokeTokens', { tokenId: 'left' })
    expect(await outcomesOf(bySecret, token)).toMatchObject({ ...keptOut, socket: '4403' })
  })
})

it('row 62: what is open by a key that is withdrawn ends, and is refused from then on', async () => {
  const env = { JWT_ISSUER: issued.iss, JWT_AUDIENCE: issued.aud, JWT_JWKS_REFRESH_SECONDS: '1' }
  const app = await startTestApp({ env: { ...env, JWT_JWKS_URL: `${elsewhere}/jwks` } })
  const byOne = rs256({})
  const byTwo = forge({ alg: 'ES256', kid: 'two' }, good(), ec.privateKey)
  const sessionId = await createApi(app.url, byOne).createSession()
  const open = await Promise.all([byOne, byTwo].map((token) => openLiveDoors(app.url, token, sessionId)))
  const [lost, kept] = open
  keys = keys.filter((key) => !('kid' in key) || key.kid !== 'one')
  expect((await lost?.frames.closed)?.code).toBe(4403)
  await expect.poll(() => lost?.stream.failure).toBeDefined()
  expect(await outcomesOf(app, byOne)).toMatchObject(keptOut)
  expect(await outcomesOf(app, byTwo)).toMatchObject(letIn)
  kept?.frames.subscribe('2', '{ viewer { role } }')
  expect((await kept?.frames.until(({ id }) => id === '2'))?.type).toBe('next')
  expect(kept?.stream.failure).toBeUndefined()
  kept?.frames.socket.terminate()
  kept?.stream.cut()
})
