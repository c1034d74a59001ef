import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { decodeId, newId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

type Row = {
  id: string
  owner: 'ann' | 'ben'
  agent: 'primary' | 'research' | null
  title: string | null
  model: string | null
  tags: string[]
  isActive: boolean
  isDeleted: boolean
  messageCount: number
  createdAt: Date
  lastMessageAt: Date
}

type Filter = Partial<{
  userId: string
  agent: string
  isActive: boolean
  recentlyActive: boolean
  deleted: boolean
  title: string
  tags: string[]
  model: string
  createdAfter: string
  createdBefore: string
  lastMessageAfter: string
  lastMessageBefore: string
}>

const hour = 3_600_000
const startedAt = Date.now()
const hoursAgo = fc.constantFrom(1, 12, 23, 25, 40, 80).map((hours) => new Date(startedAt - hours * hour))

const row: fc.Arbitrary<Row> = fc.record({
  id: fc.constant('').map(() => newId()),
  owner: fc.constantFrom('ann', 'ben'),
  agent: fc.constantFrom('primary', 'research', null),
  title: fc.constantFrom('Tides', 'tide table', '100 %', 'a_b', 'back\\slash', 'ÄRGER', 'plain', null),
  model: fc.constantFrom('demo:chat', 'demo:echo', null),
  tags: fc.subarray(['x', 'y', 'z']),
  isActive: fc.boolean(),
  isDeleted: fc.constantFrom(true, false, false),
  messageCount: fc.nat(1),
  createdAt: hoursAgo,
  lastMessageAt: hoursAgo,
})

let app: TestApp
let rows: Row[]
let users: Record<'ann' | 'ben', string>
let agents: Record<string, string>

beforeAll(async () => {
  app = await startTestApp()
  users = { ann: '', ben: '' }
  for (const user of ['ann', 'ben'] as const) {
    const { viewer } = await app.api({ user }).run('{ viewer { user { id } } }')
    users[user] = viewer.user.id
  }
  const found = await app.api().run('{ agents { id key } }')
  agents = Object.fromEntries(found.agents.map(({ id, key }: { id: string; key: string }) => [key, id]))
  rows = fc.sample(row, { numRuns: 80, seed: 7 })
  await query(
    app.databaseUrl,
    `INSERT INTO sessions (tenant_id, id, user_id, agent_id, title, model, tags, is_active, deleted_at, message_count,
       last_seq, created_at, last_message_at)
     SELECT u.tenant_id, r.id, u.id, a.id, r.title, r.model, r.tags, r."isActive",
       CASE WHEN r."isDeleted" THEN now() END, r."messageCount", r."messageCount", r."createdAt", r."lastMessageAt"
     FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, owner text, agent text, title text, model text, tags text[],
       "isActive" boolean, "isDeleted" boolean, "messageCount" int, "createdAt" timestamptz, "lastMessageAt" timestamptz)
     JOIN users u ON u.external_id = r.owner LEFT JOIN agents a ON a.tenant_id = u.tenant_id AND a.key = r.agent`,
    { values: [JSON.stringify(rows)] },
  )
})

const filter: fc.Arbitrary<Filter> = fc
  .record({
    userId: fc.constantFrom('ann' as const, 'ben' as const),
    agent: fc.constantFrom('primary', 'research', 'id of primary', 'unheard'),
    isActive: fc.boolean(),
    recentlyActive: fc.boolean(),
    deleted: fc.boolean(),
    title: fc.constantFrom('', 'TIDE', 'e t', '%', '_', '\\', 'är', 'n'),
    tags: fc.subarray(['x', 'y', 'z', 'q']),
    model: fc.constantFrom('demo:chat', 'demo:echo', 'demo:none'),
    createdAfter: hoursAgo.map((date) => date.toISOString()),
    createdBefore: hoursAgo.map((date) => date.toISOString()),
    lastMessageAfter: hoursAgo.map((date) => date.toISOString()),
    lastMessageBefore: hoursAgo.map((date) => date.toISOString()),
  })
  // Most filters name a few conditions: all twelve at once match nothing.
  .chain((all) => fc.subarray(Object.keys(all), { maxLength: 4 }).map((kept) => pick(all, kept)))

function pick(all: object, kept: readonly string[]): Filter {
  return Object.fromEntries(Object.entries(all).filter(([name]) => kept.includes(name)))
}

/** The same in plain JavaScript. */
function fits(each: Row, f: Filter): boolean {
  const isRecent = each.messageCount > 0 && each.lastMessageAt.getTime() > startedAt - 24 * hour
  const agent = f.agent === 'id of primary' ? 'primary' : f.agent
  return (
    each.isDeleted === (f.deleted ?? false) &&
    (f.userId === undefined || each.owner === f.userId) &&
    (agent === undefined || each.agent === agent) &&
    (f.isActive === undefined || each.isActive === f.isActive) &&
    (f.recentlyActive === undefined || isRecent === f.recentlyActive) &&
    (!f.title || (each.title?.toLowerCase().includes(f.title.toLowerCase()) ?? false)) &&
    (f.tags ?? []).every((tag) => each.tags.includes(tag)) &&
    (f.model === undefined || each.model === f.model) &&
    (f.createdAfter === undefined || each.createdAt >= new Date(f.createdAfter)) &&
    (f.createdBefore === undefined || each.createdAt < new Date(f.createdBefore)) &&
    (f.lastMessageAfter === undefined || each.lastMessageAt >= new Date(f.lastMessageAfter)) &&
    (f.lastMessageBefore === undefined || each.lastMessageAt < new Date(f.lastMessageBefore))
  )
}

async function listed(api: Api, { userId, agent, ...rest }: Filter): Promise<string[]> {
  const asked = {
    ...rest,
    ...(userId ? { userId: users[userId as 'ann'] } : {}),
    ...(agent ? { agent: agent === 'id of primary' ? agents.primary : agent } : {}),
  }
  const { sessions } = await api.run(
    'query ($filter: SessionFilter) { sessions(filter: $filter, first: 100) { totalCount nodes { id } } }',
    { filter: asked },
  )
  expect(sessions.totalCount).toBe(sessions.nodes.length)
  return sessions.nodes.map(({ id }: { id: string }) => decodeId(id).uuid).sort()
}

const idsOf = (matching: readonly Row[]) => matching.map(({ id }) => id).sort()

it('each condition alone, and several together, list what fits them', async () => {
  const admin = app.api({ user: 'root', role: 'ADMIN' })
  const ann = app.api({ user: 'ann' })
  const sizes = new Set<number>()
  const property = fc.asyncProperty(filter, async (f) => {
    const expected = rows.filter((each) => fits(each, f))
    sizes.add(expected.length)
    expect(await listed(admin, f)).toEqual(idsOf(expected))
    expect(await listed(ann, f)).toEqual(idsOf(expected.filter(({ owner }) => owner === 'ann')))
  })
  const alone = fc.sample(filter, { numRuns: 2_000, seed: 11 }).filter((f) => Object.keys(f).length === 1)
  const examples = [...new Map(alone.map((f) => [JSON.stringify(f), [f] as [Filter]])).values()]
  await fc.assert(property, { numRuns: examples.length + 60, examples })
  // Neither everything nor nothing all the time.
  expect(sizes.size).toBeGreaterThan(10)
})

it('a row that is deleted between two pages empties none', async () => {
  const api = app.api({ user: 'cleo' })
  const ids: string[] = []
  for (const title of ['a', 'b', 'c', 'd', 'e']) ids.push(await api.createSession({ title }))
  const page = async (after: string | null) => {
    const { sessions } = await api.run(
      `query ($after: Cursor) { sessions(first: 2, after: $after, orderBy: { field: TITLE, direction: ASC }) {
        nodes { title } pageInfo { endCursor hasNextPage } } }`,
      { after },
    )
    return sessions
  }
  const first = await page(null)
  expect(first.nodes).toEqual([{ title: 'a' }, { title: 'b' }])
  for (const id of [ids[1], ids[2]]) {
    await api.run('mutation ($id: ID!) { deleteSession(input: { sessionId: $id }) { __typename } }', { id })
  }
  const second = await page(first.pageInfo.endCursor)
  expect(second).toMatchObject({ nodes: [{ title: 'd' }, { title: 'e' }], pageInfo: { hasNextPage: false } })
  await query(app.databaseUrl, 'DELETE FROM sessions WHERE id = $1', {
    values: [decodeId(ids[1] ?? '').uuid],
  })
  expect((await page(first.pageInfo.endCursor)).nodes).toEqual([{ title: 'd' }, { title: 'e' }])
})
