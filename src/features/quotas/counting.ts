import type { Sql, Statement } from '../../db/client.ts'
import type { ModelUsage } from '../../llm/provider.ts'

/** What one call of a model, or several together, used; `cost` in US dollars, null where the price is not known. */
export type Used = { usage: ModelUsage; cost: string | null }

type Counted = { tenantId: string; userId: string; tokens: string; cost: string; from?: string }

/**
 * SQL that counts what a user used, for the user and for its tenant. `lane` keeps those who count at the same moment from
 * waiting for each other at the row of their tenant.
 */
export const countDay = ({ tenantId, userId, tokens, cost, from = '' }: Counted): string =>
  `INSERT INTO usage_days AS d (tenant_id, subject_id, day, lane, tokens, cost)
    SELECT ${tenantId}, subject_id, (clock_timestamp() AT TIME ZONE 'UTC')::date, pg_backend_pid() % 16, ${tokens},
      coalesce(${cost}::numeric, 0)
    FROM ${from} unnest(ARRAY[${userId}, ${tenantId}::uuid]) AS subject_id
    WHERE ${tokens} > 0 OR ${cost}::numeric > 0
    ON CONFLICT (tenant_id, subject_id, day, lane)
      DO UPDATE SET tokens = d.tokens + excluded.tokens, cost = d.cost + excluded.cost`

const countDayOf: Statement = {
  name: 'usage-day-count',
  text: countDay({ tenantId: '$1', userId: '$2::uuid', tokens: '$3::bigint', cost: '$4' }),
}

const addToRecord: Statement = {
  name: 'usage-record-add',
  text: `UPDATE usage_records SET input_tokens = input_tokens + $3, output_tokens = output_tokens + $4,
      cached_input_tokens = cached_input_tokens + $5, cost = cost + coalesce($6::numeric, 0)
    WHERE tenant_id = $1 AND run_id = $2 RETURNING user_id AS "userId"`,
}

/**
 * Records and counts what was used for a run after its answer, for a title or a summary: these are no answers of their
 * own. To be called as the last step of a transaction, as `countUsed`.
 */
export async function addUsed(
  sql: Sql,
  { tenantId, runId }: { tenantId: string; runId: string },
  used: Used,
): Promise<void> {
  const { inputTokens, outputTokens, cachedInputTokens } = used.usage
  const values = [tenantId, runId, inputTokens, outputTokens, cachedInputTokens, used.cost]
  const [record] = await sql<{ userId: string }>(addToRecord, values)
  if (record) await countUsed(sql, { tenantId, userId: record.userId }, used)
}

/**
 * Counts what a user used, for the user and for its tenant, in the transaction that records it. To be called as its last
 * step: the rows stay locked until it ends.
 */
export async function countUsed(
  sql: Sql,
  { tenantId, userId }: { tenantId: string; userId: string },
  { usage: { inputTokens, outputTokens }, cost }: Used,
): Promise<void> {
  await sql(countDayOf, [tenantId, userId, inputTokens + outputTokens, cost])
}
