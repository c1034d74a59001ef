import type { Sql } from '../../db/client.ts'
import { digestOf } from '../../lib/digest.ts'
import type { Bucket } from './buckets.ts'
import { type Condition, type Conditions, entriesOf, type GroupBy, keyOf, narrow } from './entries.ts'
import { earlier, firstWhole, isBefore, type Span, startOf, without } from './intervals.ts'
import type { Rollups } from './rollup-rows.ts'
import { addedNames, bucketColumns, percentilesOf, sums } from './sums.ts'

/** A part of a month: days that are rolled up, and what of the part lies before and after them. */
export type MonthPart = { month: Date; span: Span; days: Span; rest: Span[] }

/** Null where no whole day of the span ends by `horizon`, or one of them has changed. */
export function partOf(
  month: Date,
  span: Span,
  horizon: Date,
  changedDays: readonly Date[],
): MonthPart | null {
  const days = {
    since: firstWhole(span.since, 'DAY'),
    until: startOf(earlier(span.until, horizon), 'DAY'),
  }
  const isIn = (day: Date) => !isBefore(day, days.since) && isBefore(day, days.until)
  if (!isBefore(days.since, days.until) || changedDays.some(isIn)) return null
  return { month, span, days, rest: without(span, [days]) }
}

type PartQuestion = { groupBy: GroupBy; conditions: Conditions; rollups: Rollups; limit: number }

/**
 * The buckets of a part of a month. What adds up is added up. A session counts on the first of its days in the part: each
 * day knows how many of its sessions were active on an earlier one of the month, and which was the latest. Whether those of
 * the rest were active on the days is looked up.
 */
export function readPart(
  sql: Sql,
  tenantId: string,
  { month, days, rest }: MonthPart,
  { groupBy, conditions, rollups, limit }: PartQuestion,
): Promise<Bucket[]> {
  const values: unknown[] = [
    ...[tenantId, rest.map(({ since }) => since), rest.map(({ until }) => until)],
    ...[month, days.since, days.until, days.since.getUTCDate()],
  ]
  const where = rollups.where('DAY', values)
  const narrowed = narrow(conditions, (value) => `$${values.push(value)}`)
  // A user's messages are found by its sessions.
  const areFew = conditions.userId == null
  // What the days have of the session and the group at hand, `o`.
  const ofSame: Condition[] = [
    ...narrow({ sessionId: 'o.session_id' }, String),
    (source) => `${keyOf(groupBy, source)} = o.key`,
  ]
  const manner = { between: ['$5', '$6'] as const, areFew: false, narrowed: [...narrowed, ...ofSame] }
  const onDays = entriesOf('MONTH', {}, manner)
  const text = `WITH days AS (SELECT ${rollups.keyOf(groupBy)} AS key, r.* FROM usage_rollups r
        WHERE ${where} AND r.start >= $5 AND r.start < $6),
      entries AS (${entriesOf('MONTH', { key: groupBy }, { areFew, narrowed })}),
      by_session AS (SELECT key, session_id, ${sums} FROM entries GROUP BY key, session_id),
      parts AS (
        SELECT key, (SELECT sum(of_day) FROM unnest(returned_from, returned) AS r(day, of_day) WHERE day < $7) AS sessions,
          ${addedNames} FROM days
        UNION ALL
        SELECT key, CASE WHEN session_id IS NULL OR EXISTS (${onDays} OFFSET 0) THEN 0 ELSE 1 END, ${addedNames} FROM by_session o),
      waits AS (SELECT key, ms, sum(runs) AS runs FROM (
          SELECT key, w.ms, w.runs FROM days, unnest(first_token_ms, first_tokens) AS w(ms, runs)
          UNION ALL
          SELECT key, ms, 1 FROM entries WHERE ms IS NOT NULL) AS told
        GROUP BY key, ms)
    SELECT $4::timestamptz AS start, nullif(key, '') AS key, ${bucketColumns}
    FROM (SELECT key, coalesce(sum(sessions), 0) AS sessions, ${sums} FROM parts GROUP BY key) AS s
      LEFT JOIN (${percentilesOf('key')}) AS p USING (key)
    ORDER BY s.key LIMIT ${limit}`
  return sql<Bucket>({ name: `usage-part-${digestOf(text).slice(0, 16)}`, text }, values)
}
