import { decodeIdOf } from '../../lib/ids.ts'
import { escapeLike } from '../../lib/like.ts'
import type { SessionFilter } from './checks.ts'

/** The values of a statement whose text grows with what is asked for. */
export type Parameters = {
  /** Takes a value and gives the text that stands for it. */
  add(value: unknown, type: string): string
  readonly values: unknown[]
}

export function createParameters(): Parameters {
  const values: unknown[] = []
  return {
    values,
    add(value, type) {
      values.push(value)
      return `$${values.length}::${type}`
    },
  }
}

/** A filter whose terms (metadata, tags) may have been looked up already: then `ids` are the sessions that fit. */
export type ResolvedFilter = SessionFilter & { ids?: readonly string[] }

/** The conditions of a filter on `sessions s`; those on people are up to the list, which knows who asks. */
export function conditionsOf(filter: ResolvedFilter, tenant: string, { add }: Parameters): string[] {
  const conditions = [`s.deleted_at IS ${filter.deleted ? 'NOT NULL' : 'NULL'}`, 'NOT s.is_stateless']
  const when = <Value>(value: Value | null | undefined, condition: (value: Value) => string) => {
    if (value !== null && value !== undefined) conditions.push(condition(value))
  }
  const day = `now() - interval '24 hours'`
  when(filter.ids, (ids) => `s.id = ANY(${add(ids, 'uuid[]')})`)
  when(filter.userId, (id) => `s.user_id = ${add(id, 'uuid')}`)
  when(
    filter.externalUserId,
    (id) =>
      `s.user_id = (SELECT u.id FROM users u WHERE u.tenant_id = ${tenant} AND u.external_id = ${add(id, 'text')})`,
  )
  when(filter.agent, (agent) =>
    agent.startsWith('agent_')
      ? `s.agent_id = ${add(decodeIdOf('Agent', agent, 'filter.agent'), 'uuid')}`
      : `s.agent_id = (SELECT a.id FROM agents a WHERE a.tenant_id = ${tenant} AND a.key = ${add(agent, 'text')})`,
  )
  when(filter.parentId, (id) => `s.parent_id = ${add(id, 'uuid')}`)
  when(filter.isActive, (isActive) => (isActive ? 's.is_active' : 'NOT s.is_active'))
  when(filter.recentlyActive, (isRecent) =>
    isRecent
      ? `s.last_message_at > ${day} AND s.last_seq > 0`
      : `(s.last_message_at <= ${day} OR s.last_seq = 0)`,
  )
  // What an empty search box sends is no title. Bare, the condition would seem to fit few rows, as PostgreSQL may not ask its
  // statistics where row-level security stands between, and it would sort a whole tenant; rare titles have become `ids`.
  when(
    filter.title || null,
    (title) => `coalesce(s.title ILIKE ${add(`%${escapeLike(title)}%`, 'text')}, false)`,
  )
  when(filter.metadata, (metadata) => `s.metadata @> ${add(JSON.stringify(metadata), 'jsonb')}`)
  when(filter.tags, (tags) => `s.tags @> ${add(tags, 'text[]')}`)
  when(filter.model, (model) => `s.model = ${add(model, 'text')}`)
  when(filter.createdAfter, (date) => `s.created_at >= ${add(date, 'timestamptz')}`)
  when(filter.createdBefore, (date) => `s.created_at < ${add(date, 'timestamptz')}`)
  when(filter.lastMessageAfter, (date) => `s.last_message_at >= ${add(date, 'timestamptz')}`)
  when(filter.lastMessageBefore, (date) => `s.last_message_at < ${add(date, 'timestamptz')}`)
  return conditions
}
