import type { Sql, Statement } from '../../db/client.ts'
import { type Bucket, type Conditions, countBuckets, type GroupBy } from './buckets.ts'
import { after, type Interval, type Span, startOf } from './intervals.ts'

export type Question = Span & { interval: Interval; groupBy: GroupBy }

/** The rollups that answer a question: of a group, and where `key` is given, of that alone. */
type Source = { group: Exclude<GroupBy, 'SESSION'>; key: { sql: string; value: string } | null }

const findHorizon: Statement = {
  name: 'usage-horizon',
  text: 'SELECT h.until FROM usage_horizons h WHERE h.tenant_id = $1 AND h.until > $2',
}

const findChanged: Statement = {
  name: 'usage-changed',
  text: `SELECT DISTINCT date_trunc($4, c.at, 'UTC') AS start FROM usage_changes c
    WHERE c.tenant_id = $1 AND c.at >= $2 AND c.at < $3 ORDER BY 1`,
}

/**
 * The buckets that anything happened in, in order of time and key: those that are rolled up and have not changed since from
 * there, the others counted from what happened. Null where they are more than `limit`. The transaction must see one state.
 */
export async function readBuckets(
  sql: Sql,
  tenantId: string,
  question: Question,
  conditions: Conditions,
  limit: number,
): Promise<Bucket[] | null> {
  const source = sourceOf(question.groupBy, conditions)
  const { whole, open } = source
    ? await divide(sql, tenantId, question)
    : { whole: null, open: [question] as Span[] }
  const { interval, groupBy } = question
  const kept: Bucket[] = []
  if (source && whole) {
    const rollups = { tenantId, interval, source, whole }
    if (groupBy === 'SESSION') {
      // Each session of a bucket is a bucket of its own.
      if ((await countSessions(sql, rollups)) > limit) return null
    } else kept.push(...(await findRollups(sql, rollups, groupBy, limit)))
  }
  if (kept.length > limit) return null
  const spans = groupBy === 'SESSION' ? [question] : open
  if (spans.length === 0) return kept
  const isRest = whole !== null && groupBy !== 'SESSION'
  const { statement, values } = countBuckets(tenantId, { spans, isRest }, question, conditions, limit + 1)
  const buckets = [...kept, ...(await sql<Bucket>(statement, values))]
  if (buckets.length > limit) return null
  return buckets.sort((a, b) => a.start.getTime() - b.start.getTime())
}

/** Null where it asks for two things at once, which no rollup tells together. */
function sourceOf(groupBy: GroupBy, conditions: Conditions): Source | null {
  const { userId, sessionId, agentId, agentKey, model } = conditions
  const agent = 'SELECT a.id::text FROM agents a WHERE a.tenant_id = $1 AND a.key = $5'
  const keys = [
    userId == null ? [] : { group: 'USER', sql: '$5', value: userId },
    agentId == null ? [] : { group: 'AGENT', sql: '$5', value: agentId },
    agentKey == null ? [] : { group: 'AGENT', sql: `(${agent})`, value: agentKey },
    model == null ? [] : { group: 'MODEL', sql: '$5', value: model },
  ].flat() as ({ group: Source['group'] } & NonNullable<Source['key']>)[]
  const [only, ...others] = keys
  if (sessionId != null || others.length > 0) return null
  if (!only) return { group: groupBy === 'SESSION' ? 'NONE' : groupBy, key: null }
  const { group, ...key } = only
  return groupBy === 'NONE' || groupBy === 'SESSION' || groupBy === group ? { group, key } : null
}

type Division = { whole: { span: Span; changed: Date[] } | null; open: Span[] }

/** What of the span is whole intervals before the horizon, those within it that changed since, and what is left to count. */
async function divide(sql: Sql, tenantId: string, { since, until, interval }: Question): Promise<Division> {
  const none = { whole: null, open: [{ since, until }] }
  const [horizon] = await sql<{ until: Date }>(findHorizon, [tenantId, since])
  if (!horizon) return none
  const touched = startOf(since, interval)
  const from = touched < since ? after(touched, interval) : touched
  const to = startOf(horizon.until < until ? horizon.until : until, interval)
  if (to <= from) return none
  const rows = await sql<{ start: Date }>(findChanged, [tenantId, from, to, interval])
  const changed = rows.map(({ start }) => start)
  const open = [
    { since, until: from },
    ...changed.map((start) => ({ since: start, until: after(start, interval) })),
    { since: to, until },
  ]
  return {
    whole: { span: { since: from, until: to }, changed },
    open: open.filter((span) => span.since < span.until),
  }
}

type Rollups = {
  tenantId: string
  interval: Interval
  source: Source
  whole: NonNullable<Division['whole']>
}

const whereOf = ({ interval, source: { group, key } }: Rollups) =>
  `r.tenant_id = $1 AND r.interval = '${interval}' AND r.group_by = '${group}' AND r.start >= $2 AND r.start < $3
      AND r.start <> ALL($4::timestamptz[])${key ? ` AND r.key = ${key.sql}` : ''}`

const valuesOf = ({ tenantId, source: { key }, whole: { span, changed } }: Rollups) => [
  ...[tenantId, span.since, span.until, changed],
  ...(key ? [key.value] : []),
]

const nameOf = ({ interval, source: { group, key } }: Rollups) =>
  [interval, group, ...(key ? ['of', key.sql === '$5' ? 'id' : 'key'] : [])].join('-')

function findRollups(sql: Sql, rollups: Rollups, groupBy: GroupBy, limit: number): Promise<Bucket[]> {
  const statement = {
    name: `usage-rollups-${groupBy}-${nameOf(rollups)}`,
    text: `SELECT r.start, ${groupBy === 'NONE' ? 'NULL' : `nullif(r.key, '')`} AS key, r.sessions, r.messages, r.runs,
        r.failures, r.input_tokens AS "inputTokens", r.output_tokens AS "outputTokens",
        r.cached_input_tokens AS "cachedInputTokens", r.cost, r.time_to_first_token_p50_ms AS "timeToFirstTokenP50Ms",
        r.time_to_first_token_p95_ms AS "timeToFirstTokenP95Ms"
      FROM usage_rollups r WHERE ${whereOf(rollups)} ORDER BY r.start, r.key LIMIT ${limit + 1}`,
  }
  return sql<Bucket>(statement, valuesOf(rollups))
}

async function countSessions(sql: Sql, rollups: Rollups): Promise<number> {
  const statement = {
    name: `usage-rollups-sessions-${nameOf(rollups)}`,
    text: `SELECT coalesce(sum(r.sessions), 0)::float8 AS sessions FROM usage_rollups r WHERE ${whereOf(rollups)}`,
  }
  const [row] = await sql<{ sessions: number }>(statement, valuesOf(rollups))
  return row?.sessions ?? 0
}
