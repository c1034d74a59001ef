import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId, encodeId, newId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

type Row = {
  title: string | null
  createdAt: string
  updatedAt: string
  lastMessageAt: string
  messageCount: number
}

/** Few values, so that ties are many; stamps finer than a JavaScript date can hold. */
const stamp = fc
  .record({ second: fc.nat(2), millisecond: fc.nat(2), microsecond: fc.nat(999) })
  .map(
    ({ second, millisecond, microsecond }) =>
      `2026-11-01T00:00:0${second}.00${millisecond}${String(microsecond).padStart(3, '0')}Z`,
  )
const row: fc.Arbitrary<Row> = fc.record({
  title: fc.option(
    fc.constantFrom('a', 'A', 'b', 'ä', 'a b', 'B%', '_', '"', 'é', 'e\u0301', 'zz', '\u{1f600}'),
  ),
  createdAt: stamp,
  updatedAt: stamp,
  lastMessageAt: stamp,
  messageCount: fc.nat(2),
})

let people = 0

/** Somebody new with these sessions. */
async function ownerOf(rows: readonly Row[]): Promise<{ api: Api; userId: string }> {
  people += 1
  const api = app.api({ user: `person-${people}` })
  const { viewer } = await api.run('{ viewer { user { id } } }')
  const userId = decodeId(viewer.user.id).uuid
  await query(
    app.databaseUrl,
    `INSERT INTO sessions (tenant_id, id, user_id, title, created_at, updated_at, last_message_at, message_count, last_seq)
     SELECT u.tenant_id, r.id, u.id, r.title, r."createdAt", r."updatedAt", r."lastMessageAt", r."messageCount", 1
     FROM users u, jsonb_to_recordset($2::jsonb) AS r(id uuid, title text, "createdAt" timestamptz,
       "updatedAt" timestamptz, "lastMessageAt" timestamptz, "messageCount" int) WHERE u.id = $1`,
    { values: [userId, JSON.stringify(rows.map((each) => ({ id: newId(), ...each })))] },
  )
  return { api, userId }
}

const columns = {
  LAST_MESSAGE_AT: 'last_message_at',
  UPDATED_AT: 'updated_at',
  CREATED_AT: 'created_at',
  TITLE: 'title',
  MESSAGE_COUNT: 'message_count',
}
type Field = keyof typeof columns
type Direction = 'ASC' | 'DESC'

/** The whole list in one statement. */
async function fullOrder(userId: string, field: Field, direction: Direction): Promise<string[]> {
  const rows = await query<{ id: string }>(
    app.databaseUrl,
    `SELECT id FROM sessions WHERE user_id = $1 ORDER BY ${columns[field]} ${direction} NULLS LAST, id ${direction}`,
    { values: [userId] },
  )
  return rows.map(({ id }) => encodeId('Session', id))
}

const list = `query ($first: Int, $after: Cursor, $last: Int, $before: Cursor, $offset: Int, $orderBy: SessionOrder!) {
  sessions(first: $first, after: $after, last: $last, before: $before, offset: $offset, orderBy: $orderBy) {
    totalCount nodes { id } edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`

// biome-ignore lint/suspicious/noExplicitAny: a page as the query has it
type Page = any
const idsOf = (page: Page): string[] => page.nodes.map(({ id }: { id: string }) => id)

/** Pages of these sizes in turn, from one end to the other. */
async function walk(api: Api, orderBy: object, sizes: readonly number[], way: 'forward' | 'backward') {
  const pages: Page[] = []
  let cursor: string | null = null
  for (let turn = 0; turn < 100; turn += 1) {
    const size = sizes[turn % sizes.length]
    const { sessions }: { sessions: Page } = await api.run(list, {
      orderBy,
      ...(way === 'forward' ? { first: size, after: cursor } : { last: size, before: cursor }),
    })
    pages.push(sessions)
    const { hasNextPage, hasPreviousPage, startCursor, endCursor } = sessions.pageInfo
    expect(sessions.edges.map(({ node }: { node: { id: string } }) => node.id)).toEqual(idsOf(sessions))
    expect([startCursor, endCursor]).toEqual([
      sessions.edges[0]?.cursor ?? null,
      sessions.edges.at(-1)?.cursor ?? null,
    ])
    // There is something behind whoever came by a cursor.
    expect(way === 'forward' ? hasPreviousPage : hasNextPage).toBe(cursor !== null)
    cursor = way === 'forward' ? endCursor : startCursor
    if (!(way === 'forward' ? hasNextPage : hasPreviousPage)) return pages
  }
  throw new Error('The walk came to no end.')
}

