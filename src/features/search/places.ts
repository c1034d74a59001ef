import type { Statement } from '../../db/client.ts'
import { digestOf } from '../../lib/digest.ts'
import type { PagePlan } from '../../lib/paging.ts'

/** A place where the words stand: in a message, or with `messageId` null in the title of a session. */
export type Place = { id: string; sessionId: string; messageId: string | null; rank: number }

/** What may narrow a search down; what is null or absent does not. */
export type Conditions = {
  /** The user whose own and shared sessions are looked through; those of everybody where null. */
  visibleTo: string | null
  sessionIds?: readonly string[] | null | undefined
  userId?: string | null | undefined
  agentId?: string | null | undefined
  agentKey?: string | null | undefined
  role?: string | null | undefined
  tags?: readonly string[] | null | undefined
  createdAfter?: Date | null | undefined
  createdBefore?: Date | null | undefined
}

/** The most matches that are ranked and counted: the newest ones. It bounds what a search for a common word costs. */
export const maxMatches = 500

/** What is looked through of a message, as the index has it: its first 50,000 characters. */
export const searchedText = 'left(m.content, 50000)'

type Query = { statement: Statement; values: unknown[] }

/** One page of the places in which the words stand, best first. */
export function findPlaces(words: string, conditions: Conditions, plan: PagePlan): Query {
  const { values, parameter, newest } = newestMatches(words, conditions)
  const [direction, beyond] = plan.backward ? ['ASC', '>'] : ['DESC', '<']
  const after = plan.beyond
    ? `WHERE (rank, id) ${beyond} (${parameter(plan.beyond[0])}::float8, ${parameter(plan.beyond[1])}::uuid)`
    : ''
  // A title says what all of a session is about: its words weigh ten times as much as those of a message.
  const text = `WITH newest AS (${newest}), ranked AS (
      SELECT n.*, ts_rank(CASE WHEN n."messageId" IS NULL THEN setweight(${wordsOf('s.title')}, 'A')
        ELSE ${wordsOf(searchedText)} END, ${asked}, 1)::float8 AS rank
      FROM newest n JOIN sessions s ON s.tenant_id = $1 AND s.id = n."sessionId"
        LEFT JOIN messages m ON m.tenant_id = $1 AND m.id = n."messageId")
    SELECT * FROM ranked ${after} ORDER BY rank ${direction}, id ${direction}
    LIMIT ${parameter(plan.take)} OFFSET ${parameter(plan.skip)}`
  return { statement: named(text), values }
}

/** How many places there are, up to `maxMatches`. */
export function countPlaces(words: string, conditions: Conditions): Query {
  const { values, newest } = newestMatches(words, conditions)
  return { statement: named(`SELECT count(*)::int AS count FROM (${newest}) n`), values }
}

const asked = `websearch_to_tsquery('public.parley', $2)`
const wordsOf = (column: string) => `to_tsvector('public.parley', ${column})`

/** A search for nothing, and one that only says what is not wanted, would have to read everything. */
const isSearchable = `querytree(${asked}) NOT IN ('', 'T')`

function newestMatches(words: string, conditions: Conditions) {
  // `$1` is the tenant, which the database fills in.
  const values: unknown[] = [words]
  const parameter = (value: unknown) => `$${values.push(value) + 1}`
  const ofSession = sessionConditions(conditions, parameter)
  const { createdAfter, createdBefore, role } = conditions
  const range = [
    ...(createdAfter ? [`created_at >= ${parameter(createdAfter)}`] : []),
    ...(createdBefore ? [`created_at < ${parameter(createdBefore)}`] : []),
  ]
  const inMessages = [
    `m.tenant_id = $1 AND m.replaced_at IS NULL AND m.status <> 'STREAMING' AND ${wordsOf(searchedText)} @@ ${asked}`,
    isSearchable,
    ...ofSession,
    ...range.map((condition) => `m.${condition}`),
    ...(role ? [`m.role = ${parameter(role)}::"MessageRole"`] : []),
  ]
  const inTitles = [
    `s.tenant_id = $1 AND ${wordsOf('s.title')} @@ ${asked}`,
    isSearchable,
    ...ofSession,
    ...range.map((condition) => `s.${condition}`),
  ]
  const messages = `SELECT m.id, m.session_id AS "sessionId", m.id AS "messageId"
    FROM messages m JOIN sessions s ON s.tenant_id = m.tenant_id AND s.id = m.session_id
    WHERE ${inMessages.join(' AND ')}`
  const titles = `SELECT s.id, s.id, NULL FROM sessions s WHERE ${inTitles.join(' AND ')}`
  const matches = role ? messages : `${messages} UNION ALL ${titles}`
  return {
    values,
    parameter,
    newest: `SELECT * FROM (${matches}) matches ORDER BY id DESC LIMIT ${maxMatches}`,
  }
}

function sessionConditions(conditions: Conditions, parameter: (value: unknown) => string): string[] {
  const { visibleTo, sessionIds, userId, agentId, agentKey, tags } = conditions
  const all = ['s.deleted_at IS NULL AND NOT s.is_stateless']
  if (visibleTo) {
    const viewer = parameter(visibleTo)
    all.push(`(s.user_id = ${viewer} OR s.id IN (
      SELECT p.session_id FROM participants p WHERE p.tenant_id = $1 AND p.user_id = ${viewer}))`)
  }
  if (sessionIds) all.push(`s.id = ANY(${parameter(sessionIds)}::uuid[])`)
  if (userId) all.push(`s.user_id = ${parameter(userId)}`)
  if (agentId) all.push(`s.agent_id = ${parameter(agentId)}`)
  if (agentKey)
    all.push(
      `s.agent_id = (SELECT a.id FROM agents a WHERE a.tenant_id = $1 AND a.key = ${parameter(agentKey)})`,
    )
  if (tags?.length) all.push(`s.tags @> ${parameter(tags)}::text[]`)
  return all
}

/** One statement per set of conditions; nothing of the values is in the text. */
const named = (text: string): Statement => ({ name: `search-${digestOf(text).slice(0, 16)}`, text })
