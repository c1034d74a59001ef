import fc from 'fast-check'
import pg from 'pg'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { statementsOf } from '../support/statements.ts'

type Row = {
  id: string
  title: string | null
  owner: string
  people: string[]
  owners: string[]
  agent: string | null
  parent: string | null
  tags: string[]
  metadata: { kind: string; deep: { n: number } }
  model: string | null
  isActive: boolean
  isDeleted: boolean
  messageCount: number
}

const identities: Identity[] = [{ user: 'alice' }, { user: 'bob' }, { user: 'root', role: 'ADMIN' }]
const people = ['alice', 'bob', 'carol']
const agents = ['primary', 'research', null]

let app: TestApp
let userIds: Record<string, string>
/** What there is, in the order of each key, ties by id, as the database itself sorts it. */
let rows: Row[]
const places: Record<string, Map<string, number>> = {}

beforeAll(async () => {
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '100' } })
  const apis = Object.fromEntries(people.map((user) => [user, app.api({ user })])) as Record<string, Api>
  userIds = Object.fromEntries(
    await Promise.all(
      people.map(async (user) => [
        user,
        (await (apis[user] as Api).run('{ viewer { user { id } } }')).viewer.user.id,
      ]),
    ),
  )
  let parent: { sessionId: string; atMessageId: string } | undefined
  for (let n = 0; n < 36; n += 1) {
    const api = apis[people[n % 3] as string] as Api
    const input = {
      title: n % 4 === 3 ? null : `Title ${n % 5} ${'%_\\'[n % 3]}`,
      agent: agents[n % 3],
      model: n % 6 === 0 ? 'demo:chat' : null,
      tags: ['all', `t${n % 2}`],
      metadata: { kind: n % 2 ? 'odd' : 'even', deep: { n: n % 4, more: [n % 3] } },
    }
    const isFork = parent !== undefined && n % 9 === 0
    const id = isFork
      ? (await api.mutate('forkSession', parent ?? {}, 'session { id }')).session.id
      : await api.createSession(input)
    const messages = Array.from({ length: n % 4 }, () => ({ role: 'USER', content: 'Hello' }))
    if (messages.length > 0) {
      const added = await api.mutate('addMessages', { sessionId: id, messages }, 'messages { id }')
      if (n === 3) parent = { sessionId: id, atMessageId: added.messages[0].id }
    }
    if (n % 5 === 0) await api.change('updateSession', { sessionId: id, isActive: false })
    const role = n % 2 ? 'OWNER' : 'VIEWER'
    const guests = people.filter((user, index) => user !== people[n % 3] && (n + index) % 4 === 0)
    for (const externalUserId of guests)
      await api.change('addParticipant', { sessionId: id, externalUserId, role })
    if (n % 7 === 6) await api.change('deleteSession', { sessionId: id })
  }
  // Many stamps within one millisecond, which a cursor must tell apart.
  await query(
    app.databaseUrl,
    `UPDATE sessions SET last_message_at = date_trunc('hour', now()) - (message_count % 2) * interval '2 days'
      + (random() * 900)::int * interval '1 microsecond', created_at = date_trunc('hour', now())`,
  )
  rows = await query<Row>(
    app.databaseUrl,
    `SELECT s.id, s.title, u.external_id AS owner, s.tags, s.metadata, s.model, a.key AS agent, s.parent_id AS parent,
      s.is_active AS "isActive", s.deleted_at IS NOT NULL AS "isDeleted", s.message_count AS "messageCount",
      array(SELECT external_id FROM participants p JOIN users ON users.id = p.user_id WHERE p.session_id = s.id) AS people,
      array(SELECT external_id FROM participants p JOIN users ON users.id = p.user_id
        WHERE p.session_id = s.id AND p.role = 'OWNER') AS owners
     FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN agents a ON a.id = s.agent_id`,
  )
  const orders = { LAST_MESSAGE_AT: 'last_message_at', UPDATED_AT: 'updated_at', CREATED_AT: 'created_at' }
  for (const [field, column] of Object.entries({ ...orders, TITLE: 'title', MESSAGE_COUNT: 'message_count' }))
    for (const direction of ['ASC', 'DESC']) {
      const sorted = await query<{ id: string }>(
        app.databaseUrl,
        `SELECT id FROM sessions ORDER BY ${column} ${direction} NULLS LAST, id ${direction}`,
      )
      places[`${field} ${direction}`] = new Map(sorted.map(({ id }, place) => [id, place]))
    }
})

