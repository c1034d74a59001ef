import type { Statement } from '../../db/client.ts'
import { digestOf } from '../../lib/digest.ts'

export type Interval = 'HOUR' | 'DAY' | 'MONTH'
export type GroupBy = 'NONE' | 'MODEL' | 'AGENT' | 'SESSION' | 'USER'

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

export type Range = { from: Date; to: Date; interval: Interval; groupBy: GroupBy }

/** What is counted; what is null or absent does not narrow it. */
export type Conditions = {
  userId?: string | null | undefined
  sessionId?: string | null | undefined
  agentId?: string | null | undefined
  agentKey?: string | null | undefined
  model?: string | null | undefined
}

/** Where the ledger and the messages keep what is grouped and filtered by. A message counts for its session's owner. */
const columns = {
  MODEL: { run: 'u.model', message: 'm.model' },
  AGENT: { run: 'u.agent_id', message: 'coalesce(m.agent_id, s.agent_id)' },
  SESSION: { run: 'u.session_id', message: 'm.session_id' },
  USER: { run: 'u.user_id', message: 's.user_id' },
}

/** The buckets that anything happened in, in order of time and key. */
export function countBuckets(
  tenantId: string,
  range: Range,
  conditions: Conditions,
  limit: number,
): { statement: Statement; values: unknown[] } {
  const values: unknown[] = [tenantId, range.from, range.to]
  const parameter = (value: unknown) => `$${values.push(value)}`
  const narrowed = narrow(conditions, parameter)
  const keyOf = (source: 'run' | 'message') =>
    range.groupBy === 'NONE' ? 'NULL' : `${columns[range.groupBy][source]}::text`
  const where = (alias: string, source: 'run' | 'message') =>
    [
      `${alias}.tenant_id = $1 AND ${alias}.created_at >= $2 AND ${alias}.created_at < $3`,
      ...narrowed.map((condition) => condition(source)),
    ].join(' AND ')
  const text = `WITH entries AS (
      SELECT u.created_at, u.session_id, ${keyOf('run')} AS key, 0 AS messages,
        CASE u.kind WHEN 'RUN' THEN 1 ELSE 0 END AS runs,
        CASE WHEN u.status IN ('FAILED', 'INTERRUPTED') THEN 1 ELSE 0 END AS failures, u.input_tokens, u.output_tokens,
        u.cached_input_tokens, u.cost, u.time_to_first_token_ms
      FROM usage_records u WHERE ${where('u', 'run')}
      UNION ALL
      SELECT m.created_at, m.session_id, ${keyOf('message')}, 1, 0, 0, 0, 0, 0, 0, NULL
      FROM messages m JOIN sessions s ON s.tenant_id = m.tenant_id AND s.id = m.session_id AND NOT s.is_stateless
      WHERE ${where('m', 'message')})
    SELECT date_trunc('${range.interval}', created_at, 'UTC') AS start, key,
      count(DISTINCT session_id)::float8 AS sessions, sum(messages)::float8 AS messages, sum(runs)::float8 AS runs,
      sum(failures)::float8 AS failures, sum(input_tokens)::float8 AS "inputTokens",
      sum(output_tokens)::float8 AS "outputTokens", sum(cached_input_tokens)::float8 AS "cachedInputTokens",
      sum(cost) AS cost,
      percentile_disc(0.5) WITHIN GROUP (ORDER BY time_to_first_token_ms) AS "timeToFirstTokenP50Ms",
      percentile_disc(0.95) WITHIN GROUP (ORDER BY time_to_first_token_ms) AS "timeToFirstTokenP95Ms"
    FROM entries GROUP BY start, key ORDER BY start, key NULLS FIRST LIMIT ${limit}`
  return { statement: { name: `usage-${digestOf(text).slice(0, 16)}`, text }, values }
}

type Condition = (source: 'run' | 'message') => string

function narrow(conditions: Conditions, parameter: (value: unknown) => string): Condition[] {
  const { userId, sessionId, agentId, agentKey, model } = conditions
  const equals = (by: keyof typeof columns, value: string | null | undefined): Condition[] => {
    if (value == null) return []
    const given = parameter(value)
    return [(source) => `${columns[by][source]} = ${given}`]
  }
  const all = [
    ...equals('USER', userId),
    ...equals('SESSION', sessionId),
    ...equals('AGENT', agentId),
    ...equals('MODEL', model),
  ]
  if (agentKey == null) return all
  const agent = `(SELECT a.id FROM agents a WHERE a.tenant_id = $1 AND a.key = ${parameter(agentKey)})`
  return [...all, (source) => `${columns.AGENT[source]} = ${agent}`]
}

/** The starts of the intervals in UTC that the range touches, at most `limit` of them. */
export function startsOf({ from, to, interval }: Omit<Range, 'groupBy'>, limit: number): Date[] {
  const starts: Date[] = []
  for (
    let start = startOf(from, interval);
    start < to && starts.length < limit;
    start = after(start, interval)
  )
    starts.push(start)
  return starts
}

function startOf(date: Date, interval: Interval): Date {
  const start = new Date(date)
  start.setUTCMinutes(0, 0, 0)
  if (interval !== 'HOUR') start.setUTCHours(0)
  if (interval === 'MONTH') start.setUTCDate(1)
  return start
}

function after(start: Date, interval: Interval): Date {
  const next = new Date(start)
  if (interval === 'HOUR') next.setUTCHours(next.getUTCHours() + 1)
  if (interval === 'DAY') next.setUTCDate(next.getUTCDate() + 1)
  if (interval === 'MONTH') next.setUTCMonth(next.getUTCMonth() + 1)
  return next
}
