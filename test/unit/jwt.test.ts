import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ConfigError, developmentSecret } from '../../src/config.ts'
import {
  alice,
  ec,
  ec384,
  encode,
  forge,
  hs256,
  otherRsa,
  pemOf,
  refused,
  rsa,
  secret,
  tokensOf,
} from '../support/forge.ts'

describe('a good token', () => {
  test('gives its claims', async () => {
    const payload = { ...alice(), role: 'admin', name: 'Alice', email: 'alice@example.org' }
    expect(await tokensOf().verify(hs256(payload))).toEqual({
      subject: 'alice',
      tenant: 'demo',
      role: 'ADMIN',
      name: 'Alice',
      email: 'alice@example.org',
      expiresAt: new Date(payload.exp * 1000),
      issuedAt: new Date(payload.iat * 1000),
    })
  })

  test('speaks for a user where it names no role', async () => {
    expect(await tokensOf().verify(hs256(alice()))).toMatchObject({ role: 'USER' })
    expect(await tokensOf().verify(hs256({ ...alice(), role: 'service' }))).toMatchObject({ role: 'SERVICE' })
  })

  test('lives for 30 days at most, or as long as is configured', async () => {
    const now = Math.floor(Date.now() / 1000)
    const living = (days: number, iat: number) => hs256({ ...alice(), iat, exp: now + days * 86_400 })
    const refused = 'The token lives for 31 days; at most 30 are allowed (JWT_MAX_DAYS).'
    expect(await tokensOf().verify(living(30, now))).toBeDefined()
    // It does not become a good one as its time passes.
    for (const token of [living(31, now), living(1, now - 30 * 86_400)])
      await expect(tokensOf().verify(token)).rejects.toThrow(refused)
    expect(await tokensOf({ JWT_MAX_DAYS: '365' }).verify(living(31, now))).toBeDefined()
  })

  test('says when it was issued, so that it cannot outlive what is remembered of revocations', async () => {
    const { iat, ...undated } = alice()
    expect(iat).toBeTypeOf('number')
    const error = await refused(tokensOf(), hs256(undated))
    expect(error.message).toMatch(/iat is missing/)
  })

  test('may name its tenant under a configured claim and by its id', async () => {
    const tokens = tokensOf({ JWT_TENANT_CLAIM: 'https://example.org/tenant' })
    const payload = { ...alice(), 'https://example.org/tenant': 'tenant_01h455vb4pex5vsknk084sn02q' }
    expect(await tokens.verify(hs256(payload))).toMatchObject({ tenant: 'tenant_01h455vb4pex5vsknk084sn02q' })
  })

  test('comes back from what sign made, issuer and audience included', async () => {
    const tokens = tokensOf({ JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'parley' })
    const identity = { subject: 'alice', tenant: 'demo', role: 'ADMIN', name: 'Alice' } as const
    const token = tokens.sign?.(identity, { expiresIn: '2h' }) ?? ''
    const claims = await tokens.verify(token)
    expect(claims).toMatchObject(identity)
    expect(claims.expiresAt.getTime() - claims.issuedAt.getTime()).toBe(7_200_000)
  })

  test.each([
    ['RS256', rsa],
    ['RS512', rsa],
    ['ES256', ec],
    ['ES384', ec384],
  ])('may be signed with %s where the public key is of that kind', async (alg, { publicKey, privateKey }) => {
    const tokens = tokensOf({ JWT_PUBLIC_KEY: pemOf(publicKey) })
    expect(tokens.sign).toBeUndefined()
    expect(await tokens.verify(forge({ alg }, alice(), privateKey))).toMatchObject({ subject: 'alice' })
  })

  test('is proven by a public key that stands on one line of an env file', async () => {
    const tokens = tokensOf({ JWT_PUBLIC_KEY: pemOf(ec.publicKey).replaceAll('\n', '\\n') })
    const token = forge({ alg: 'ES256' }, alice(), ec.privateKey)
    expect(await tokens.verify(token)).toMatchObject({ subject: 'alice' })
  })
})

