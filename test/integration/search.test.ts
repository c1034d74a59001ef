import { beforeAll, describe, expect, it } from 'vitest'
import { searchedText } from '../../src/features/search/places.ts'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query as sql } from '../support/postgres.ts'
import { addMessages, find, searching, textsOf } from './search.harness.ts'

let app: TestApp
let count = 0
/** A person whom no other test knows. */
const newcomer = (role?: 'ADMIN') => app.api({ user: `user-${count++}`, ...(role && { role }) })
beforeAll(async () => {
  app = await startTestApp()
})

describe('search', () => {
  it('finds messages and titles by words, phrases, alternatives and exclusions', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'Garden plans' })
    await addMessages(
      api,
      sessionId,
      'Plant the apple tree',
      'The tree of the apple farmer',
      'Water the roses',
    )
    expect(textsOf(await find(api, 'APPLE tree')).sort()).toEqual([
      'Plant the apple tree',
      'The tree of the apple farmer',
    ])
    expect(textsOf(await find(api, '"apple tree"'))).toEqual(['Plant the apple tree'])
    expect(textsOf(await find(api, 'roses or farmer')).sort()).toEqual([
      'The tree of the apple farmer',
      'Water the roses',
    ])
    expect(textsOf(await find(api, 'apple -farmer'))).toEqual(['Plant the apple tree'])
    expect(textsOf(await find(api, 'garden'))).toEqual(['Garden plans'])
    const { nodes } = await find(api, 'garden')
    expect(nodes[0]).toMatchObject({ message: null, session: { id: sessionId } })
  })

  it('puts titles before messages, and short messages before long ones', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'All about otters' })
    const long = `otters ${'and much else '.repeat(50)}`.trim()
    await addMessages(api, sessionId, long, 'Otters swim')
    const found = await find(api, 'otters')
    expect(textsOf(found)).toEqual(['All about otters', 'Otters swim', long])
    const ranks = found.nodes.map(({ rank }) => rank)
    expect(ranks).toEqual(ranks.toSorted((a, b) => b - a))
    expect(new Set(ranks).size).toBe(3)
  })

  it('marks the words in a plain snippet, whatever the text holds', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'Snippets' })
    const padding = 'word '.repeat(300)
    await addMessages(api, sessionId, `${padding}👍 a walrus\u0002 & <b>another</b> walrus\u0003 ${padding}`)
    const { nodes } = await find(api, 'walrus')
    const { text, highlights } = nodes[0]?.snippet ?? { text: '', highlights: [] }
    expect(highlights.map(({ start, end }) => text.slice(start, end))).toEqual(['walrus', 'walrus'])
    expect(text.length).toBeLessThan(400)
    for (const mark of ['\u0002', '\u0003', '<b>']) expect(text).not.toContain(mark)
    expect(text).toContain('👍')
  })

  it('looks through what the index has', async () => {
    const rows = await sql(
      app.databaseUrl,
      `EXPLAIN SELECT FROM messages m WHERE m.replaced_at IS NULL AND m.status <> 'STREAMING'
       AND to_tsvector('public.parley', ${searchedText}) @@ 'word'`,
      { options: '-c enable_seqscan=off' },
    )
    expect(rows.map((row) => row['QUERY PLAN']).join()).toContain('Index Cond: (to_tsvector(')
  })

  it('stores and finds a message with more words than the index can take', async () => {
    const big = await startTestApp({
      env: { CHAT_MESSAGE_MAX_LENGTH: '1000000', HTTP_BODY_MAX_BYTES: '4000000' },
    })
    const api = big.api()
    const words = Array.from({ length: 140_000 }, (_, index) => (index + 0xa1e71).toString(32))
    const content = `axolotl ${words.join(' ')} gecko`
    await addMessages(api, await api.createSession({ title: 'Big' }), content)
    expect((await find(api, 'axolotl')).nodes[0]?.snippet.text).toContain('axolotl')
    expect((await find(api, 'gecko')).nodes).toEqual([])
  })

  it('finds nothing for what names no word', async () => {
    const api = newcomer()
    await addMessages(api, await api.createSession({ title: 'Something' }), 'some words')
    for (const query of ['', '   ', '!!! ---', '-absent', 'some or -absent', "'\\%_:*&|"])
      expect(await find(api, query), query).toMatchObject({ totalCount: 0, nodes: [] })
  })

  it('finds a reply when it has ended', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'Echo' })
    const { assistantMessage } = await api.sendMessage({ sessionId, content: 'Tell me of tides', wait: true })
    const replies = async () =>
      (await find(api, `"${assistantMessage.content}"`, { filter: { role: 'ASSISTANT' } })).nodes
    expect(await replies()).toMatchObject([{ message: { id: assistantMessage.id } }])
    await sql(app.databaseUrl, `UPDATE messages SET status = 'STREAMING' WHERE id = $1`, {
      values: [decodeId(assistantMessage.id).uuid],
    })
    expect(await replies()).toEqual([])
  })

  it('leaves out what was deleted or replaced', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'Lynx' })
    const [old] = await addMessages(api, sessionId, 'the first lynx', 'the second lynx')
    await sql(app.databaseUrl, 'UPDATE messages SET replaced_at = now() WHERE id = $1', {
      values: [decodeId(old ?? '').uuid],
    })
    expect(textsOf(await find(api, 'lynx'))).toEqual(['Lynx', 'the second lynx'])
    await api.run('mutation ($input: DeleteSessionInput!) { deleteSession(input: $input) { __typename } }', {
      input: { sessionId },
    })
    expect(await find(api, 'lynx')).toMatchObject({ totalCount: 0, nodes: [] })
  })
})

