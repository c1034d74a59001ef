import type { Statement } from '../../db/client.ts'
import { digestOf } from '../../lib/digest.ts'
import type { Interval, Span } from './intervals.ts'

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

type Source = 'run' | 'message'

type Manner = {
  /** `$2` and `$3` are arrays, and not two stamps. */
  ofSpans: boolean
  /** Looks the session of each message up, where PostgreSQL would read all sessions for what it takes for many messages. */
  looksUp: boolean
  narrowed?: Condition[]
}

/**
 * SQL of what happened within the spans that begin at `$2` and end before `$3`, which do not overlap, a row for each run and
 * message; `$1` is the tenant.
 */
export function entriesOf(
  keys: Partial<Record<string, keyof typeof columns>>,
  { ofSpans, looksUp, narrowed = [] }: Manner,
): string {
  const keysOf = (source: Source) =>
    Object.entries(keys)
      .map(([name, by]) => `${by ? columns[by][source] : 'NULL'}::text AS ${name},`)
      .join(' ')
  const [spans, since, until] = ofSpans
    ? ['unnest($2::timestamptz[], $3::timestamptz[]) AS span(since, until), ', 'span.since', 'span.until']
    : ['', '$2', '$3']
  const session = 's.tenant_id = m.tenant_id AND s.id = m.session_id AND NOT s.is_stateless'
  const sessions = looksUp
    ? `CROSS JOIN LATERAL (SELECT s.user_id, s.agent_id FROM sessions s WHERE ${session} OFFSET 0) s`
    : `JOIN sessions s ON ${session}`
  const where = (alias: string, source: Source) =>
    [
      `${alias}.tenant_id = $1 AND ${alias}.created_at >= ${since} AND ${alias}.created_at < ${until}`,
      ...narrowed.map((condition) => condition(source)),
    ].join(' AND ')
  return `SELECT u.created_at, u.session_id, ${keysOf('run')} 0 AS messages,
        CASE u.kind WHEN 'RUN' THEN 1 ELSE 0 END AS runs,
        CASE WHEN u.status IN ('FAILED', 'INTERRUPTED') THEN 1 ELSE 0 END AS failures, u.input_tokens, u.output_tokens,
        u.cached_input_tokens, u.cost, u.time_to_first_token_ms
      FROM ${spans}usage_records u WHERE ${where('u', 'run')}
      UNION ALL
      SELECT m.created_at, m.session_id, ${keysOf('message')} 1, 0, 0, 0, 0, 0, 0, NULL
      FROM ${spans}messages m ${sessions} WHERE ${where('m', 'message')}`
}

export const startOfEntry = (interval: Interval) => `date_trunc('${interval}', created_at, 'UTC')`

/** SQL of what entries add up to, in the order of `Bucket`. */
export const measures = `count(DISTINCT session_id)::float8 AS sessions, sum(messages)::float8 AS messages,
      sum(runs)::float8 AS runs, sum(failures)::float8 AS failures, sum(input_tokens)::float8 AS "inputTokens",
      sum(output_tokens)::float8 AS "outputTokens", sum(cached_input_tokens)::float8 AS "cachedInputTokens",
      sum(cost) AS cost,
      percentile_disc(0.5) WITHIN GROUP (ORDER BY time_to_first_token_ms) AS "timeToFirstTokenP50Ms",
      percentile_disc(0.95) WITHIN GROUP (ORDER BY time_to_first_token_ms) AS "timeToFirstTokenP95Ms"`

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
  const looksUp = isRest && interval !== 'MONTH' && conditions.userId == null
  const narrowed = narrow(conditions, (value) => `$${values.push(value)}`)
  const key = groupBy === 'NONE' ? undefined : groupBy
  const text = `WITH entries AS (${entriesOf({ key }, { ofSpans: !one, looksUp, narrowed })})
    SELECT ${startOfEntry(interval)} AS start, key, ${measures}
    FROM entries GROUP BY start, key ORDER BY start, key NULLS FIRST LIMIT ${limit}`
  return { statement: { name: `usage-${digestOf(text).slice(0, 16)}`, text }, values }
}

type Condition = (source: Source) => string

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
