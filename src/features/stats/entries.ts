import type { Interval } from './intervals.ts'

export type GroupBy = 'NONE' | 'MODEL' | 'AGENT' | 'SESSION' | 'USER'

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

type Key = keyof typeof columns

type Source = 'run' | 'message'

/** SQL that narrows the entries of either source. */
export type Condition = (source: Source) => string

/** SQL of what tells entries apart, empty for what has none; without a group nothing does. */
export const keyOf = (groupBy: GroupBy, source: Source) =>
  groupBy === 'NONE' ? `''::text` : `coalesce(${columns[groupBy][source]}::text, '')`

type Manner = {
  /** SQL of when the time begins and ends; without it, that of the spans in the arrays `$2` and `$3`, which do not overlap. */
  between?: readonly [since: string, until: string]
  /** They are few: has them looked up by their time, and their sessions by their ids, where PostgreSQL would expect more. */
  areFew: boolean
  narrowed?: readonly Condition[]
}

/**
 * SQL of what happened, a row for each run and message, with the start of its interval and what `keys` name; `$1` is the
 * tenant.
 */
export function entriesOf(
  interval: Interval,
  keys: Record<string, GroupBy>,
  { between, areFew, narrowed = [] }: Manner,
): string {
  const keysOf = (source: Source) =>
    Object.entries(keys)
      .map(([name, by]) => `${keyOf(by, source)} AS ${name},`)
      .join(' ')
  const [since, until] = between ?? ['span.since', 'span.until']
  const spans = between ? '' : 'unnest($2::timestamptz[], $3::timestamptz[]) AS span(since, until), '
  const isThen = (alias: string) =>
    `${alias}.tenant_id = $1 AND ${alias}.created_at >= ${since} AND ${alias}.created_at < ${until}`
  const from = (table: string, alias: string) =>
    areFew
      ? `${spans}LATERAL (SELECT * FROM ${table} ${alias} WHERE ${isThen(alias)} OFFSET 0) ${alias}`
      : `${spans}${table} ${alias}`
  const session = 's.tenant_id = m.tenant_id AND s.id = m.session_id AND NOT s.is_stateless'
  const sessions = areFew
    ? `CROSS JOIN LATERAL (SELECT s.user_id, s.agent_id FROM sessions s WHERE ${session} OFFSET 0) s`
    : `JOIN sessions s ON ${session}`
  const where = (alias: string, source: Source) =>
    [isThen(alias), ...narrowed.map((condition) => condition(source))].join(' AND ')
  const start = (alias: string) => `date_trunc('${interval}', ${alias}.created_at, 'UTC') AS start`
  return `SELECT ${start('u')}, u.session_id, ${keysOf('run')} 0 AS messages,
        CASE u.kind WHEN 'RUN' THEN 1 ELSE 0 END AS runs,
        CASE WHEN u.status IN ('FAILED', 'INTERRUPTED') THEN 1 ELSE 0 END AS failures, u.input_tokens, u.output_tokens,
        u.cached_input_tokens, u.cost, u.time_to_first_token_ms AS ms
      FROM ${from('usage_records', 'u')} WHERE ${where('u', 'run')}
      UNION ALL
      SELECT ${start('m')}, m.session_id, ${keysOf('message')} 1, 0, 0, 0, 0, 0, 0, NULL
      FROM ${from('messages', 'm')} ${sessions} WHERE ${where('m', 'message')}`
}

/** The conditions on entries; `parameter` gives the place of a value among those of the statement. */
export function narrow(conditions: Conditions, parameter: (value: unknown) => string): Condition[] {
  const { userId, sessionId, agentId, agentKey, model } = conditions
  const equals = (by: Key, value: string | null | undefined): Condition[] => {
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