describe('the filter of a search', () => {
  it('narrows by session, owner, agent, role, tags and time', async () => {
    const [api, admin] = [newcomer(), newcomer('ADMIN')]
    const { viewer } = await api.run('{ viewer { user { id } } }')
    const one = await api.createSession({ title: 'One', agent: 'research', tags: ['red', 'blue'] })
    const two = await api.createSession({ title: 'Two', agent: 'primary', tags: ['red'] })
    await addMessages(api, one, 'heron one', { role: 'SYSTEM', content: 'heron rule' })
    const [late] = await addMessages(api, two, 'heron two')
    await addMessages(admin, await admin.createSession({ title: 'Three' }), 'heron three')
    await sql(app.databaseUrl, `UPDATE messages SET created_at = '2020-02-29T12:00:00Z' WHERE id = $1`, {
      values: [decodeId(late ?? '').uuid],
    })
    const { agents } = await api.run('{ agents { id key } }')
    const primary = agents.find(({ key }: { key: string }) => key === 'primary').id
    const filtered = async (filter: object, from = api) =>
      textsOf(await find(from, 'heron', { filter })).sort()

    expect(await filtered({})).toEqual(['heron one', 'heron rule', 'heron two'])
    expect(await filtered({ sessionIds: [two] })).toEqual(['heron two'])
    expect(await filtered({ sessionIds: [] })).toEqual([])
    expect(await filtered({}, admin)).toHaveLength(4)
    expect(await filtered({ userId: viewer.user.id }, admin)).toHaveLength(3)
    expect(await filtered({ agent: 'research' })).toEqual(['heron one', 'heron rule'])
    expect(await filtered({ agent: primary })).toEqual(['heron two'])
    expect(await filtered({ agent: 'nobody' })).toEqual([])
    expect(await filtered({ role: 'SYSTEM' })).toEqual(['heron rule'])
    expect(await filtered({ tags: ['red'] })).toHaveLength(3)
    expect(await filtered({ tags: ['red', 'blue'] })).toHaveLength(2)
    expect(await filtered({ createdBefore: '2020-02-29T12:00:01Z' })).toEqual(['heron two'])
    expect(await filtered({ createdAfter: '2020-02-29T12:00:00Z' })).toHaveLength(3)
    expect(await filtered({ createdAfter: '2020-02-29T12:00:00.001Z' })).toHaveLength(2)
    expect(await filtered({ role: 'USER', tags: ['red'], agent: 'primary', sessionIds: [one, two] })).toEqual(
      ['heron two'],
    )
  })

  it('is refused where it cannot be meant', async () => {
    const api = newcomer()
    const refusal = async (variables: object) => {
      const { errors } = await api.send(searching, { query: 'word', ...variables })
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
      return errors?.[0]?.message
    }
    expect(await refusal({ query: 'x'.repeat(501) })).toContain('at most 500')
    expect(await refusal({ query: 'a\0b' })).toContain('NUL')
    expect(await refusal({ filter: { sessionIds: ['session_x'] } })).toContain('filter.sessionIds.0')
    expect(
      await refusal({ filter: { sessionIds: Array(101).fill(encodeId('Session', crypto.randomUUID())) } }),
    ).toContain('more than 100')
    expect(await refusal({ filter: { userId: await api.createSession() } })).toContain('filter.userId')
    expect(await refusal({ filter: { agent: 'agent_x' } })).toContain('filter.agent')
    expect(await refusal({ filter: { tags: Array(21).fill('x') } })).toContain('more than 20')
    expect(await refusal({ filter: { tags: ['\0'] } })).toContain('NUL')
    expect(await refusal({ first: 51 })).toContain('1 to 50')
    expect(await refusal({ first: 0 })).toContain('1 to 50')
    expect(await refusal({ offset: -1 })).toContain('offset')
    expect(await refusal({ after: 'nonsense' })).toContain('after')
    const cursor = (...values: unknown[]) => Buffer.from(JSON.stringify(values)).toString('base64url')
    for (const [rank, id] of [
      ['high', crypto.randomUUID()],
      [1, 'x'],
      [null, null],
    ])
      expect(await refusal({ after: cursor('rank desc,id desc', rank, id) })).toContain('after')
  })
})

