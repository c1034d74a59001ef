import type { Sql, Statement } from '../../db/client.ts'
import { type Bucket, countBuckets } from './buckets.ts'
import type { Conditions, GroupBy } from './entries.ts'
import {
  after,
  clip,
  earlier,
  firstWhole,
  type Interval,
  isBefore,
  type Span,
  startOf,
  without,
} from './intervals.ts'
import { type MonthPart, partOf, readPart } from './month-parts.ts'
import { type Rollups, rollupsFor } from './rollup-rows.ts'

export type Question = Span & { interval: Interval; groupBy: GroupBy }

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
  const { interval, groupBy } = question
  const rollups = rollupsFor(interval, groupBy, conditions)
  const count = (spans: readonly Span[], isRest: boolean) => {
    const { statement, values } = countBuckets(tenantId, { spans, isRest }, question, conditions, limit + 1)
    return sql<Bucket>(statement, values)
  }
  const sorted = (buckets: Bucket[]) =>
    buckets.length > limit ? null : buckets.sort((a, b) => a.start.getTime() - b.start.getTime())
  if (!rollups) {
    if (groupBy === 'USER' && (await countDays(sql, tenantId, question, conditions)) > limit) return null
    return sorted(await count([question], false))
  }
  const { whole, parts, open } = await divide(sql, tenantId, question)
  if (groupBy === 'SESSION') {
    // Each session of a bucket is a bucket of its own.
    const sessions = whole ? await countSessions(sql, tenantId, question, rollups, whole) : 0
    return sessions > limit ? null : sorted(await count([question], false))
  }
  const buckets = whole ? await findRollups(sql, tenantId, question, rollups, whole, limit) : []
  const partQuestion = { groupBy, conditions, rollups, limit: limit + 1 }
  for (const part of parts) buckets.push(...(await readPart(sql, tenantId, part, partQuestion)))
  if (open.length > 0 && buckets.length <= limit) buckets.push(...(await count(open, whole !== null)))
  return sorted(buckets)
}

type Whole = { span: Span; changed: Date[] }

/** What is read from rollups: whole intervals but for those that changed, and parts of months; and what is left to count. */
type Division = { whole: Whole | null; parts: MonthPart[]; open: Span[] }

async function divide(sql: Sql, tenantId: string, { since, until, interval }: Question): Promise<Division> {
  const asked = { since, until }
  const [horizon] = await sql<{ until: Date }>(findHorizon, [tenantId, since])
  if (!horizon) return { whole: null, parts: [], open: [asked] }
  const unit = interval === 'MONTH' ? 'DAY' : interval
  const rows = await sql<{ start: Date }>(findChanged, [tenantId, startOf(since, unit), until, unit])
  const changes = rows.map(({ start }) => start)
  const span = {
    since: firstWhole(since, interval),
    until: startOf(earlier(horizon.until, until), interval),
  }
  const isIn = (start: Date) => !isBefore(start, span.since) && isBefore(start, span.until)
  const changed = distinct(changes.map((start) => startOf(start, interval))).filter(isIn)
  const edges = distinct([startOf(since, interval), span.until]).filter((start) => !isIn(start))
  const parts = (interval === 'MONTH' ? edges : []).flatMap(
    (month) => partOf(month, clip(asked, month, interval), horizon.until, changes) ?? [],
  )
  const whole = isBefore(span.since, span.until) ? { span, changed } : null
  return {
    whole,
    parts,
    open: [
      ...without(asked, [...(whole ? [span] : []), ...parts.map((part) => part.span)]),
      ...changed.map((start) => ({ since: start, until: after(start, interval) })),
    ],
  }
}

const distinct = (moments: readonly Date[]) =>
  [...new Set(moments.map((moment) => moment.getTime()))].map((time) => new Date(time))

const placesOf = (tenantId: string, { span, changed }: Whole) => [tenantId, span.since, span.until, changed]

const isWhole = `r.start >= $2 AND r.start < $3 AND r.start <> ALL($4::timestamptz[])`

function findRollups(
  sql: Sql,
  tenantId: string,
  { interval, groupBy }: Question,
  { where, keyOf, nameOf }: Rollups,
  whole: Whole,
  limit: number,
): Promise<Bucket[]> {
  const values = placesOf(tenantId, whole)
  const statement = {
    name: `usage-rollups-${groupBy}-${nameOf(interval)}`,
    text: `SELECT r.start, nullif(${keyOf(groupBy)}, '') AS key, r.sessions, r.messages, r.runs,
        r.failures, r.input_tokens AS "inputTokens", r.output_tokens AS "outputTokens",
        r.cached_input_tokens AS "cachedInputTokens", r.cost, r.time_to_first_token_p50_ms AS "timeToFirstTokenP50Ms",
        r.time_to_first_token_p95_ms AS "timeToFirstTokenP95Ms"
      FROM usage_rollups r WHERE ${where(interval, values)} AND ${isWhole}
      ORDER BY r.start, ${keyOf(groupBy)} LIMIT ${limit + 1}`,
  }
  return sql<Bucket>(statement, values)
}

/** In how many days how many users had what is asked for, as far as they are rolled up; there are as many hours at least. */
async function countDays(
  sql: Sql,
  tenantId: string,
  question: Question,
  conditions: Conditions,
): Promise<number> {
  const rollups = rollupsFor('DAY', question.groupBy, conditions)
  const { whole } = await divide(sql, tenantId, { ...question, interval: 'DAY' })
  if (!rollups || !whole) return 0
  const values = placesOf(tenantId, whole)
  const statement = {
    name: `usage-rollups-days-${rollups.nameOf('DAY')}`,
    text: `SELECT count(*)::int AS days FROM usage_rollups r WHERE ${rollups.where('DAY', values)} AND ${isWhole}`,
  }
  const [row] = await sql<{ days: number }>(statement, values)
  return row?.days ?? 0
}

async function countSessions(
  sql: Sql,
  tenantId: string,
  { interval }: Question,
  { where, nameOf }: Rollups,
  whole: Whole,
): Promise<number> {
  const values = placesOf(tenantId, whole)
  const statement = {
    name: `usage-rollups-sessions-${nameOf(interval)}`,
    text: `SELECT coalesce(sum(r.sessions), 0)::float8 AS sessions
      FROM usage_rollups r WHERE ${where(interval, values)} AND ${isWhole}`,
  }
  const [row] = await sql<{ sessions: number }>(statement, values)
  return row?.sessions ?? 0
}
