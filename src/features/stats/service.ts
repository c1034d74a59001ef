import { z } from 'zod'
import { actingUser, actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Agent, Statement } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { seeOneState } from '../../db/one-state.ts'
import { check, text } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { decodeIdOf } from '../../lib/ids.ts'
import { requireUser } from '../accounts/users.ts'
import type { Bucket } from './buckets.ts'
import type { Conditions, GroupBy } from './entries.ts'
import { type Interval, startsOf } from './intervals.ts'
import { readBuckets } from './rolled-up.ts'

export type UsageFilter = Omit<Conditions, 'agentId' | 'agentKey'> & {
  /** Key or id. */
  agent?: string | null | undefined
}

export type Range = { from: Date; to: Date; interval: Interval; groupBy: GroupBy }

export type UsageArgs = Range & { filter?: UsageFilter | null | undefined }

export type UserStats = {
  userId: string
  totalSessions: number
  activeSessions: number
  totalMessages: number
  tokens: number
  cost: string
  sessionsByAgent: { agent: Agent | null; count: number }[]
}

export type Stats = {
  /** What a user has and has used; the viewer's own, or for admins and services that of anybody in the tenant. */
  ofUser(viewer: Viewer, userId: string | null | undefined): Promise<UserStats>
  /**
   * What was used from `from` until before `to`: the viewer's own usage, or for admins and services the tenant's.
   * Without a group every interval has its bucket; with one, those in which anything happened.
   */
  usage(viewer: Viewer, args: UsageArgs): Promise<Bucket[]>
}

export const maxIntervals = 1_000
export const maxBuckets = 5_000

/** Below what a request may take by default. */
const usageSeconds = 25

const filterCheck = z.object({
  filter: z.object({ agent: text({ max: 100 }).nullish(), model: text({ max: 200 }).nullish() }).nullish(),
})

const countSessions: Statement = {
  name: 'stats-sessions',
  text: `SELECT s.agent_id AS "agentId", count(*)::int AS count, count(*) FILTER (WHERE s.is_active)::int AS active,
      sum(s.message_count)::float8 AS messages
    FROM sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.deleted_at IS NULL AND NOT s.is_stateless
    GROUP BY s.agent_id ORDER BY count DESC, s.agent_id`,
}

// From the ledger: it knows of sessions that are deleted by now.
const sumUsage: Statement = {
  name: 'stats-usage',
  text: `SELECT coalesce(sum(u.input_tokens::bigint + u.output_tokens), 0)::float8 AS tokens, coalesce(sum(u.cost), 0) AS cost
    FROM usage_records u WHERE u.tenant_id = $1 AND u.user_id = $2`,
}

type SessionCount = { agentId: string | null; count: number; active: number; messages: number }

export function createStats(): Stats {
  return {
    async ofUser(viewer, asked) {
      const { db, tenantId } = viewer
      const userId = actingUser(viewer, asked)
      const [counts, [used = { tokens: 0, cost: '0' }]] = await Promise.all([
        db.sql<SessionCount>(countSessions, [tenantId, userId]),
        db.sql<{ tokens: number; cost: string }>(sumUsage, [tenantId, userId]),
        requireUser(db.sql, tenantId, userId),
      ])
      const agentIds = counts.flatMap(({ agentId }) => agentId ?? [])
      const agents = await db.prisma.agent.findMany({ where: { tenantId, id: { in: agentIds } } })
      const sum = (field: 'count' | 'active' | 'messages') =>
        counts.reduce((total, each) => total + each[field], 0)
      return {
        userId,
        totalSessions: sum('count'),
        activeSessions: sum('active'),
        totalMessages: sum('messages'),
        ...used,
        sessionsByAgent: counts.map(({ agentId, count }) => ({
          agent: agents.find(({ id }) => id === agentId) ?? null,
          count,
        })),
      }
    },
    async usage(viewer, { filter, ...range }) {
      check(filterCheck, { filter })
      const starts = checkRange(range)
      const conditions = conditionsOf(viewer, filter ?? {})
      const { from: since, to: until, interval, groupBy } = range
      const buckets = await viewer.db.transaction(async (sql) => {
        await seeOneState(sql)
        // A season of a large tenant is millions of rows, where it is not rolled up as it is asked for.
        await allowLongStatements(sql, usageSeconds)
        const question = { since, until, interval, groupBy }
        return readBuckets(sql, viewer.tenantId, question, conditions, maxBuckets)
      })
      if (!buckets)
        throw invalid(
          'groupBy',
          `gives more than ${maxBuckets} buckets; ask for a longer interval, a shorter time or fewer groups`,
        )
      return groupBy === 'NONE' ? withEmpty(buckets, starts) : buckets
    },
  }
}

function checkRange(range: Range): Date[] {
  if (range.to <= range.from) throw invalid('to', 'is not after from')
  const span = { since: range.from, until: range.to }
  const starts = startsOf(span, range.interval, maxIntervals + 1)
  if (starts.length > maxIntervals)
    throw invalid(
      'to',
      `gives more than ${maxIntervals} intervals from from; ask for a longer interval or a shorter time`,
    )
  return starts
}

function conditionsOf(viewer: Viewer, { agent, userId, ...filter }: UsageFilter): Conditions {
  const ofUser = actsForTenant(viewer) ? userId : actingUser(viewer, userId)
  if (agent?.startsWith('agent_'))
    return { ...filter, userId: ofUser, agentId: decodeIdOf('Agent', agent, 'filter.agent') }
  return { ...filter, userId: ofUser, agentKey: agent }
}

function withEmpty(buckets: readonly Bucket[], starts: readonly Date[]): Bucket[] {
  const found = new Map(buckets.map((bucket) => [bucket.start.getTime(), bucket]))
  return starts.map((start) => found.get(start.getTime()) ?? { start, ...nothing })
}

const nothing = {
  key: null,
  sessions: 0,
  messages: 0,
  runs: 0,
  failures: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cost: '0',
  timeToFirstTokenP50Ms: null,
  timeToFirstTokenP95Ms: null,
}
