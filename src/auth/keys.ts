import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { Algorithm } from 'jsonwebtoken'
import jwksRsa from 'jwks-rsa'
import { type Config, ConfigError } from '../config.ts'
import { UnauthenticatedError } from '../lib/errors.ts'

/** A key, and the algorithms it may be used with: told by the key, never by the token. */
export type VerificationKey = { key: KeyObject; algorithms: readonly Algorithm[] }

export type KeySource = {
  /** Finds the key for a token's `kid`; throws an `UnauthenticatedError` where there is none. */
  find(kid: string | undefined): Promise<VerificationKey>
  /** Reads no more. */
  stop(): void
}

/**
 * Throws a `ConfigError` where the configured key cannot be used. `withdrawn` is told that a key which may have proven
 * something is there no more, or is another one now.
 */
export function createKeySource(
  { secret, publicKey, jwksUrl, jwksRefreshMs }: Config['auth'],
  withdrawn: () => void,
): KeySource {
  if (jwksUrl !== undefined) return createJwks({ jwksUrl, refreshMs: jwksRefreshMs, withdrawn })
  const single = publicKey === undefined ? secretKey(secret) : pemKey(publicKey)
  return { find: async () => single, stop() {} }
}

/** An HMAC key object, which no PEM text inside the secret can turn into a public key. */
export function secretKey(secret: string | undefined): VerificationKey {
  if (secret === undefined)
    throw new ConfigError(['JWT_SECRET: is not set; nothing else proves tokens either'])
  return { key: createSecretKey(Buffer.from(secret)), algorithms: ['HS256'] }
}

function pemKey(pem: string): VerificationKey {
  const usable = 'allowed is a PEM public key: RSA of at least 2048 bits, or EC P-256, P-384 or P-521'
  try {
    // Env files hold a key on one line, with its line breaks written as \n.
    const key = createPublicKey(pem.replaceAll('\\n', '\n'))
    const algorithms = algorithmsOf(key)
    if (algorithms.length > 0) return { key, algorithms }
  } catch (cause) {
    throw new ConfigError([`JWT_PUBLIC_KEY: cannot be read (${(cause as Error).message}); ${usable}`])
  }
  throw new ConfigError([`JWT_PUBLIC_KEY: is a key of another kind; ${usable}`])
}

const algorithmsOfCurve: Record<string, readonly Algorithm[]> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
}

function algorithmsOf(key: KeyObject): readonly Algorithm[] {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return ['RS256', 'RS384', 'RS512']
  return algorithmsOfCurve[namedCurve] ?? []
}

const fetchTimeoutMs = 5_000
/** Between two looks for keys that nobody knows. */
const lookPauseMs = 30_000
/** Before the first success every user is locked out, so that attempt is repeated sooner. */
const firstPauseMs = 1_000

type Keys = ReadonlyMap<string | undefined, VerificationKey>
type KeySet = { jwksUrl: string; refreshMs: number; withdrawn: () => void }

/**
 * The key set of an identity provider, read with the first token and from then on in the background, whether anybody
 * asks or not: what is open with a withdrawn key has to end. Each time the whole set is replaced. A kid that is unknown
 * has it read between, spaced by a clock of its own, so that a flood of such can neither hammer the provider nor use up
 * the reads that a rotation needs. While the provider is away the last known keys stay valid.
 */
function createJwks({ jwksUrl, refreshMs, withdrawn }: KeySet): KeySource {
  const client = jwksRsa({ jwksUri: jwksUrl, fetcher: fetchJson })
  let keys: Keys | undefined
  let lookedAt = Number.NEGATIVE_INFINITY
  let loading: Promise<void> | undefined
  let failure: unknown
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  const load = async () => {
    clearTimeout(timer)
    try {
      const before = keys
      keys = byKid(await client.getSigningKeys())
      if (before && lacksSome(keys, before)) withdrawn()
    } catch (cause) {
      failure = cause
    } finally {
      loading = undefined
      if (keys && !isStopped) timer = setTimeout(() => (loading ??= load()), refreshMs).unref()
    }
  }

  const look = () => {
    const pauseMs = keys ? lookPauseMs : firstPauseMs
    if (loading !== undefined || Date.now() - lookedAt < pauseMs) return loading
    lookedAt = Date.now()
    loading = load()
    return loading
  }

  return {
    async find(kid) {
      if (!keys?.has(kid)) await look()
      const found = keys?.get(kid)
      if (found) return found
      // The provider's absence is no fault of the caller: 401 would make clients throw a good token away.
      if (!keys) throw new Error('The keys of JWT_JWKS_URL could not be loaded', { cause: failure })
      throw new UnauthenticatedError("The token's key id (kid) is unknown here.")
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

const lacksSome = (now: Keys, before: Keys) =>
  [...before].some(([kid, { key }]) => now.get(kid)?.key.equals(key) !== true)

/** A set of one key serves tokens without a `kid` too. */
function byKid(signingKeys: readonly jwksRsa.SigningKey[]): Map<string | undefined, VerificationKey> {
  const keys = new Map<string | undefined, VerificationKey>()
  for (const { kid, alg, getPublicKey } of signingKeys) {
    const key = createPublicKey(getPublicKey())
    const algorithms = algorithmsOf(key).filter((algorithm) => !alg || alg === algorithm)
    if (algorithms.length === 0) continue
    keys.set(kid, { key, algorithms })
    if (signingKeys.length === 1) keys.set(undefined, { key, algorithms })
  }
  return keys
}

/** Not the client's own reader: its timeout restarts with every byte, and here a redirect is refused. */
async function fetchJson(url: string): Promise<{ keys: unknown }> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(fetchTimeoutMs) })
  if (!response.ok) throw new Error(`${url} answered with status ${response.status}`)
  return (await response.json()) as { keys: unknown }
}