/** Mostly absent: a filter of many conditions fits nothing. */
const option = <Value>(...values: Value[]) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...values) },
  )
const filters = fc.record({
  user: option(...people),
  externalUserId: option(...people, 'nobody'),
  participant: option(...people),
  agent: option('primary', 'research'),
  isActive: option(true, false),
  recentlyActive: option(true, false),
  deleted: option(true, false),
  title: option('title 1', 'TITLE', '%', '_', '\\', '', 'nothing'),
  metadata: option<object>(
    {},
    { kind: 'odd' },
    { deep: { n: 2 } },
    { deep: { more: [1] } },
    { kind: 'odd', deep: { n: 1 } },
    { kind: null },
  ),
  tags: option(['all'], ['all', 't1'], ['none'], []),
  model: option('demo:chat', 'demo:other'),
  hasParent: option(true),
})
type Filter = typeof filters extends fc.Arbitrary<infer Value> ? Value : never

/** Whether JSON holds all of `wanted`, as PostgreSQL means it. */
const holds = (value: unknown, wanted: unknown): boolean =>
  Array.isArray(wanted) && Array.isArray(value)
    ? wanted.every((each) => value.some((one) => holds(one, each)))
    : typeof wanted === 'object' && wanted !== null && typeof value === 'object' && value !== null
      ? Object.entries(wanted).every(([key, inner]) => holds((value as Record<string, unknown>)[key], inner))
      : value === wanted

const isOneOf = (row: Row, user: string) => row.owner === user || row.people.includes(user)

function expected({ user = '', role }: Identity, filter: Filter, parentId: string | undefined): Row[] {
  const may = (row: Row) =>
    role === 'ADMIN' || row.owner === user || (row.isDeleted ? row.owners : row.people).includes(user)
  const wants: ((row: Row) => boolean)[] = [may, (row) => row.isDeleted === (filter.deleted ?? false)]
  const when = <Value>(value: Value | undefined, test: (value: Value) => (row: Row) => boolean) => {
    if (value !== undefined) wants.push(test(value))
  }
  when(filter.user, (name) => (row) => row.owner === name)
  when(filter.externalUserId, (name) => (row) => row.owner === name)
  when(filter.participant, (name) => (row) => isOneOf(row, name))
  when(filter.agent, (key) => (row) => row.agent === key)
  when(filter.isActive, (isActive) => (row) => row.isActive === isActive)
  when(filter.recentlyActive, (is) => (row) => (row.messageCount > 0 && row.messageCount % 2 === 0) === is)
  when(
    filter.title || undefined,
    (part) => (row) => Boolean(row.title?.toLowerCase().includes(part.toLowerCase())),
  )
  when(filter.metadata, (wanted) => (row) => holds(row.metadata, wanted))
  when(filter.tags, (tags) => (row) => tags.every((tag) => row.tags.includes(tag)))
  when(filter.model, (model) => (row) => row.model === model)
  when(parentId, (id) => (row) => row.parent === id)
  return rows.filter((row) => wants.every((want) => want(row)))
}

const listQuery = `query ($filter: SessionFilter, $orderBy: SessionOrder!, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  sessions(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`