describe('the pages of a search', () => {
  it('go through every hit once, forward, backward and by number', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'Pages' })
    // Several of each rank, so that the order within a rank is put to the test, too.
    await addMessages(
      api,
      sessionId,
      ...Array.from({ length: 17 }, (_, index) => `ibex ${'deer '.repeat(index % 3)}${index}`),
    )
    const whole = textsOf(await find(api, 'ibex', { first: 50 }))
    expect(new Set(whole).size).toBe(17)

    const forward: string[] = []
    for (let after: string | undefined; ; ) {
      const page = await find(api, 'ibex', { first: 5, after })
      expect(page.totalCount).toBe(17)
      expect(page.pageInfo.hasPreviousPage).toBe(after !== undefined)
      forward.push(...textsOf(page))
      after = page.pageInfo.endCursor
      if (!page.pageInfo.hasNextPage) break
    }
    expect(forward).toEqual(whole)

    const backward: string[] = []
    for (let before: string | undefined; ; ) {
      const page = await find(api, 'ibex', { last: 5, before })
      backward.unshift(...textsOf(page))
      before = page.pageInfo.startCursor
      if (!page.pageInfo.hasPreviousPage) break
    }
    expect(backward).toEqual(whole)
    expect(textsOf(await find(api, 'ibex', { first: 5, offset: 10 }))).toEqual(whole.slice(10, 15))
  })

  it('rank and count the newest 500 matches', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ title: 'Many' })
    for (let batch = 0; batch < 6; batch += 1)
      await addMessages(
        api,
        sessionId,
        ...Array.from({ length: 100 }, (_, index) => `gnu ${batch * 100 + index}`),
      )
    const { totalCount, nodes } = await find(api, 'gnu', { last: 1 })
    expect(totalCount).toBe(500)
    expect(nodes[0]?.message?.content).toBe('gnu 100')
    expect((await find(api, 'gnu 99')).totalCount).toBe(1)
  })
})

describe('who searches', () => {
  it('finds its own and shared sessions; admins find those of the tenant', async () => {
    const [alice, bob, carol, admin] = [newcomer(), newcomer(), newcomer(), newcomer('ADMIN')]
    const stranger = app.api({ user: 'root', tenant: 'elsewhere', role: 'ADMIN' })
    const sessionId = await alice.createSession({ title: 'Puffin island' })
    await addMessages(alice, sessionId, 'a puffin flies')
    const { viewer } = await bob.run('{ viewer { user { id } } }')
    const bobs = decodeId(viewer.user.id).uuid
    await sql(
      app.databaseUrl,
      `INSERT INTO participants (tenant_id, session_id, user_id, role) SELECT tenant_id, id, $2, 'VIEWER' FROM sessions WHERE id = $1`,
      { values: [decodeId(sessionId).uuid, bobs] },
    )
    for (const api of [alice, bob, admin])
      expect(textsOf(await find(api, 'puffin'))).toEqual(['Puffin island', 'a puffin flies'])
    for (const api of [carol, stranger])
      for (const filter of [{}, { sessionIds: [sessionId] }])
        expect(await find(api, 'puffin', { filter })).toMatchObject({ totalCount: 0, nodes: [] })

    await sql(app.databaseUrl, 'DELETE FROM participants WHERE user_id = $1', { values: [bobs] })
    expect(await find(bob, 'puffin')).toMatchObject({ totalCount: 0, nodes: [] })
  })
})
