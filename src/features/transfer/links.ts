import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** What a download link allows: one session, to one user, until a time. It ends with the token that asked for it. */
const grant = z.object({
  tenantId: z.uuid(),
  userId: z.uuid(),
  /** As the token said that asked for the link; one that came since can take of it. */
  role: z.enum(['USER', 'ADMIN', 'SERVICE']),
  sessionId: z.uuid(),
  format: z.enum(['JSON', 'MARKDOWN']),
  /** Milliseconds since 1970; the token's time of issue and its `jti` are what it can be revoked by. */
  expiresAt: z.number(),
  issuedAt: z.number(),
  tokenId: z.string().optional(),
})

export type Grant = z.output<typeof grant>

/** The grant as text that is fit for a URL, and proven by the key. */
export function signGrant(grant: Grant, key: Uint8Array): string {
  const payload = Buffer.from(JSON.stringify(grant)).toString('base64url')
  return `${payload}.${proofOf(payload, key).toString('base64url')}`
}

/** The grant that a text claims, which `isProven` has yet to tell true; null where it is none or has ended. */
export function claimedGrant(token: string): Grant | null {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString())
    const { data } = grant.safeParse(payload)
    return data && data.expiresAt > Date.now() ? data : null
  } catch {
    return null
  }
}

export function isProven(token: string, key: Uint8Array): boolean {
  const [payload = '', proof = '', ...rest] = token.split('.')
  const given = Buffer.from(proof, 'base64url')
  const wanted = proofOf(payload, key)
  return rest.length === 0 && given.length === wanted.length && timingSafeEqual(given, wanted)
}

// Named, so that a proof of something else by the same key is none of a download.
const proofOf = (payload: string, key: Uint8Array) =>
  createHmac('sha256', key).update(`export:${payload}`).digest()
