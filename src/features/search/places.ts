import { sharedWith } from '../../auth/policy.ts'
import type { Statement } from '../../db/client.ts'
import { digestOf } from '../../lib/digest.ts'
import type { PagePlan } from '../../lib/paging.ts'

/** A place where the words stand: in a message, or with `messageId` null in the title of a session. */
export type Place = { id: string; sessionId: string; messageId: string | null; rank: number }

/** `total`: how many places there are in all pages, up to `maxMatches`. */
export type CountedPlace = Place & { total: number }

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

/**
 * Words are common that stand in more messages, or titles, of the tenant than this: to read every one of them would take
 * seconds. They are looked for in the latest conversations alone, from the end of each on.
 */
export const commonAbove = 5_000

/** What is looked through for common words, at most. */
const latest = { sessions: 2_000, messagesOfSession: 500, messages: 5_000 }

/** What is looked through of a message, as the index has it: its first 50,000 characters. */
export const searchedText = 'left(m.content, 50000)'

type Query = { statement: Statement; values: unknown[] }

/** One page of the places in which the words stand, best first. */
export function findPlaces(words: string, conditions: Conditions, plan: PagePlan): Query {
  const { values, parameter, found } = matchesOf(words, conditions)
  const [direction, beyond] = plan.backward ? ['ASC', '>'] : ['DESC', '<']
  const after = plan.beyond
    ? `WHERE (rank, id) ${beyond} (${parameter(plan.beyond[0])}::float8, ${parameter(plan.beyond[1])}::uuid)`
    : ''
  // A title says what all of a session is about: its words weigh ten times as much as those of a message.
  const text = `WITH ${found}, ranked AS (
      SELECT n.*, ts_rank(CASE WHEN n."messageId" IS NULL THEN setweight(${wordsOf('s.title')}, 'A')
        ELSE ${wordsOf(searchedText)} END, ${asked}, 1)::float8 AS rank
      FROM newest n JOIN sessions s ON s.tenant_id = $1 AND s.id = n."sessionId"
        LEFT JOIN messages m ON m.tenant_id = $1 AND m.id = n."messageId")
    SELECT *, (SELECT count(*) FROM newest)::int AS total FROM ranked ${after} ORDER BY rank ${direction}, id ${direction}
    LIMIT ${parameter(plan.take)} OFFSET ${parameter(plan.skip)}`
  return { statement: named(text), values }
}

/** How many places there are, where a page has none that could tell. */
export function countPlaces(words: string, conditions: Conditions): Query {
  const { values, found } = matchesOf(words, conditions)
  return { statement: named(`WITH ${found} SELECT count(*)::int AS count FROM newest`), values }
}

const asked = `websearch_to_tsquery('public.parley', $2)`
const wordsOf = (column: string) => `to_tsvector('public.parley', ${column})`

/** A search for nothing, and one that only says what is not wanted, would have to read everything. */
const isSearchable = `querytree(${asked}) NOT IN ('', 'T')`

/** Tables of a WITH, of which `newest` has the newest matches. Row by row, rare and common words go different ways. */
function matchesOf(words: string, conditions: Conditions) {
  // `$1` is the tenant, which the database fills in.
  const values: unknown[] = [words]
  const parameter = (value: unknown) => `$${values.push(value) + 1}`
  const { createdAfter, createdBefore, role } = conditions
  const [from, to] = [createdAfter, createdBefore].map((date) => (date ? parameter(date) : null))
  const scope: Scope = {
    viewer: conditions.visibleTo ? parameter(conditions.visibleTo) : null,
    ofSession: sessionConditions(conditions, parameter),
    range: [...(from ? [`created_at >= ${from}`] : []), ...(to ? [`created_at < ${to}`] : [])],
    // Those that may have a message of that time.
    life: [...(from ? [`s.last_message_at >= ${from}`] : []), ...(to ? [beganBefore(to)] : [])],
    ofMessage: role ? [`m.role = ${parameter(role)}::"MessageRole"`] : [],
  }
  const parts = role ? [messageTables(scope)] : [messageTables(scope), titleTables(scope)]
  const matches = parts.map(({ matches }) => matches).join(' UNION ALL ')
  const newest = `newest AS (SELECT * FROM (${matches}) matches ORDER BY id DESC LIMIT ${maxMatches})`
  return { values, parameter, found: [...parts.map(({ table }) => table), newest].join(', ') }
}

/** Conditions in SQL: on a session, on when a message or title is of, on the life of a session, on a message. */
type Scope = Record<'ofSession' | 'range' | 'life' | 'ofMessage', readonly string[]> & {
  /** Whose own and shared sessions are looked through; null for all. */
  viewer: string | null
}

