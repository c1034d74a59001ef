import type { Sql, Statement, SystemDatabase } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { seeOneState } from '../../db/one-state.ts'
import type { Log } from '../../telemetry/log.ts'
import { entriesOf, measures, startOfEntry } from './buckets.ts'
import { after, type Interval, type Span, startOf } from './intervals.ts'

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

const intervals = ['HOUR', 'DAY', 'MONTH'] as const

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
    WHERE r.tenant_id = $1 AND r.interval = '${interval}' AND r.group_by = ANY(enum_range(NULL::"UsageRollupGroup"))
      AND r.start >= span.since AND r.start < span.until`,
})

const addRollups = (interval: Interval): Statement => ({
  name: `usage-rollup-add-${interval}`,
  text: `INSERT INTO usage_rollups (tenant_id, interval, group_by, start, key, sessions, messages, runs, failures,
      input_tokens, output_tokens, cached_input_tokens, cost, time_to_first_token_p50_ms, time_to_first_token_p95_ms)
    WITH entries AS (${entriesOf({ model: 'MODEL', agent: 'AGENT', owner: 'USER' }, { ofSpans: true, looksUp: false })})
    SELECT $1::uuid, '${interval}', CASE grouping(model, agent, owner)
        WHEN 7 THEN 'NONE' WHEN 3 THEN 'MODEL' WHEN 5 THEN 'AGENT' ELSE 'USER' END::"UsageRollupGroup",
      start, coalesce(model, agent, owner, ''), ${measures}
    FROM (SELECT ${startOfEntry(interval)} AS start, * FROM entries) AS started
    GROUP BY GROUPING SETS ((start), (start, model), (start, agent), (start, owner))`,
})

const statements = intervals.map((interval) => ({
  interval,
  drop: dropRollups(interval),
  add: addRollups(interval),
}))

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
  const changed = await sql<{ at: Date }>(findChanged, [tenantId, stepEnd])
  for (const { interval, drop, add } of statements) {
    const from = startOf(until ?? first, interval)
    const to = startOf(next, interval)
    const starts = new Set(changed.map(({ at }) => startOf(at, interval).getTime()))
    const spans: Span[] = [...starts]
      .filter((start) => start < from.getTime())
      .map((start) => ({ since: new Date(start), until: after(new Date(start), interval) }))
    if (from < to) spans.push({ since: from, until: to })
    if (spans.length === 0) continue
    const values = [tenantId, spans.map(({ since }) => since), spans.map(({ until: end }) => end)]
    await sql(drop, values)
    await sql(add, values)
  }
  await sql(dropChanged, [tenantId, stepEnd])
}
