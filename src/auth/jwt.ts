import { randomUUID } from 'node:crypto'
import jwt, { type JwtPayload, type SignOptions } from 'jsonwebtoken'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { UnauthenticatedError } from '../lib/errors.ts'
import { createKeySource, secretKey, type VerificationKey } from './keys.ts'

/** Who a token speaks for. `subject` is the user's id at the identity provider, `tenant` a slug or a tenant id. */
export type Identity = {
  subject: string
  tenant: string
  role: 'USER' | 'ADMIN' | 'SERVICE'
  name?: string | undefined
  email?: string | undefined
}

/** What a token says, proven by its signature; it holds until `expiresAt`. */
export type Claims = Identity & {
  expiresAt: Date
  issuedAt: Date
  /** The `jti`, by which one token can be revoked. */
  tokenId?: string | undefined
}

export type Tokens = {
  /**
   * Fails with `ExpiredTokenError` where a token was good once, and with `UnauthenticatedError` for any other
   * fault of the token; with another error where the identity provider's keys cannot be had at all.
   */
  verify(token: string): Promise<Claims>
  /** Absent where tokens are proven by a public key. `expiresIn`: seconds, or a text such as `'8h'`. */
  sign?(identity: Identity, options: { expiresIn: NonNullable<SignOptions['expiresIn']> }): string
  /**
   * Milliseconds for which a connection may stand on a token that was accepted now: until its end, and where that is past by
   * the clock of this server, until it is by any.
   */
  holdsForMs(claims: Pick<Claims, 'expiresAt'>): number
  /** Tells that a key was withdrawn: what was proven before may be so no more. */
  follow(listener: () => void): void
  /** Looks for changes of the keys no more. */
  stop(): void
}

/** A fresh token mends it, so it is told apart: sockets close with 4403, and clients come back. */
export class ExpiredTokenError extends UnauthenticatedError {}

/** The same for a token that was good until somebody revoked it. */
export class RevokedTokenError extends UnauthenticatedError {}

const dayMs = 86_400_000
const maxTokenLength = 8_192
/** A token that was proven just now need not be proven again. */
const trustedForMs = 5_000

/** Throws a `ConfigError` where the configured key cannot be used. */
export function createTokens(auth: Config['auth']): Tokens {
  const proven = new LRUCache<string, Claims>({ max: 10_000, ttl: trustedForMs })
  const listeners: (() => void)[] = []
  const keys = createKeySource(auth, () => {
    proven.clear()
    for (const listener of listeners) listener()
  })

  const prove = async (token: string) => {
    const header = readHeader(token)
    const { key, algorithms } = await keys.find(header.kid)
    if (!algorithms.some((algorithm) => algorithm === header.alg))
      throw new UnauthenticatedError(
        `The token is signed with ${nameOf(header.alg)}, allowed: ${algorithms.join(', ')}.`,
      )
    const claims = readClaims(readPayload(token, key, algorithms, auth), auth.tenantClaim)
    requireIssued(claims, auth.clockToleranceSeconds)
    requireShort(claims, auth.maxDays)
    return claims
  }

  const verify = async (token: string) => {
    const known = proven.get(token)
    if (known && known.expiresAt.getTime() > Date.now()) return known
    const claims = await prove(token)
    proven.set(token, claims)
    return claims
  }

  const holdsForMs: Tokens['holdsForMs'] = ({ expiresAt }) => {
    const leftMs = expiresAt.getTime() - Date.now()
    return leftMs > 0 ? leftMs : leftMs + auth.clockToleranceSeconds * 1_000
  }

  const follow = (listener: () => void) => void listeners.push(listener)
  const proving = { verify, holdsForMs, follow, stop: keys.stop }
  if (auth.secret === undefined) return proving
  const { key } = secretKey(auth.secret)
  return {
    ...proving,
    sign: ({ subject, tenant, role, name, email }, { expiresIn }) => {
      const { issuer: iss, audience: aud, tenantClaim } = auth
      const payload = { sub: subject, [tenantClaim]: tenant, role: role.toLowerCase(), name, email, iss, aud }
      return jwt.sign(payload, key, { algorithm: 'HS256', expiresIn, jwtid: randomUUID() })
    },
  }
}

const headerSchema = z.object({
  alg: z.string(),
  kid: z.string().max(255).optional(),
  crit: z.undefined().optional(),
})

/**
 * Only `alg` and `kid` are ever looked at: what a header says about keys and where to fetch them (jku, x5u,
 * jwk, x5c) is the sender's word.
 */
