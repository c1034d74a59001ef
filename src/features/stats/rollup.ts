import type { Sql, Statement, SystemDatabase } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { seeOneState } from '../../db/one-state.ts'
import type { Log } from '../../telemetry/log.ts'
import { entriesOf } from './entries.ts'
import { after, earlier, type Interval, isBefore, type Span, startOf } from './intervals.ts'
import { isPairOfUser } from './rollup-rows.ts'
import { addUp, bucketColumns, type Grouping, percentilesOf, sums } from './sums.ts'

/**
 * Counts what is over once and keeps it (`usage_rollups`), so that statistics of long times do not count every message of
 * them again.
 *
 * A rollup is exact for every reader of one state of the database in which its interval ended before the tenant's horizon
 * and no change within it is noted (`usage_changes`):
 * - Whoever changes what is older than an hour notes it in the same transaction: triggers see to it. A note is dropped only
 *   together with a count that has seen it, so what others noted meanwhile stays.
 * - What is younger is not noted. The horizon therefore moves up to two hours ago in two steps: one keeps the number of its
 *   own transaction, and a later one moves it when all transactions with lower numbers are over. Whoever wrote before the
 *   horizon without a note did so within an hour, hence before the first step, and has a lower number; the second sees what
 *   it stored. An hour is to spare for clocks that are set back.
 * - One of a tenant is at it at a time: each changes the row of the horizon, and the other one fails.
 */
export type UsageRollups = {
  /** Rolls up what became due in all tenants, step by step; an aborted call keeps what it did. */
  roll(signal: AbortSignal): Promise<void>
}

/** About as many messages are counted in one step; it ends with a month. */
const stepMessages = 200_000
const stepSeconds = 600

const lastHour = `date_trunc('hour', now() - interval '2 hours', 'UTC')`

const findDue: Statement = {
  name: 'usage-rollup-due',
  text: `SELECT t.id FROM tenants t LEFT JOIN usage_horizons h ON h.tenant_id = t.id
    WHERE h.next_until > h.until OR (h.next_until IS NOT NULL AND h.until IS NULL)
      OR EXISTS (SELECT FROM usage_changes c WHERE c.tenant_id = t.id AND c.at < h.until)
      OR EXISTS (SELECT FROM messages m WHERE m.tenant_id = t.id
        AND m.created_at >= coalesce(h.until, '-infinity') AND m.created_at < ${lastHour})
      OR EXISTS (SELECT FROM usage_records u WHERE u.tenant_id = t.id
        AND u.created_at >= coalesce(h.until, '-infinity') AND u.created_at < ${lastHour})
    ORDER BY t.id`,
}

// Changes the row in any case, so that of two at once one fails.
const takeTurn: Statement = {
  name: 'usage-rollup-turn',
  text: `INSERT INTO usage_horizons AS h (tenant_id) VALUES ($1) ON CONFLICT (tenant_id) DO UPDATE SET until = h.until
    RETURNING until, next_until AS "nextUntil",
      next_xid > pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "isWaiting"`,
}

const findFirst: Statement = {
  name: 'usage-rollup-first',
  text: `SELECT least(
      (SELECT min(c.at) FROM usage_changes c WHERE c.tenant_id = $1 AND c.at < $3),
      coalesce($2, least((SELECT min(m.created_at) FROM messages m WHERE m.tenant_id = $1),
        (SELECT min(u.created_at) FROM usage_records u WHERE u.tenant_id = $1))),
      $3::timestamptz) AS first`,
}

const findEnd: Statement = {
  name: 'usage-rollup-end',
  text: `SELECT date_trunc('month', m.created_at, 'UTC') + interval '1 month' AS end FROM messages m
    WHERE m.tenant_id = $1 AND m.created_at >= $2 AND m.created_at < $3
    ORDER BY m.created_at OFFSET ${stepMessages} LIMIT 1`,
}

const findChanged: Statement = {
  name: 'usage-rollup-changed',
  text: 'SELECT DISTINCT c.at FROM usage_changes c WHERE c.tenant_id = $1 AND c.at < $2',
}

const dropChanged: Statement = {
  name: 'usage-rollup-drop-changed',
  text: 'DELETE FROM usage_changes c WHERE c.tenant_id = $1 AND c.at < $2',
}

const dropRollups = (interval: Interval): Statement => ({
  name: `usage-rollup-drop-${interval}`,
  text: `DELETE FROM usage_rollups r USING unnest($2::timestamptz[], $3::timestamptz[]) AS span(since, until)
    WHERE r.tenant_id = $1 AND r.interval = '${interval}' AND r.group_by = ANY($4)
      AND r.start >= span.since AND r.start < span.until`,
})