describe('a list of sessions', () => {
  it('has what fits any filter, in any order, page by page, from either end', async () => {
    const parent = rows.find(({ parent }) => parent)?.parent ?? ''
    await fc.assert(
      fc.asyncProperty(
        filters,
        fc.constantFrom(...identities),
        fc.constantFrom('LAST_MESSAGE_AT', 'UPDATED_AT', 'CREATED_AT', 'TITLE', 'MESSAGE_COUNT'),
        fc.constantFrom('ASC', 'DESC'),
        fc.integer({ min: 1, max: 20 }),
        fc.boolean(),
        async (asked, identity, field, direction, size, isBackward) => {
          const { user, participant, hasParent, ...rest } = asked
          const filter = {
            ...rest,
            ...(user && { userId: userIds[user] }),
            ...(participant && { participant: userIds[participant] }),
            ...(hasParent && { parentId: encodeId('Session', parent) }),
          }
          const place = places[`${field} ${direction}`] as Map<string, number>
          const wanted = expected(identity, asked, hasParent ? parent : undefined)
            .map(({ id }) => id)
            .sort((a, b) => (place.get(a) ?? 0) - (place.get(b) ?? 0))
          const api = app.api(identity)
          const seen: string[] = []
          for (let cursor: string | null = null; ; ) {
            const page: Record<string, unknown> = isBackward
              ? { last: size, before: cursor }
              : { first: size, after: cursor }
            const { sessions } = await api.run(listQuery, { filter, orderBy: { field, direction }, ...page })
            const ids = sessions.nodes.map(({ id }: { id: string }) => decodeId(id).uuid)
            expect(sessions.totalCount).toBe(wanted.length)
            if (isBackward) seen.unshift(...ids)
            else seen.push(...ids)
            const { hasNextPage, hasPreviousPage, startCursor, endCursor } = sessions.pageInfo
            expect(isBackward ? hasNextPage : hasPreviousPage).toBe(cursor !== null)
            if (!(isBackward ? hasPreviousPage : hasNextPage)) break
            cursor = isBackward ? startCursor : endCursor
          }
          expect(seen).toEqual(wanted)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('asks no more of the database for many sessions than for one', async () => {
    const api = app.api({ user: 'bob' })
    const everything = `query ($first: Int) { sessions(first: $first) { totalCount nodes {
      id title viewerRole viewerUnread viewerLastReadSeq user { externalId } agent { key } template { name }
      parent { id agent { key } user { externalId } } forkedAt { seq message { seq author { externalId } } }
      forks(first: 2) { totalCount nodes { title agent { key } user { externalId } } }
      documents { id } memories(first: 2) { nodes { key } } typing { id } contextPolicy { __typename }
      participants { role user { externalId } } lastMessage { seq author { externalId } run { id } }
      activeRun { id userMessage { seq } } queuedRuns { id } messages(last: 3) { nodes { seq author { name } } } } } }`
    const statements = async (first: number) => {
      await api.run(everything, { first })
      return statementsOf(async () => {
        const { sessions } = await api.run(everything, { first })
        expect(sessions.nodes).toHaveLength(first)
      })
    }
    const [one, many] = [await statements(1), await statements(10)]
    expect(one.length).toBeGreaterThan(3)
    // What is asked for is asked once, whatever number of sessions it is for.
    expect(new Set(many).size, many.join('\n')).toBe(many.length)
    expect(many.length).toBeLessThanOrEqual(18)
  })

  it('finds rare metadata of a large tenant by its index, and common metadata as well', async () => {
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    await query(
      app.databaseUrl,
      `INSERT INTO sessions (tenant_id, id, user_id, title, metadata)
       SELECT tenant_id, gen_random_uuid(), id, 'Bulk', jsonb_build_object('bulk', true, 'n', n)
       FROM users, generate_series(1, 3000) n WHERE external_id = 'carol'`,
    )
    const count = async (metadata: object) =>
      (
        await admin.run(
          'query ($filter: SessionFilter) { sessions(filter: $filter, first: 2) { totalCount nodes { metadata } } }',
          { filter: { metadata } },
        )
      ).sessions
    const sent = vi.spyOn(pg.Client.prototype, 'query')
    expect(await count({ n: 7 })).toEqual({ totalCount: 1, nodes: [{ metadata: { bulk: true, n: 7 } }] })
    expect(sent.mock.calls.some(([asked]) => JSON.stringify(asked).includes('session-rare'))).toBe(true)
    sent.mockRestore()
    expect((await count({ bulk: true })).totalCount).toBe(3000)
    expect((await count({ n: 3001 })).totalCount).toBe(0)
    // A service of another tenant asks the same index.
    const foreign = app.api({ tenant: 'globex', role: 'SERVICE' })
    const { sessions } = await foreign.run(
      '{ sessions(filter: { metadata: { bulk: true } }) { totalCount } }',
    )
    expect(sessions.totalCount).toBe(0)
  })
})

it.each([
  ['no object', { metadata: [1] }],
  ['metadata that is too large', { metadata: { a: 'x'.repeat(20_000) } }],
  ['NUL in metadata', { metadata: { a: '\0' } }],
  ['no user id', { participant: 'alice' }],
  ['the id of a user as the parent', { parentId: 'user_01h455vb4pex5vsknk084sn02q' }],
  ['an empty external id', { externalUserId: '' }],
  ['NUL in a title', { title: '\0' }],
])('a filter with %s is refused', async (_name, filter) => {
  const { errors } = await app
    .api()
    .send('query ($filter: SessionFilter) { sessions(filter: $filter) { totalCount } }', { filter })
  expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['BAD_USER_INPUT'])
})
