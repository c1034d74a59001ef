import type { KeyObject } from 'node:crypto'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { UnauthenticatedError } from '../../src/lib/errors.ts'
import { alice, ec, forge, hs256, otherRsa, pemOf, refused, rsa, secret, tokensOf } from '../support/forge.ts'

describe('a key set', () => {
  let provider: Server
  let requests: string[]
  let answer: { status: number; body: string }
  const url = (path = '/jwks') => `http://127.0.0.1:${(provider.address() as AddressInfo).port}${path}`
  const serve = (...keys: object[]) => {
    answer = { status: 200, body: JSON.stringify({ keys }) }
  }
  const jwk = ({ publicKey }: { publicKey: KeyObject }, members: object) => ({
    ...publicKey.export({ format: 'jwk' }),
    use: 'sig',
    ...members,
  })
  const rs256 = (header: object, payload: object = alice(), key = rsa.privateKey) =>
    forge({ alg: 'RS256', ...header }, payload, key)
  const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    requests = []
    provider = createServer((request, response) => {
      requests.push(request.url ?? '')
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
    })
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
    serve(jwk(ec, { kid: 'two' }), jwk(rsa, { kid: 'one', alg: 'RS256' }))
  })
  afterEach(async () => {
    vi.useRealTimers()
    provider.closeAllConnections()
    await new Promise((resolve) => provider.close(resolve))
  })

  test('proves tokens by their kid, with one fetch for all keys and all callers', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    const both = [rs256({ kid: 'one' }), forge({ alg: 'ES256', kid: 'two' }, alice(), ec.privateKey)]
    const claims = await Promise.all([...both, ...both].map((token) => tokens.verify(token)))
    expect(claims.map(({ subject }) => subject)).toEqual(['alice', 'alice', 'alice', 'alice'])
    expect(requests).toEqual(['/jwks'])
    expect(tokens.sign).toBeUndefined()
  })

  test('holds each key to its own kind and algorithm', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    await refused(tokens, rs256({ kid: 'two' }))
    await refused(tokens, forge({ alg: 'RS512', kid: 'one' }, alice(), rsa.privateKey))
    await refused(tokens, forge({ alg: 'ES256', kid: 'one' }, alice(), ec.privateKey))
    await refused(tokens, forge({ alg: 'HS256', kid: 'one' }, alice(), Buffer.from(pemOf(rsa.publicKey))))
    await refused(tokens, rs256({ kid: 'one' }, alice(), otherRsa.privateKey))
  })

  test('of one key serves tokens without a kid, of several it does not', async () => {
    await refused(tokensOf({ JWT_JWKS_URL: url() }), rs256({}))
    serve(jwk(rsa, {}))
    expect(await tokensOf({ JWT_JWKS_URL: url() }).verify(rs256({}))).toMatchObject({ subject: 'alice' })
  })

  test('a flood of unknown kids fetches at most once in 30 s, and a rotation gets through', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    await tokens.verify(rs256({ kid: 'one' }))
    const flood = () =>
      Promise.all(Array.from({ length: 200 }, (_, n) => refused(tokens, rs256({ kid: `unknown-${n}` }))))
    await flood()
    expect(requests.length).toBe(1)
    pass(30_000)
    await flood()
    await flood()
    expect(requests.length).toBe(2)

    serve(jwk(otherRsa, { kid: 'three' }))
    pass(30_000)
    const fresh = rs256({ kid: 'three' }, alice(), otherRsa.privateKey)
    expect(await tokens.verify(fresh)).toMatchObject({ subject: 'alice' })
    await refused(tokens, rs256({ kid: 'one' }))
    expect(requests.length).toBe(3)
  })

  test.each(['../../etc/passwd', "' OR 1=1 --", 'http://127.0.0.1:9/keys', '__proto__', '', 'k'.repeat(300)])(
    'a kid is nothing but a name: %j',
    async (kid) => {
      await refused(tokensOf({ JWT_JWKS_URL: url() }), rs256({ kid }))
      expect(requests.every((path) => path === '/jwks')).toBe(true)
    },
  )

  test('a kid of 5 KB or of another type is refused without a fetch', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    for (const kid of ['k'.repeat(5_000), 7, ['one'], null])
      expect((await refused(tokens, rs256({ kid }))).message).toMatch(/kid/)
    expect(requests).toEqual([])
  })

  test('keys that a token brings along or points to are never used', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    const own = jwk(otherRsa, { kid: 'own', alg: 'RS256' })
    const header = { kid: 'own', jku: url('/evil'), x5u: url('/evil'), jwk: own, x5c: ['MIIB'] }
    await refused(tokens, rs256(header, alice(), otherRsa.privateKey))
    await refused(tokens, rs256({ ...header, kid: 'one' }, alice(), otherRsa.privateKey))
    expect(requests).toEqual(['/jwks'])
  })

  test('is read again and again without being asked, and tells of a key that is gone', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url(), JWT_JWKS_REFRESH_SECONDS: '1' })
    const told = vi.fn()
    tokens.follow(told)
    const token = rs256({ kid: 'one' })
    await tokens.verify(token)
    // While the provider is away the old keys hold, and nobody waits for it.
    answer = { status: 503, body: '' }
    await expect.poll(() => requests.length).toBeGreaterThanOrEqual(2)
    expect(await tokens.verify(rs256({ kid: 'one' }, { ...alice(), name: 'Other' }))).toBeDefined()
    // One more is no reason to look at what is open.
    const both = [jwk(rsa, { kid: 'one' }), jwk(ec, { kid: 'two' })]
    serve(...both, jwk(otherRsa, { kid: 'three' }))
    const asked = requests.length
    await expect.poll(() => requests.length).toBeGreaterThan(asked + 1)
    expect(told).not.toHaveBeenCalled()
    // The clock stands still: what was proven a moment ago is looked at anew all the same.
    serve(jwk(otherRsa, { kid: 'one' }), jwk(ec, { kid: 'two' }))
    await expect.poll(() => told.mock.calls.length).toBe(1)
    await refused(tokens, token)
    tokens.stop()
    const last = requests.length
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(requests.length).toBe(last)
  })

  test('that was never loaded is a fault of the server, and is tried again soon', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    answer = { status: 503, body: '' }
    const error = await tokens.verify(rs256({ kid: 'one' })).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(UnauthenticatedError)
    serve(jwk(rsa, { kid: 'one' }))
    pass(1_000)
    expect(await tokens.verify(rs256({ kid: 'one' }))).toMatchObject({ subject: 'alice' })
  })

  test('is asked once at a time, however long it takes', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    const { promise: asked, resolve: ask } = Promise.withResolvers<ServerResponse>()
    provider.removeAllListeners('request')
    provider.on('request', (request, response) => {
      requests.push(request.url ?? '')
      ask(response)
    })
    const first = tokens.verify(rs256({ kid: 'one' }))
    const response = await asked
    pass(5_000)
    const second = tokens.verify(rs256({ kid: 'one' }))
    response.end(answer.body)
    expect(await Promise.all([first, second])).toMatchObject([{ subject: 'alice' }, { subject: 'alice' }])
    expect(requests.length).toBe(1)
  })

  test('is not followed to another address', async () => {
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    provider.removeAllListeners('request')
    provider.on('request', (request, response) => {
      requests.push(request.url ?? '')
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    await expect(tokens.verify(rs256({ kid: 'one' }))).rejects.toThrow('could not be loaded')
    expect(requests).toEqual(['/jwks'])
  })

  test('leaves out private, symmetric and unusable keys', async () => {
    serve(
      jwk(rsa, { kid: 'one' }),
      { kty: 'oct', k: secret.export({ format: 'jwk' }).k, kid: 'oct', alg: 'HS256' },
      jwk(ec, { kid: 'encryption', use: 'enc' }),
      { ...otherRsa.privateKey.export({ format: 'jwk' }), kid: 'private' },
    )
    const tokens = tokensOf({ JWT_JWKS_URL: url() })
    await tokens.verify(rs256({ kid: 'one' }))
    await refused(tokens, hs256(alice(), { kid: 'oct' }))
    await refused(tokens, forge({ alg: 'ES256', kid: 'encryption' }, alice(), ec.privateKey))
    await refused(tokens, rs256({ kid: 'private' }, alice(), otherRsa.privateKey))
  })
})