describe('a key that cannot be used is refused at start', () => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const edwards = generateKeyPairSync('ed25519')
  test.each([
    ['small', pemOf(small.publicKey)],
    ['of another kind', pemOf(edwards.publicKey)],
    ['broken', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'],
  ])('%s', (_, pem) => {
    expect(() => tokensOf({ JWT_PUBLIC_KEY: pem })).toThrow(ConfigError)
    expect(() => tokensOf({ JWT_PUBLIC_KEY: pem })).toThrow(
      /^.*JWT_PUBLIC_KEY: .*allowed is a PEM public key/s,
    )
  })
})

describe('algorithms', () => {
  test.each(['none', 'None', 'nOnE', ''])('an unsigned token is refused: alg %j', async (alg) => {
    for (const tokens of [tokensOf(), tokensOf({ JWT_PUBLIC_KEY: pemOf(rsa.publicKey) })]) {
      const error = await refused(tokens, forge({ alg }, alice()))
      expect(error.message).toMatch(/signed with .*, allowed: [HR]S256/)
      await refused(tokens, `${forge({ alg }, alice())}${hs256(alice()).split('.')[2]}`)
    }
  })

  test('a header that lost its signature or its alg is refused', async () => {
    await refused(tokensOf(), forge({ alg: 'HS256' }, alice()))
    await refused(tokensOf(), hs256(alice(), { alg: undefined }))
    await refused(tokensOf(), hs256(alice(), { alg: ['HS256'] }))
  })

  test.each([
    ['PEM', Buffer.from(pemOf(rsa.publicKey))],
    ['trimmed PEM', Buffer.from(pemOf(rsa.publicKey).trim())],
    ['DER', rsa.publicKey.export({ type: 'spki', format: 'der' })],
    ['JWK', Buffer.from(JSON.stringify(rsa.publicKey.export({ format: 'jwk' })))],
  ])('the public key as an HMAC secret is refused: %s', async (_, key) => {
    const tokens = tokensOf({ JWT_PUBLIC_KEY: pemOf(rsa.publicKey) })
    const error = await refused(tokens, forge({ alg: 'HS256' }, alice(), key))
    expect(error.message).toBe('The token is signed with HS256, allowed: RS256, RS384, RS512.')
  })

  test('an algorithm of another kind of key is refused', async () => {
    const ofRsa = tokensOf({ JWT_PUBLIC_KEY: pemOf(rsa.publicKey) })
    const ofEc = tokensOf({ JWT_PUBLIC_KEY: pemOf(ec.publicKey) })
    await refused(ofRsa, forge({ alg: 'ES256' }, alice(), ec.privateKey))
    await refused(ofRsa, forge({ alg: 'RS256' }, alice(), otherRsa.privateKey))
    const error = await refused(ofEc, forge({ alg: 'RS256' }, alice(), rsa.privateKey))
    expect(error.message).toBe('The token is signed with RS256, allowed: ES256.')
    await refused(ofEc, forge({ alg: 'ES384' }, alice(), ec384.privateKey))
    await refused(tokensOf(), forge({ alg: 'RS256' }, alice(), rsa.privateKey))
    await refused(tokensOf(), forge({ alg: 'HS512' }, alice(), secret))
  })

  test('what the sender wrote as algorithm is not repeated at length', async () => {
    const error = await refused(tokensOf(), hs256(alice(), { alg: '<b>'.repeat(50) }))
    expect(error.message).toBe('The token is signed with an unknown algorithm, allowed: HS256.')
  })
})

describe('issuer and audience', () => {
  const env = { JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'parley' }
  const good = () => ({ ...alice(), iss: env.JWT_ISSUER, aud: env.JWT_AUDIENCE })

  test('are accepted, in a list of audiences too', async () => {
    expect(await tokensOf(env).verify(hs256(good()))).toMatchObject({ subject: 'alice' })
    expect(await tokensOf(env).verify(hs256({ ...good(), aud: ['other', 'parley'] }))).toBeTruthy()
  })

  test.each([
    { iss: 'https://id.example.evil' },
    { iss: undefined },
    { iss: ['https://id.example'] },
    { aud: 'other' },
    { aud: undefined },
    { aud: ['other', 'parley2'] },
    { aud: [] },
    { aud: { parley: 'parley' } },
  ])('are refused: %j', async (change) => {
    const error = await refused(tokensOf(env), hs256({ ...good(), ...change }))
    expect(error.message).toMatch(/issuer|audience/)
  })
})

