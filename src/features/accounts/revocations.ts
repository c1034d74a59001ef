import { z } from 'zod'
import { type Claims, RevokedTokenError } from '../../auth/jwt.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Statement, SystemDatabase } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import type { Log } from '../../telemetry/log.ts'
import { recordAction } from '../audit/record.ts'
import { requireUser } from './users.ts'

export type RevokeTokens = { userId?: string | null | undefined; tokenId?: string | null | undefined }

/** Whose tokens are to be looked at anew; of one token it is not known whose it is. */
export type Revoked = { tenantId: string; userId: string | null }

/**
 * Tokens that are refused before they expire. Each node keeps all of them in memory and looks for new ones. What no living
 * token can meet any more is forgotten, here and by the sweep of `features/retention`.
 */
export type Revocations = {
  /** Throws a `RevokedTokenError` where the token was revoked. */
  require(whose: { tenantId: string; userId: string }, token: Pick<Claims, 'issuedAt' | 'tokenId'>): void
  /** Revokes what a user has been given up to now, or one token; holds on this node at once, on others within seconds. */
  revoke(viewer: Viewer, input: RevokeTokens): Promise<Date>
  /** Tells of each revocation that this node learns of. */
  follow(listener: (revoked: Revoked) => void): void
  /** Resolves when all are known. */
  start(): Promise<void>
  stop(): void
}

type Row = { tenantId: string; userId: string | null; tokenId: string | null; revokedAt: Date }
type OfTenant = Record<'users' | 'tokens', Map<string, number>>

const lookEveryMs = 2_000
/** A transaction that began before another may be seen after it. */
const overlapMs = 30_000
const dayMs = 86_400_000

const columns =
  'tenant_id AS "tenantId", user_id AS "userId", token_id AS "tokenId", revoked_at AS "revokedAt"'

const findSince: Statement = {
  name: 'revocations-since',
  text: `SELECT ${columns} FROM token_revocations WHERE revoked_at > $1`,
}

const revokeUser: Statement = {
  name: 'revoke-user',
  text: `INSERT INTO token_revocations (tenant_id, id, user_id) VALUES ($1, gen_random_uuid(), $2)
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET revoked_at = now() RETURNING ${columns}`,
}

const revokeToken: Statement = {
  name: 'revoke-token',
  text: `INSERT INTO token_revocations (tenant_id, id, token_id) VALUES ($1, gen_random_uuid(), $2)
    ON CONFLICT (tenant_id, token_id) DO UPDATE SET revoked_at = token_revocations.revoked_at RETURNING ${columns}`,
}

const input = z.object({ userId: z.uuid().nullish(), tokenId: text({ min: 1, max: 255 }).nullish() })

type Dependencies = {
  system: SystemDatabase
  /** Days that a token lives at most. */
  maxDays: number
  log: Log
}

export function createRevocations({ system, maxDays, log }: Dependencies): Revocations {
  const known = new Map<string, OfTenant>()
  const listeners: ((revoked: Revoked) => void)[] = []
  let latestMs = 0
  let timer: NodeJS.Timeout | undefined

  function take({ tenantId, userId, tokenId, revokedAt }: Row) {
    const ofTenant = known.get(tenantId) ?? { users: new Map(), tokens: new Map() }
    known.set(tenantId, ofTenant)
    const atMs = revokedAt.getTime()
    latestMs = Math.max(latestMs, atMs)
    const isNews = userId ? (ofTenant.users.get(userId) ?? 0) < atMs : !ofTenant.tokens.has(tokenId ?? '')
    if (!isNews) return
    if (userId) ofTenant.users.set(userId, atMs)
    else ofTenant.tokens.set(tokenId ?? '', atMs)
    for (const listener of listeners) listener({ tenantId, userId })
  }

  function forget() {
    const beforeMs = Date.now() - maxDays * dayMs - overlapMs
    for (const [tenantId, { users, tokens }] of known) {
      for (const each of [users, tokens]) for (const [id, atMs] of each) if (atMs < beforeMs) each.delete(id)
      if (users.size + tokens.size === 0) known.delete(tenantId)
    }
  }

  async function look() {
    forget()
    for (const row of await system.sql<Row>(findSince, [new Date(Math.max(0, latestMs - overlapMs))]))
      take(row)
  }

  function lookLater() {
    timer = setTimeout(async () => {
      // What is known holds while the database is away.
      await look().catch((error) => log.warn({ err: error }, 'revoked tokens cannot be looked up'))
      if (timer) lookLater()
    }, lookEveryMs).unref()
  }

  return {
    require({ tenantId, userId }, { tokenId, issuedAt }) {
      const ofTenant = known.get(tenantId)
      if (!ofTenant) return
      const revokedAtMs = ofTenant.users.get(userId) ?? Number.NEGATIVE_INFINITY
      const isOld = issuedAt.getTime() <= revokedAtMs
      if (isOld || (tokenId !== undefined && ofTenant.tokens.has(tokenId)))
        throw new RevokedTokenError('The token was revoked; sign in again.')
    },
    async revoke(viewer, asked) {
      const { tenantId } = viewer
      const { userId, tokenId } = check(input, asked)
      if (!userId && !tokenId)
        throw invalid('userId', 'is missing; name a user by userId or a token by tokenId')
      const rows = await viewer.db.transaction(async (sql) => {
        const done: Row[] = []
        if (userId) {
          await requireUser(sql, tenantId, userId)
          done.push(...(await sql<Row>(revokeUser, [tenantId, userId])))
          await recordAction(sql, viewer, { action: 'revokeTokens', target: encodeId('User', userId) })
        }
        if (tokenId) {
          done.push(...(await sql<Row>(revokeToken, [tenantId, tokenId])))
          await recordAction(sql, viewer, { action: 'revokeTokens', target: `token ${tokenId}` })
        }
        return done
      })
      for (const row of rows) take(row)
      return rows.at(-1)?.revokedAt ?? new Date()
    },
    follow: (listener) => void listeners.push(listener),
    async start() {
      await look()
      lookLater()
    },
    stop() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