/** What `grouping(model, agent_id, user_id)` gives for each group, and the columns that tell it. */
const groups = {
  NONE: { level: 7, columns: '' },
  MODEL: { level: 3, columns: 'model' },
  AGENT: { level: 5, columns: 'agent_id' },
  USER: { level: 6, columns: 'user_id' },
  MODEL_AGENT: { level: 1, columns: 'model, agent_id' },
  MODEL_USER: { level: 2, columns: 'model, user_id' },
  AGENT_USER: { level: 4, columns: 'agent_id, user_id' },
  MODEL_AGENT_USER: { level: 0, columns: 'model, agent_id, user_id' },
}
const group = `CASE s.level ${Object.entries(groups)
  .map(([name, { level }]) => `WHEN ${level} THEN '${name}'`)
  .join(' ')} END`

/** By each group that there is of the interval (`isPairOfUser`). */
const byEach = (interval: 'HOUR' | 'DAY'): Grouping => ({
  names: 'level, start, model, agent_id, user_id',
  select: `grouping(model, agent_id, user_id) AS level, start, coalesce(model, '') AS model,
      coalesce(agent_id, '') AS agent_id, coalesce(user_id, '') AS user_id`,
  by: `start, GROUPING SETS (${Object.entries(groups)
    .filter(([name]) => interval !== 'HOUR' || !isPairOfUser(name))
    .map(([, { columns }]) => `(${columns})`)
    .join(', ')})`,
  // Users are told together with a model or an agent where these are asked for by name.
  having: `grouping(user_id) = 1 OR ((grouping(model) = 1 OR model <> '') AND (grouping(agent_id) = 1 OR agent_id <> ''))`,
})

// What parts of months are added up from (month-parts.ts): of days alone.
const partsOfDays = (names: string) => `
    returns AS (SELECT ${names}, array_agg(day ORDER BY day) AS returned_from, array_agg(sessions ORDER BY day) AS returned
      FROM (SELECT ${names}, day, count(*)::int AS sessions
        FROM (SELECT ${names}, coalesce(extract(day FROM lag(start) OVER (
              PARTITION BY level, date_trunc('MONTH', start, 'UTC'), model, agent_id, user_id, session_id ORDER BY start)
            AT TIME ZONE 'UTC'), 0)::int AS day FROM by_session WHERE session_id IS NOT NULL) AS after_days
        GROUP BY ${names}, day) AS counted
      GROUP BY ${names}),
    first_tokens AS (SELECT ${names}, array_agg(ms ORDER BY ms) AS first_token_ms,
        array_agg(runs::int ORDER BY ms) AS first_tokens FROM waits GROUP BY ${names})`

const columns = `tenant_id, interval, group_by, start, model, agent_id, user_id, sessions, messages, runs,
      failures, input_tokens, output_tokens, cached_input_tokens, cost, time_to_first_token_p50_ms, time_to_first_token_p95_ms`

function countEntries(interval: 'HOUR' | 'DAY'): Statement {
  const grouping = byEach(interval)
  const { names } = grouping
  const hasParts = interval === 'DAY'
  const parts = hasParts ? ', returned_from, returned, first_token_ms, first_tokens' : ''
  return {
    name: `usage-rollup-add-${interval}`,
    text: `INSERT INTO usage_rollups (${columns}${parts})
    WITH entries AS (${entriesOf(interval, { model: 'MODEL', agent_id: 'AGENT', user_id: 'USER' }, { areFew: false })}),
      ${addUp(grouping)}${hasParts ? `,${partsOfDays(names)}` : ''}
    SELECT $1::uuid, '${interval}', ${group}, s.start, s.model, s.agent_id, s.user_id, ${bucketColumns}${parts}
    FROM (SELECT ${names}, count(session_id) AS sessions, ${sums} FROM by_session GROUP BY ${names}) AS s
      LEFT JOIN (${percentilesOf(names)}) AS p USING (${names})
      ${hasParts ? `LEFT JOIN returns USING (${names}) LEFT JOIN first_tokens USING (${names})` : ''}`,
  }
}

const ofMonth = 'month, group_by, model, agent_id, user_id'

/** A session counts on the first of its days in the month. */
const addDays: Statement = {
  name: 'usage-rollup-add-MONTH',
  text: `INSERT INTO usage_rollups (${columns})
    WITH days AS (SELECT r.*, date_trunc('MONTH', r.start, 'UTC') AS month
        FROM unnest($2::timestamptz[], $3::timestamptz[]) AS span(since, until), usage_rollups r
        WHERE r.tenant_id = $1 AND r.interval = 'DAY' AND r.start >= span.since AND r.start < span.until),
      waits AS (SELECT ${ofMonth}, ms, sum(w.runs) AS runs
        FROM days, unnest(first_token_ms, first_tokens) AS w(ms, runs) GROUP BY ${ofMonth}, ms)
    SELECT $1::uuid, 'MONTH', group_by, month, model, agent_id, user_id, ${bucketColumns}
    FROM (SELECT ${ofMonth}, ${sums},
          coalesce(sum((SELECT sum(of_day) FROM unnest(returned_from, returned) AS r(day, of_day) WHERE day = 0)), 0) AS sessions
        FROM days GROUP BY ${ofMonth}) AS s
      LEFT JOIN (${percentilesOf(ofMonth)}) AS p USING (${ofMonth})`,
}