describe('claims', () => {
  test.each([undefined, '', null, ['demo'], 7, '*', 'Demo', '../demo', '-demo', 'demo\n', 'd'.repeat(64)])(
    'a tenant of %j is refused',
    async (tenant) => {
      const error = await refused(tokensOf(), hs256({ ...alice(), tenant }))
      expect(error.message).toMatch(/claims are not accepted: tenant /)
    },
  )

  test('the message names the configured tenant claim', async () => {
    const error = await refused(tokensOf({ JWT_TENANT_CLAIM: 'org' }), hs256(alice()))
    expect(error.message).toMatch(/: org is missing/)
  })

  test('a changed tenant claim breaks the signature', async () => {
    const [header, , signature] = hs256(alice()).split('.')
    const error = await refused(
      tokensOf(),
      `${header}.${encode({ ...alice(), tenant: 'other' })}.${signature}`,
    )
    expect(error.message).toMatch(/signature/)
  })

  test.each([undefined, '', 7, null, 'a\u0000b', 'a\nb', 'a'.repeat(256), '\ud800'])(
    'a subject of %j is refused',
    async (sub) => {
      expect((await refused(tokensOf(), hs256({ ...alice(), sub }))).message).toMatch(/sub /)
    },
  )

  test.each([
    { role: 'root' },
    { role: 'ADMIN' },
    { role: ['admin'] },
    { role: null },
    { name: 7 },
    { name: 'n'.repeat(256) },
    { email: { at: 'example.org' } },
    { email: 'e'.repeat(321) },
  ])('%j is refused', async (change) => {
    const error = await refused(tokensOf(), hs256({ ...alice(), ...change }))
    expect(error.message).toContain(`${Object.keys(change)[0]} `)
  })

  test.each(['text', null, 7])('a payload that is no object is refused: %j', async (payload) => {
    expect((await refused(tokensOf(), hs256(payload))).message).toMatch(/malformed/)
    expect((await refused(tokensOf(), hs256(payload, { typ: undefined }))).message).toMatch(/malformed/)
  })

  test('a payload that is a list is refused', async () => {
    expect((await refused(tokensOf(), hs256([alice()]))).message).toMatch(/sub is missing/)
  })
})

describe('the shape of a token', () => {
  test('more than 8 KiB are refused before anything is read, even of a good token', async () => {
    const error = await refused(tokensOf(), hs256({ ...alice(), padding: 'x'.repeat(9_000) }))
    expect(error.message).toBe('The token is longer than 8 KiB.')
    expect(await tokensOf().verify(hs256({ ...alice(), padding: 'x'.repeat(5_000) }))).toBeTruthy()
  })

  test('an encrypted token is refused', async () => {
    const error = await refused(tokensOf(), `${encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}.a.b.c.d`)
    expect(error.message).toMatch(/encrypted/)
  })

  test.each(['', 'x', '..', 'a.b', 'a.b.c', '\u0000.\u0000.\u0000', `${encode([])}.${encode({})}.x`])(
    'garbage is refused: %j',
    async (token) => {
      await refused(tokensOf(), token)
    },
  )

  test('critical extensions are refused', async () => {
    for (const crit of [['exp'], ['b64'], [], null]) {
      const error = await refused(tokensOf(), hs256(alice(), { crit, b64: false }))
      expect(error.message).toMatch(/crit/)
    }
  })

  test('no message repeats the token or the secret', async () => {
    const good = hs256(alice())
    for (const token of [good.slice(0, -4), `${good}.${good}`, hs256({ ...alice(), exp: 'x' }), `x${good}`]) {
      const { message } = await refused(tokensOf(), token)
      expect(message).not.toContain(developmentSecret)
      expect(message).not.toContain(token.slice(0, 20))
    }
  })
})
