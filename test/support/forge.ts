import {
  createHmac,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
} from 'node:crypto'
import { expect } from 'vitest'
import { createTokens, type Tokens } from '../../src/auth/jwt.ts'
import { developmentSecret, loadConfig } from '../../src/config.ts'
import { UnauthenticatedError } from '../../src/lib/errors.ts'

export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const ec384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
export const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()

export const now = () => Math.floor(Date.now() / 1000)
export const alice = () => ({ sub: 'alice', tenant: 'demo', iat: now(), exp: now() + 600 })

export const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Makes any token at all, the wrong ones too, which is why no library does it. */
export function forge(
  header: { alg: string } & Record<string, unknown>,
  payload: unknown,
  key?: KeyObject | Buffer,
) {
  const signed = `${encode({ typ: 'JWT', ...header })}.${encode(payload)}`
  const hash = `sha${/\d{3}$/.exec(header.alg)?.[0] ?? '256'}`
  if (key === undefined) return `${signed}.`
  const signature =
    Buffer.isBuffer(key) || key.type === 'secret'
      ? createHmac(hash, key).update(signed).digest()
      : signWith(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

export const secret = createSecretKey(Buffer.from(developmentSecret))
export const hs256 = (payload: unknown, header: Record<string, unknown> = {}) =>
  forge({ alg: 'HS256', ...header }, payload, secret)

export const tokensOf = (env: Record<string, string> = {}) => createTokens(loadConfig(env).auth)

/** Fails where the token is accepted, or refused with an error that is not the token's. */
export async function refused(tokens: Tokens, token: string) {
  const error = await tokens.verify(token).then(
    (claims) => expect.fail(`accepted: ${JSON.stringify(claims)}`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(UnauthenticatedError)
  return error as UnauthenticatedError
}
