import type { Conditions, GroupBy } from './entries.ts'
import type { Interval } from './intervals.ts'

const columns = { MODEL: 'r.model', AGENT: 'r.agent_id', USER: 'r.user_id' } as const
const dimensions = ['MODEL', 'AGENT', 'USER'] as const

/** The rows of `usage_rollups` that tell a group and conditions together. */
export type Rollups = {
  /** SQL that finds them, as `r`; adds its values to those of the statement, of which `$1` is the tenant. */
  where(interval: Interval, values: unknown[]): string
  /** SQL of the key of a group, which is empty where it is null. */
  keyOf(groupBy: GroupBy): string
  /** For the names of prepared statements. */
  nameOf(interval: Interval): string
}

/**
 * Of users together with models or agents there are rollups of days and months: those of hours would be as many as all others.
 */
export const isPairOfUser = (group: string): boolean => group.endsWith('_USER')

/**
 * Null where none do: a session has no rollups, and users have none of hours together with a model or an agent. What one
 * user has used of them is found by its sessions.
 */
export function rollupsFor(interval: Interval, groupBy: GroupBy, conditions: Conditions): Rollups | null {
  const { userId, sessionId, agentId, agentKey, model } = conditions
  if (sessionId != null) return null
  const filters = (
    [
      ['MODEL', model, (value) => value],
      ['AGENT', agentId, (value) => value],
      [
        'AGENT',
        agentKey,
        (value) => `(SELECT a.id::text FROM agents a WHERE a.tenant_id = $1 AND a.key = ${value})`,
      ],
      ['USER', userId, (value) => value],
    ] satisfies [keyof typeof columns, string | null | undefined, (value: string) => string][]
  ).filter(([, value]) => value != null)
  const told = dimensions.filter((each) => each === groupBy || filters.some(([by]) => by === each))
  const group = told.join('_') || 'NONE'
  if (isPairOfUser(group) && (interval === 'HOUR' || groupBy !== 'USER')) return null
  return {
    where: (interval, values) =>
      [
        `r.tenant_id = $1 AND r.interval = '${interval}' AND r.group_by = '${group}'`,
        ...filters.map(([by, value, given]) => `${columns[by]} = ${given(`$${values.push(value)}`)}`),
      ].join(' AND '),
    keyOf: (by) => (by === 'NONE' || by === 'SESSION' ? `''::text` : columns[by]),
    nameOf: (interval) =>
      [interval, group, ...filters.map(([by]) => by), ...(agentKey == null ? [] : ['key'])].join('-'),
  }
}