const where = (...conditions: readonly (readonly string[] | string)[]) => conditions.flat().join(' AND ')
const isRare = (table: string) => `(SELECT count(*) FROM ${table}) <= ${commonAbove}`
const searchedMessage = `m.tenant_id = $1 AND m.replaced_at IS NULL AND m.status <> 'STREAMING'`
const hasWords = (column: string) => `${wordsOf(column)} @@ ${asked}`

/** Forks and imports are younger than their first messages. */
const beganBefore = (time: string) => `(s.created_at < ${time} OR (SELECT f.created_at FROM messages f
  WHERE f.tenant_id = $1 AND f.session_id = s.id ORDER BY f.seq LIMIT 1) < ${time})`

/** On a session that was found by its id. */
const visibleTo = (viewer: string | null) =>
  viewer === null
    ? []
    : `(s.user_id = ${viewer} OR s.id IN (
        SELECT p.session_id FROM participants p WHERE p.tenant_id = $1 AND p.user_id = ${viewer}))`

/** The latest sessions, read from the index of the tenant or from those of the viewer's own and shared ones. */
function latestSessions({ viewer }: Scope, conditions: readonly string[], limit: number): string {
  const latest = (from: string, ...more: string[]) =>
    `(SELECT s.id, s.title, s.last_message_at FROM ${from} WHERE ${where('s.tenant_id = $1', more, conditions)}
      ORDER BY s.last_message_at DESC, s.id DESC LIMIT ${limit})`
  if (viewer === null) return latest('sessions s')
  const own = latest('sessions s', `s.user_id = ${viewer}`)
  const others = latest(sharedWith(viewer))
  return `(${own} UNION ALL ${others} ORDER BY last_message_at DESC, id DESC LIMIT ${limit})`
}

function messageTables(scope: Scope) {
  const { viewer, ofSession, range, life, ofMessage } = scope
  const ofRow = [...range.map((condition) => `m.${condition}`), ...ofMessage]
  const columns = 'm.id, m.session_id AS "sessionId", m.id AS "messageId"'
  const rare = `SELECT ${columns} FROM word_messages m JOIN sessions s ON s.tenant_id = $1 AND s.id = m.session_id
    WHERE ${where(isRare('word_messages'), ofSession, visibleTo(viewer), ofRow)}`
  const window = `SELECT m.* FROM ${latestSessions(scope, [...ofSession, ...life], latest.sessions)} s
    CROSS JOIN LATERAL (SELECT m.id, m.session_id, m.content FROM messages m
      WHERE ${where(searchedMessage, 'm.session_id = s.id', ofRow)}
      ORDER BY m.seq DESC LIMIT ${latest.messagesOfSession}) m LIMIT ${latest.messages}`
  return {
    table: `word_messages AS MATERIALIZED (SELECT m.id, m.session_id, m.created_at, m.role FROM messages m
      WHERE ${where(searchedMessage, hasWords(searchedText), isSearchable)} LIMIT ${commonAbove + 1})`,
    matches: `(${rare}) UNION ALL (SELECT ${columns} FROM (${window}) m
      WHERE NOT ${isRare('word_messages')} AND ${hasWords(searchedText)} LIMIT ${maxMatches})`,
  }
}

function titleTables(scope: Scope) {
  const { viewer, ofSession, range } = scope
  const ofRow = [...ofSession, ...range.map((condition) => `s.${condition}`)]
  const rare = `SELECT s.id, s.id, NULL::uuid FROM word_titles w JOIN sessions s ON s.tenant_id = $1 AND s.id = w.id
    WHERE ${where(isRare('word_titles'), visibleTo(viewer), ofRow)}`
  return {
    table: `word_titles AS MATERIALIZED (SELECT t.session_id AS id FROM session_titles t
      WHERE ${where('t.tenant_id = $1', hasWords('t.title'), isSearchable)} LIMIT ${commonAbove + 1})`,
    matches: `(${rare}) UNION ALL (SELECT s.id, s.id, NULL::uuid FROM ${latestSessions(scope, ofRow, latest.messages)} s
      WHERE NOT ${isRare('word_titles')} AND ${hasWords('s.title')} LIMIT ${maxMatches})`,
  }
}

function sessionConditions(conditions: Conditions, parameter: (value: unknown) => string): string[] {
  const { sessionIds, userId, agentId, agentKey, tags } = conditions
  const all = ['s.deleted_at IS NULL AND NOT s.is_stateless']
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