const orders = (Object.keys(columns) as Field[]).flatMap((field) =>
  (['ASC', 'DESC'] as const).map((direction) => ({ field, direction })),
)
const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })

describe.each(orders)('$field $direction', (orderBy) => {
  it('is walked whole, either way, in pages of any size', async () => {
    const property = fc.asyncProperty(fc.array(row, { maxLength: 12 }), sizes, async (rows, pageSizes) => {
      const { api, userId } = await ownerOf(rows)
      const expected = await fullOrder(userId, orderBy.field, orderBy.direction)
      expect(expected).toHaveLength(rows.length)

      const forward = await walk(api, orderBy, pageSizes, 'forward')
      expect(forward.flatMap(idsOf)).toEqual(expected)
      const backward = await walk(api, orderBy, pageSizes, 'backward')
      expect(backward.reverse().flatMap(idsOf)).toEqual(expected)
      for (const { totalCount } of [...forward, ...backward]) expect(totalCount).toBe(rows.length)

      const [size = 1] = pageSizes
      for (let offset = 0; offset <= rows.length; offset += size) {
        const { sessions } = await api.run(list, { orderBy, first: size, offset })
        expect(idsOf(sessions)).toEqual(expected.slice(offset, offset + size))
        expect(sessions.pageInfo.hasNextPage).toBe(offset + size < rows.length)
        expect(sessions.pageInfo.hasPreviousPage).toBe(offset > 0)
      }
    })
    await fc.assert(property, { numRuns: 5 })
  })
})

it('sizes are as the settings have them, in what is read, in what is allowed, and in what it costs', async () => {
  const env = {
    CHAT_DEFAULT_PAGE_SIZE: '3',
    CHAT_MAX_PAGE_SIZE: '120',
    MESSAGE_DEFAULT_PAGE_SIZE: '2',
    MESSAGE_MAX_PAGE_SIZE: '60',
    OPERATION_MAX_COST: '130',
  }
  const { api } = await startTestApp({ env })
  const person = api({ user: 'paging' })
  const messages = ['one', 'two', 'three'].map((content) => ({ role: 'USER', content }))
  let id = ''
  for (let count = 0; count < 4; count += 1) id = await person.createSession()
  await person.change('addMessages', { sessionId: id, messages })
  const { limits, sessions, session } = await person.run(
    `query ($id: ID!) { limits { sessionPageSizeMax messagePageSizeMax } sessions { nodes { id } }
      session(id: $id) { messages { nodes { seq } } } }`,
    { id },
  )
  expect(limits).toEqual({ sessionPageSizeMax: 120, messagePageSizeMax: 60 })
  expect(sessions.nodes).toHaveLength(3)
  expect(session.messages.nodes).toEqual([{ seq: 1 }, { seq: 2 }])

  const faultOf = async (query: string) => (await person.send(query, { id })).errors?.[0]?.message
  const page = (list: string, size: number) =>
    `query ($id: ID!) { session(id: $id) { ${list}(first: ${size}) { pageInfo { hasNextPage } } } }`
  expect(await faultOf(page('messages', 61))).toContain('allowed is 1 to 60')
  expect(await faultOf(page('forks', 121))).toContain('allowed is 1 to 120')
  expect(await faultOf(page('messages', 60))).toBeUndefined()
  // A page of three sessions with the usual two messages of each, and one of which each has five.
  const nested = (size: string) =>
    `{ sessions { nodes { messages${size} { nodes { id seq role content } } } } }`
  expect(await faultOf(nested(''))).toBeUndefined()
  expect(await faultOf(nested('(first: 20)'))).toMatch(/^The operation costs/)
})
