import {
  constants,
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
      : signWith(hash, Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363', ...paddingOf(header.alg) })
  return `${signed}.${signature.toString('base64url')}`
}

const paddingOf = (alg: string) =>
  alg.startsWith('PS')
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {}

/** One element of DER. */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

const ofHex = (hex: string) => Buffer.from(hex, 'hex')

/** A certificate that an RSA key signs for itself, as it stands in an `x5c`. */
export function certificateOf({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }) {
  const sha256WithRsa = der(0x30, ofHex('06092a864886f70d01010b'), ofHex('0500'))
  const name = der(0x30, der(0x31, der(0x30, ofHex('0603550403'), der(0x0c, Buffer.from('forger')))))
  const validity = der(0x30, ...['250101', '450101'].map((day) => der(0x17, Buffer.from(`${day}000000Z`))))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const body = der(0x30, der(0x02, ofHex('01')), sha256WithRsa, name, validity, name, spki)
  const signature = der(0x03, ofHex('00'), signWith('sha256', body, privateKey))
  return der(0x30, body, sha256WithRsa, signature).toString('base64')
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
