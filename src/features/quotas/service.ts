import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Statement, Step, TenantDatabase } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { check } from '../../lib/checks.ts'
import { invalid, QuotaError, type QuotaPeriod, type QuotaScope, type QuotaUnit } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { requireUser } from '../accounts/users.ts'
import { recordAction } from '../audit/record.ts'

/**
 * A quota and where it stands. `used…` is of the user or the tenant that it was asked for; null for the one of each
 * user where no user is meant. Amounts that are null are not limited.
 */
export type Quota = {
  scope: QuotaScope
  period: QuotaPeriod
  tokens: number | null
  cost: string | null
  usedTokens: number | null
  usedCost: string | null
  usedUp: QuotaUnit | null
  /** When the next period begins. */
  resetAt: Date
}

/**
 * How much users, and tenants as a whole, may use in a day or a month. Checked before a message is stored that is to be
 * answered, and again right before each call of a model, against what was counted by then: hence a period ends above its
 * quota by no more than what the calls use that were under way when it was reached.
 */
export type Quotas = {
  /** Throws a `QuotaError` where a quota that holds for the user is used up; of several, the one that resets last. */
  require(db: TenantDatabase, userId: string): Promise<void>
  /** That error, or null. */
  excessOf(tenantId: string, userId: string): Step<QuotaError | null>
  /** Whether no quota that holds for the user is used up, for what is done beside the answers. */
  hasRoom(db: TenantDatabase, userId: string): Promise<boolean>
  /** The quotas that hold for a user; for many users at once, it is one statement. */
  ofUser(db: TenantDatabase, userId: string): Promise<readonly Quota[]>
  /** The quotas that are set for the tenant as a whole, and for each of its users. */
  ofTenant(viewer: Viewer): Promise<readonly Quota[]>
  /** Sets a quota, or takes it away where it limits nothing; that it is for admins is settled by the schema. */
  set(viewer: Viewer, input: unknown): Promise<Quota | null>
}

/** Stands for each user that has no quota of its own for the period. */
const eachUser = '00000000-0000-0000-0000-000000000000'

const scopeOf = (subject: string) =>
  `CASE ${subject} WHEN $1 THEN 'TENANT' WHEN '${eachUser}' THEN 'EACH_USER' ELSE 'USER' END`

// Of the statement, not of the clock: what changes within one keeps PostgreSQL from the index on the days.
const now = `(statement_timestamp() AT TIME ZONE 'UTC')`
const startOf = (period: string) => `date_trunc(${period}::text, ${now})`

/** Needs `q`, the quota, and `payer`, whose use counts. */
const standing = (
  payer: string,
) => `${scopeOf('q.subject_id')} AS scope, q.period, q.tokens::float8 AS tokens, q.cost,
    CASE WHEN ${payer} <> '${eachUser}' THEN d.tokens::float8 END AS "usedTokens",
    CASE WHEN ${payer} <> '${eachUser}' THEN d.cost END AS "usedCost",
    CASE WHEN d.tokens >= q.tokens THEN 'TOKENS' WHEN d.cost >= q.cost THEN 'COST' END AS "usedUp",
    (${startOf('q.period')} + CASE q.period WHEN 'DAY' THEN interval '1 day' ELSE interval '1 month' END)
      AT TIME ZONE 'UTC' AS "resetAt"
  FROM quotas q CROSS JOIN LATERAL (
    SELECT coalesce(sum(d.tokens), 0) AS tokens, coalesce(sum(d.cost), 0) AS cost FROM usage_days d
    WHERE d.tenant_id = $1 AND d.subject_id = ${payer} AND d.day >= ${startOf('q.period')}::date) AS d`

const findOfUsers: Statement = {
  name: 'quota-of-users',
  text: `SELECT u.id AS "userId", q.* FROM unnest($2::uuid[]) AS u(id) CROSS JOIN LATERAL (
      SELECT ${standing(`CASE q.subject_id WHEN $1 THEN $1 ELSE u.id END`)}
      WHERE q.tenant_id = $1 AND (q.subject_id IN ($1, u.id) OR (q.subject_id = '${eachUser}' AND NOT EXISTS (
        SELECT FROM quotas o WHERE o.tenant_id = $1 AND o.subject_id = u.id AND o.period = q.period)))) AS q
    ORDER BY u.id, q.scope = 'TENANT', q.period`,
}