function readHeader(token: string) {
  if (token.length > maxTokenLength) throw new UnauthenticatedError('The token is longer than 8 KiB.')
  const parts = token.split('.')
  if (parts.length === 5) throw new UnauthenticatedError('The token is encrypted; only signed ones are read.')
  if (parts.length !== 3) throw new UnauthenticatedError('The token is malformed: it is not a JWT.')
  const header = headerSchema.safeParse(parse(parts[0] ?? ''))
  if (header.success) return header.data
  const faulty = new Set(header.error.issues.map((issue) => issue.path[0]))
  if (faulty.has('crit'))
    throw new UnauthenticatedError("The token's header has critical extensions (crit); none is supported.")
  if (faulty.has('kid'))
    throw new UnauthenticatedError("The token's key id (kid) is not a text of at most 255 characters.")
  throw new UnauthenticatedError('The token is malformed: its header cannot be read.')
}

function parse(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return undefined
  }
}

/** An algorithm's name comes from the sender; only what looks like one is repeated. */
const nameOf = (alg: string) => (/^[A-Za-z0-9-]{1,12}$/.test(alg) ? alg : 'an unknown algorithm')

function readPayload(
  token: string,
  key: VerificationKey['key'],
  algorithms: VerificationKey['algorithms'],
  { issuer, audience, clockToleranceSeconds: clockTolerance }: Config['auth'],
): JwtPayload {
  try {
    const payload = jwt.verify(token, key, { algorithms: [...algorithms], clockTolerance, issuer, audience })
    if (typeof payload === 'object') return payload
  } catch (cause) {
    throw refusal(cause)
  }
  throw new UnauthenticatedError('The token is malformed: its claims are not an object.')
}

function refusal(cause: unknown): UnauthenticatedError {
  if (cause instanceof jwt.TokenExpiredError)
    return new ExpiredTokenError(`The token has expired at ${stamp(cause.expiredAt)}.`, { cause })
  if (cause instanceof jwt.NotBeforeError)
    return new UnauthenticatedError(`The token is not valid before ${stamp(cause.date)}.`, { cause })
  if (cause instanceof jwt.JsonWebTokenError)
    return new UnauthenticatedError(`The token is refused: ${cause.message}.`, { cause })
  return new UnauthenticatedError('The token is malformed: it cannot be read.', { cause })
}

/** A token may carry a time that no calendar has. */
const stamp = (date: Date) => (Number.isNaN(date.getTime()) ? 'an impossible time' : date.toISOString())

const text = (maxLength: number) =>
  z
    .string({ error: (issue) => (issue.input === undefined ? 'is missing' : 'is not a text') })
    .min(1, 'is empty')
    .max(maxLength, `is longer than ${maxLength} characters`)
    .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), 'holds control characters')

/** Seconds since 1970 up to the year 9999, which leaves out the common mistake of milliseconds. */
const seconds = z
  .number({ error: (issue) => (issue.input === undefined ? 'is missing' : 'is not a number') })
  .positive('is not a time in seconds since 1970')
  .max(253_402_300_799, 'is not a time in seconds since 1970')

const payloadSchema = z.object({
  sub: text(255),
  tenant: text(63).regex(
    /^[a-z0-9][a-z0-9_-]*$/,
    'is not a tenant; allowed are a-z, 0-9, _ and -, beginning with a letter or digit',
  ),
  role: z.enum(['user', 'admin', 'service'], 'is unknown; allowed: user, admin, service').default('user'),
  name: text(255).optional(),
  email: text(320).optional(),
  jti: text(255).optional(),
  exp: seconds,
  iat: seconds,
})

const roles = { user: 'USER', admin: 'ADMIN', service: 'SERVICE' } as const

function readClaims(payload: JwtPayload, tenantClaim: string): Claims {
  const parsed = payloadSchema.safeParse({ ...payload, tenant: payload[tenantClaim] })
  if (!parsed.success) {
    const faults = parsed.error.issues.map(
      ({ path: [name], message }) => `${name === 'tenant' ? tenantClaim : String(name)} ${message}`,
    )
    throw new UnauthenticatedError(`The token's claims are not accepted: ${faults.join('; ')}.`)
  }
  const { sub, role, exp, iat, jti, ...rest } = parsed.data
  return {
    ...rest,
    subject: sub,
    role: roles[role],
    expiresAt: new Date(exp * 1000),
    tokenId: jti,
    issuedAt: new Date(iat * 1000),
  }
}

/** `jsonwebtoken` looks at the end and the beginning of a token alone. */
function requireIssued({ issuedAt }: Claims, clockToleranceSeconds: number): void {
  if (issuedAt.getTime() > Date.now() + clockToleranceSeconds * 1_000)
    throw new UnauthenticatedError("The token's claims are not accepted: iat is in the future.")
}

/** What is revoked is remembered for as long as a token can live, so none may live for longer. */
function requireShort({ expiresAt, issuedAt }: Claims, maxDays: number): void {
  const days = (expiresAt.getTime() - issuedAt.getTime()) / dayMs
  if (days > maxDays)
    throw new UnauthenticatedError(
      `The token lives for ${Math.ceil(days)} days; at most ${maxDays} are allowed (JWT_MAX_DAYS).`,
    )
}