const statements = [
  { interval: 'HOUR', drop: dropRollups('HOUR'), add: countEntries('HOUR') },
  { interval: 'DAY', drop: dropRollups('DAY'), add: countEntries('DAY') },
  // From its days, which come first.
  { interval: 'MONTH', drop: dropRollups('MONTH'), add: addDays },
] as const

const setHorizon: Statement = {
  name: 'usage-rollup-horizon',
  text: `UPDATE usage_horizons SET until = $2,
      next_until = CASE WHEN $3 THEN greatest($2, ${lastHour}) ELSE next_until END,
      next_xid = CASE WHEN $3 THEN pg_current_xact_id()::text::bigint ELSE next_xid END
    WHERE tenant_id = $1`,
}

type Horizon = { until: Date | null; nextUntil: Date | null; isWaiting: boolean | null }

export function createUsageRollups({ system, log }: { system: SystemDatabase; log: Log }): UsageRollups {
  return {
    async roll(signal) {
      for (const { id } of await system.sql<{ id: string }>(findDue, [])) {
        try {
          while (await rollStep(system, id)) signal.throwIfAborted()
        } catch (err) {
          signal.throwIfAborted()
          log.warn({ err, tenantId: id }, 'usage was not rolled up; it is counted anew until it is')
        }
      }
    },
  }
}

/** Whether there may be more to do at once. */
const rollStep = (system: SystemDatabase, tenantId: string): Promise<boolean> =>
  system.transaction(async (sql) => {
    await seeOneState(sql)
    await allowLongStatements(sql, stepSeconds)
    const [horizon = { until: null, nextUntil: null, isWaiting: null }] = await sql<Horizon>(takeTurn, [
      tenantId,
    ])
    const { until } = horizon
    const reachable = horizon.isWaiting ? until : (horizon.nextUntil ?? until)
    if (reachable === null) {
      if (!horizon.isWaiting) await sql(setHorizon, [tenantId, null, true])
      return !horizon.isWaiting
    }
    const [{ first = reachable } = {}] = await sql<{ first: Date }>(findFirst, [tenantId, until, reachable])
    const [{ end } = { end: reachable }] = await sql<{ end: Date }>(findEnd, [tenantId, first, reachable])
    const isLast = end >= reachable
    const stepEnd = isLast ? reachable : end
    const next = until && until > stepEnd ? until : stepEnd
    await countAnew(sql, tenantId, { first, until, next, stepEnd })
    await sql(setHorizon, [tenantId, next, isLast && !horizon.isWaiting])
    return !isLast
  })

type RollStep = { first: Date; until: Date | null; next: Date; stepEnd: Date }

/** Counts the intervals that changed before `stepEnd`, and those that come in as the horizon moves from `until` to `next`. */
async function countAnew(sql: Sql, tenantId: string, { first, until, next, stepEnd }: RollStep) {
  const rows = await sql<{ at: Date }>(findChanged, [tenantId, stepEnd])
  const changes = rows.map(({ at }) => at)
  for (const { interval, drop, add } of statements) {
    const spans = spansAnew(interval, changes, startOf(until ?? first, interval), startOf(next, interval))
    if (spans.length === 0) continue
    const values = [tenantId, spans.map(({ since }) => since), spans.map(({ until: end }) => end)]
    await sql(drop, [...values, Object.keys(groups)])
    await sql(add, values)
  }
  await sql(dropChanged, [tenantId, stepEnd])
}

/** What is counted anew when intervals from `from` until before `to` come in. Days know of earlier ones of their month. */
function spansAnew(interval: Interval, changes: readonly Date[], from: Date, to: Date): Span[] {
  const unit = interval === 'DAY' ? 'MONTH' : interval
  const since = isBefore(from, to) ? startOf(from, unit) : to
  const starts = new Set(changes.map((at) => startOf(at, unit).getTime()))
  const spans = [...starts]
    .map((start) => new Date(start))
    .filter((start) => isBefore(start, since))
    .map((start) => ({ since: start, until: earlier(after(start, unit), to) }))
  return isBefore(since, to) ? [...spans, { since, until: to }] : spans
}
