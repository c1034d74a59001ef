import {
  createHash,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../support/api.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import { withStoppedClock } from '../support/clock.ts'
import {
  alice,
  certificateOf,
  ec,
  ec384,
  forge,
  now,
  otherRsa,
  pemOf,
  rsa,
  secret,
} from '../support/forge.ts'
import { openLiveDoors } from '../support/live-doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { keptOut, letIn, outcomesOf } from '../support/token-doors.ts'

const smallRsa = generateKeyPairSync('rsa', { modulusLength: 1024 })
const published = createSecretKey(Buffer.from('p'.repeat(64)))

const jwkOf = ({ publicKey }: { publicKey: KeyObject }, members: object) => ({
  ...publicKey.export({ format: 'jwk' }),
  use: 'sig',
  ...members,
})

/** What the key set holds: keys that name no algorithm, one that does, and what is of no use for proofs. */
const keys = [
  jwkOf(rsa, { kid: 'one' }),
  jwkOf(ec, { kid: 'two' }),
  jwkOf(rsa, { kid: 'of RS256', alg: 'RS256' }),
  jwkOf(ec, { kid: 'misnamed', alg: 'RS256' }),
  jwkOf(smallRsa, { kid: 'small' }),
  { ...published.export({ format: 'jwk' }), use: 'sig', kid: 'secret', alg: 'HS256' },
]
/** What the set of which a key is withdrawn holds now. */
let rotated = keys.slice(0, 2)
/** What was asked of the one who holds the key sets, and of whom tokens may name besides. */
const fetched: string[] = []
let elsewhere: string

/** Servers that prove tokens by a key set, and by one public key. */
let byKeySet: TestApp
let byPublicKey: TestApp

const rs256 = (header: object, payload: object = alice(), key = rsa.privateKey) =>
  forge({ alg: 'RS256', kid: 'one', ...header }, payload, key)

beforeAll(async () => {
  const provider = createServer(({ url = '' }, response) => {
    if (url !== '/rotated') fetched.push(url)
    const set = { keys: url === '/rotated' ? rotated : keys }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(set))
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  atEndOfFile(() => {
    provider.closeAllConnections()
    provider.close()
  })
  elsewhere = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const keySet = { JWT_JWKS_URL: `${elsewhere}/jwks`, JWT_JWKS_REFRESH_SECONDS: '3600' }
  byKeySet = await startTestApp({ env: keySet })
  byPublicKey = await startTestApp({ env: { JWT_PUBLIC_KEY: pemOf(rsa.publicKey) } })
})
/** The one beside signs in by the key set as well. */
besideNeighbour(() => {
  const token = ({ user = 'alice', tenant = 'demo' }: Identity = {}) =>
    rs256({}, { ...alice(), sub: user, tenant, exp: now() + 3_600 })
  return { ...byKeySet, token, api: (identity) => createApi(byKeySet.url, token(identity)) }
})

it('lets in who has a token of one of the keys', async () => {
  expect(await outcomesOf(byPublicKey, rs256({}))).toMatchObject(letIn)
  for (const token of [
    rs256({}),
    forge({ alg: 'RS384', kid: 'one' }, alice(), rsa.privateKey),
    forge({ alg: 'ES256', kid: 'two' }, alice(), ec.privateKey),
    rs256({ kid: 'of RS256' }),
  ])
    expect(await outcomesOf(byKeySet, token)).toMatchObject(letIn)
  expect(fetched).toEqual(['/jwks'])
})

it.each([
  ['PEM', Buffer.from(pemOf(rsa.publicKey))],
  ['trimmed PEM', Buffer.from(pemOf(rsa.publicKey).trim())],
  ['DER', rsa.publicKey.export({ type: 'spki', format: 'der' })],
  ['JWK', Buffer.from(JSON.stringify(rsa.publicKey.export({ format: 'jwk' })))],
  ['JWK as it is in the set', Buffer.from(JSON.stringify(keys[0]))],
  ['nothing, but the secret of development', secret],
])('row 52: HS256 by the public key is refused by every door: %s', async (_, key) => {
  const reason = 'The token is signed with HS256, allowed: RS256, RS384, RS512.'
  const token = forge({ alg: 'HS256', kid: 'one' }, alice(), key)
  for (const app of [byKeySet, byPublicKey])
    expect(await outcomesOf(app, token)).toMatchObject({ ...keptOut, reason })
})

const ofRsa = 'allowed: RS256, RS384, RS512.'
const unknown = "The token's key id (kid) is unknown here."

it.each<[string, string, string]>([
  ['RSA for a key of EC', rs256({ kid: 'two' }), 'The token is signed with RS256, allowed: ES256.'],
  [
    'EC for a key of RSA',
    forge({ alg: 'ES256', kid: 'one' }, alice(), ec.privateKey),
    `The token is signed with ES256, ${ofRsa}`,
  ],
  [
    'EC of another curve',
    forge({ alg: 'ES384', kid: 'two' }, alice(), ec384.privateKey),
    'The token is signed with ES384, allowed: ES256.',
  ],
  // Nothing but the server's own list is against these three: the signature is good, and the library would take them.
  [
    'another padding by the right key, whose JWK has no alg',
    forge({ alg: 'PS256', kid: 'one' }, alice(), rsa.privateKey),
    `The token is signed with PS256, ${ofRsa}`,
  ],
  [
    'another hash by the right key, whose JWK has an alg',
    forge({ alg: 'RS384', kid: 'of RS256' }, alice(), rsa.privateKey),
    'The token is signed with RS384, allowed: RS256.',
  ],
  ['a key of 1024 bits', rs256({ kid: 'small' }, alice(), smallRsa.privateKey), unknown],
  [
    'a key whose JWK names the algorithm of another kind',
    forge({ alg: 'ES256', kid: 'misnamed' }, alice(), ec.privateKey),
    unknown,
  ],
  ['a secret that is published', forge({ alg: 'HS256', kid: 'secret' }, alice(), published), unknown],
])('row 53: the wrong kind of key is refused by every door: %s', async (_, token, reason) => {
  expect(await outcomesOf(byKeySet, token)).toMatchObject({ ...keptOut, reason })
})

const noName = "The token's key id (kid) is not a text of at most 255 characters."

describe('kids', () => {
  // The clock is set back after each test; what was looked for then was so in the future.
  let passedMs = 0
  const nextLookMs = () => {
    passedMs += 60_000
    return passedMs
  }

  it.each<[string, () => unknown, string]>([
    ['a path', () => '../../etc/passwd', unknown],
    ['a path of the provider', () => '/kid', unknown],
    ['a quote', () => "' OR 1=1 --", unknown],
    ['an address', () => `${elsewhere}/kid`, unknown],
    ['a property of every object', () => '__proto__', unknown],
    ['a list', () => ['one'], noName],
    ['256 characters', () => 'k'.repeat(256), noName],
    ['10 KB', () => 'k'.repeat(10_240), 'The token is longer than 8 KiB.'],
  ])('row 57: a kid is no more than a name: %s', async (_, kid, reason) => {
    await withStoppedClock(async (pass) => {
      pass(nextLookMs())
      const before = fetched.length
      expect(await outcomesOf(byKeySet, rs256({ kid: kid() }))).toMatchObject({ ...keptOut, reason })
      // Whoever looks for it reads the whole set; what is no name is not looked for.
      expect(fetched.slice(before)).toEqual(reason === unknown ? ['/jwks'] : [])
    })
  })

  it('row 57: a flood of unknown kids has the keys fetched once in 30 s at most', async () => {
    const kids = Array.from({ length: 100 }, (_, index) =>
      createHash('sha1').update(`${index}`).digest('hex'),
    )
    const flood = async () => {
      for (const kid of kids.slice(0, 5))
        expect(await outcomesOf(byKeySet, rs256({ kid }))).toMatchObject({ ...keptOut, reason: unknown })
      const answers = await Promise.all(
        kids.map((kid) => createApi(byKeySet.url, rs256({ kid })).send('{ viewer { role } }')),
      )
      for (const { errors } of answers) expect(errors?.[0]?.message).toBe(unknown)
    }
    await withStoppedClock(async (pass) => {
      expect(await outcomesOf(byKeySet, rs256({}))).toMatchObject(letIn)
      pass(nextLookMs() - 30_000)
      for (const round of [1, 2]) {
        pass(30_000)
        const before = fetched.length
        await flood()
        pass(29_999)
        await flood()
        expect(fetched.slice(before), `round ${round}`).toEqual(['/jwks'])
        pass(1)
      }
    })
    expect(await outcomesOf(byKeySet, rs256({}))).toMatchObject(letIn)
  })
})

it('row 58: keys that a token brings along or points to are never used, and nothing else is asked for keys', async () => {
  const certificate = certificateOf(otherRsa)
  const { raw, publicKey } = new X509Certificate(Buffer.from(certificate, 'base64'))
  expect(publicKey.equals(otherRsa.publicKey)).toBe(true)
  const thumbprint = createHash('sha256').update(raw).digest('base64url')
  const before = fetched.length
  for (const header of [
    { jku: `${elsewhere}/jku`, kid: 'three' },
    { x5u: `${elsewhere}/x5u` },
    { jwk: otherRsa.publicKey.export({ format: 'jwk' }) },
    { x5c: [certificate] },
    { x5c: [certificate], 'x5t#S256': thumbprint, kid: thumbprint },
    { x5c: [certificate], jku: `${elsewhere}/jku`, kid: undefined },
  ])
    expect(
      await outcomesOf(byKeySet, rs256(header, alice(), otherRsa.privateKey)),
      JSON.stringify(header),
    ).toMatchObject(keptOut)
  expect(fetched.slice(before).filter((path) => path !== '/jwks')).toEqual([])
})

it('row 62: what is open by a key that is withdrawn ends, and is refused from then on', async () => {
  const app = await startTestApp({
    env: { JWT_JWKS_REFRESH_SECONDS: '1', JWT_JWKS_URL: `${elsewhere}/rotated` },
  })
  const byOne = rs256({})
  const byTwo = forge({ alg: 'ES256', kid: 'two' }, alice(), ec.privateKey)
  const sessionId = await createApi(app.url, byOne).createSession()
  const open = await Promise.all([byOne, byTwo].map((token) => openLiveDoors(app.url, token, sessionId)))
  const [lost, kept] = open
  rotated = keys.slice(1, 2)
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