const findOfTenant: Statement = {
  name: 'quota-of-tenant',
  text: `SELECT ${standing('q.subject_id')} WHERE q.tenant_id = $1 AND q.subject_id IN ($1, '${eachUser}')
    ORDER BY q.subject_id = $1 DESC, q.period`,
}

const upsertQuota: Statement = {
  name: 'quota-upsert',
  text: `INSERT INTO quotas AS q (tenant_id, subject_id, period, tokens, cost) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant_id, subject_id, period) DO UPDATE SET tokens = $4, cost = $5, updated_at = now()`,
}

const deleteQuota: Statement = {
  name: 'quota-delete',
  text: 'DELETE FROM quotas WHERE tenant_id = $1 AND subject_id = $2 AND period = $3',
}

const findOne: Statement = {
  name: 'quota-of-subject',
  text: `SELECT ${standing('q.subject_id')} WHERE q.tenant_id = $1 AND q.subject_id = $2 AND q.period = $3`,
}

const amount = z
  .union([z.string(), z.number()], 'is not an amount; allowed are US dollars, such as "12.50"')
  .transform(String)
  .refine(
    (text) => /^\d{1,9}(\.\d{1,9})?$/.test(text),
    'is not an amount; allowed are US dollars from 0 to 999999999 with at most nine places, such as "12.50"',
  )

const setInput = z.object({
  scope: z.enum(['TENANT', 'EACH_USER', 'USER']),
  userId: z.uuid().nullish(),
  period: z.enum(['DAY', 'MONTH']),
  tokens: z.int().min(0).nullish(),
  cost: amount.nullish(),
})

type Row = Quota & { userId: string }

export function createQuotas(): Quotas {
  const ofUsers = createBatch<TenantDatabase, string, readonly Quota[]>(async (db, userIds) => {
    const rows = await db.sql<Row>(findOfUsers, [db.tenantId, userIds])
    return Map.groupBy(rows, ({ userId }) => userId)
  })
  const ofUser: Quotas['ofUser'] = async (db, userId) => (await ofUsers(db, userId)) ?? []

  async function subjectOf(viewer: Viewer, { scope, userId }: z.output<typeof setInput>): Promise<string> {
    if (scope !== 'USER') {
      if (userId) throw invalid('userId', 'goes with the scope USER only')
      return scope === 'TENANT' ? viewer.tenantId : eachUser
    }
    if (!userId) throw invalid('userId', 'is missing; the scope USER names one')
    return requireUser(viewer.db.sql, viewer.tenantId, userId)
  }

  return {
    ofUser,
    hasRoom: async (db, userId) => (await ofUser(db, userId)).every(({ usedUp }) => usedUp === null),
    async require(db, userId) {
      const excess = excessAmong(await ofUser(db, userId))
      if (excess) throw excess
    },
    excessOf: (tenantId, userId) => ({
      statement: findOfUsers,
      values: [tenantId, [userId]],
      read: (rows: Row[]) => excessAmong(rows),
    }),
    ofTenant: ({ db, tenantId }) => db.sql<Quota>(findOfTenant, [tenantId]),
    async set(viewer, asked) {
      const input = check(setInput, asked)
      const subject = await subjectOf(viewer, input)
      const key = [viewer.tenantId, subject, input.period]
      const amounts = [input.tokens ?? null, input.cost ?? null]
      const target =
        input.scope === 'EACH_USER' ? null : encodeId(input.scope === 'USER' ? 'User' : 'Tenant', subject)
      return viewer.db.transaction(async (sql) => {
        if (amounts.every((value) => value === null)) await sql(deleteQuota, key)
        else await sql(upsertQuota, [...key, ...amounts])
        await recordAction(sql, viewer, { action: 'setQuota', target })
        const [quota] = await sql<Quota>(findOne, key)
        return quota ?? null
      })
    },
  }
}

function excessAmong(quotas: readonly Quota[]): QuotaError | null {
  const usedUp = quotas.filter((quota) => quota.usedUp !== null)
  const [last] = usedUp.sort((a, b) => b.resetAt.getTime() - a.resetAt.getTime())
  return last ? errorOf(last) : null
}

function errorOf({ scope, period, usedUp, resetAt, ...quota }: Quota): QuotaError {
  const [limit, used] = usedUp === 'COST' ? [quota.cost, quota.usedCost] : [quota.tokens, quota.usedTokens]
  const unit = usedUp ?? 'TOKENS'
  return new QuotaError({ scope, period, unit, limit: String(limit), used: String(used), resetAt })
}
