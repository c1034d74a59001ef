import type { Statement } from '../../db/client.ts'
import { digestOf } from '../../lib/digest.ts'
import { type Conditions, entriesOf, type GroupBy, narrow } from './entries.ts'
import type { Interval, Span } from './intervals.ts'
import { addUp, bucketColumns, byKey, percentilesOf, sums } from './sums.ts'

/** What happened within one interval and group; `key` is the model's id or a UUID, null without a group. */
export type Bucket = {
  start: Date
  key: string | null
  sessions: number
  messages: number
  runs: number
  failures: number
  inputTokens: number
  outputTokens: number
  cachedInputTokens: number
  cost: string
  timeToFirstTokenP50Ms: number | null
  timeToFirstTokenP95Ms: number | null
}

/**
 * The buckets that anything happened in within the spans, counted from what happened, in order of time and key. `isRest`:
 * the spans are what rollups leave, most often hours.
 */
export function countBuckets(
  tenantId: string,
  { spans, isRest }: { spans: readonly Span[]; isRest: boolean },
  { interval, groupBy }: { interval: Interval; groupBy: GroupBy },
  conditions: Conditions,
  limit: number,
): { statement: Statement; values: unknown[] } {
  const [only, ...others] = spans
  const one = !isRest && others.length === 0 ? only : undefined
  const values: unknown[] = one
    ? [tenantId, one.since, one.until]
    : [tenantId, spans.map(({ since }) => since), spans.map(({ until }) => until)]
  // A user's messages are found by its sessions, and those of weeks with all sessions at once.
  const areFew = isRest && interval !== 'MONTH' && conditions.userId == null
  const narrowed = narrow(conditions, (value) => `$${values.push(value)}`)
  const between = one && (['$2', '$3'] as const)
  const text = `WITH entries AS (${entriesOf(interval, { key: groupBy }, { ...(between && { between }), areFew, narrowed })}),
      ${addUp(byKey)}
    SELECT start, nullif(key, '') AS key, ${bucketColumns}
    FROM (SELECT start, key, count(session_id) AS sessions, ${sums} FROM by_session GROUP BY start, key) AS s
      LEFT JOIN (${percentilesOf('start, key')}) AS p USING (start, key)
    ORDER BY start, s.key LIMIT ${limit}`
  return { statement: { name: `usage-${digestOf(text).slice(0, 16)}`, text }, values }
}
