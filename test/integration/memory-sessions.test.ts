import { beforeAll, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { share } from './messages.harness.ts'

const fields = 'id scope key value source expiresAt'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const save = (input: object, identity: Identity = {}) =>
  app.api(identity).mutate('saveMemory', { scope: 'USER', ...input }, `memory { ${fields} }`)
const saveAll = (input: object, identity: Identity = {}) =>
  app.api(identity).mutate('saveMemories', { scope: 'USER', ...input }, `memories { ${fields} }`)
const remove = (input: object, identity: Identity = {}) =>
  app.api(identity).mutate('deleteMemory', { scope: 'USER', ...input }, 'key')
const clear = (input: object, identity: Identity = {}) =>
  app.api(identity).mutate('clearMemories', { scope: 'USER', ...input }, 'count')

const page = `totalCount nodes { ${fields} } edges { cursor } pageInfo { hasNextPage endCursor }`

async function read(args = '', identity: Identity = {}) {
  return (await app.api(identity).run(`{ memories${args && `(${args})`} { ${page} } }`)).memories
}

async function readSession(id: string, identity: Identity = {}) {
  const { memories } = await app
    .api(identity)
    .run(`query ($id: ID!) { memories(scope: SESSION, sessionId: $id) { ${page} } }`, { id })
  return memories.nodes.map(({ key, value }: { key: string; value: unknown }) => [key, value])
}

it('are read by all who take part and changed by its editors', async () => {
  const id = await app.api({ user: 'alice' }).createSession()
  await share(app, id, 'edith', 'EDITOR')
  await share(app, id, 'vic', 'VIEWER')
  const place = { scope: 'SESSION', sessionId: id }
  expect(await save({ ...place, key: 'plan', value: 'A' }, { user: 'edith' })).toMatchObject({
    memory: { scope: 'SESSION', value: 'A' },
  })
  for (const user of ['alice', 'edith', 'vic'])
    expect(await readSession(id, { user })).toEqual([['plan', 'A']])
  for (const change of [save, saveAll, remove, clear]) {
    const input = { ...place, ...(change === save && { key: 'plan', value: 'B' }) }
    const more = { ...(change === saveAll && { memories: [{ key: 'a', value: 1 }] }) }
    const key = change === remove ? { key: 'plan' } : {}
    expect(await change({ ...input, ...more, ...key }, { user: 'vic' })).toMatchObject({
      code: 'FORBIDDEN',
    })
    expect(await change({ ...input, ...more, ...key }, { user: 'zoe' })).toMatchObject({
      code: 'NOT_FOUND',
    })
  }
  expect(await readSession(id, { user: 'alice' })).toEqual([['plan', 'A']])
  expect(await read('', { user: 'alice' })).toMatchObject({ totalCount: 0 })
})

it('come with lists of sessions, in one statement for all', async () => {
  const user = { user: 'jane' }
  const api = app.api(user)
  for (const [index, agent] of ['primary', 'research', 'router'].entries()) {
    const sessionId = await api.createSession({ agent })
    await saveAll(
      {
        scope: 'SESSION',
        sessionId,
        memories: [
          { key: 'n', value: index },
          { key: 'o', value: 1 },
        ],
      },
      user,
    )
  }
  const { sessions } = await api.run(
    '{ sessions { nodes { memories(first: 1) { totalCount nodes { value } pageInfo { hasNextPage } } } } }',
  )
  expect(sessions.nodes.map(({ memories }: { memories: object }) => memories)).toEqual(
    [2, 1, 0].map((value) => ({ totalCount: 2, nodes: [{ value }], pageInfo: { hasNextPage: true } })),
  )
})

it('are told in the feed, each change once, and followers from a cursor miss none', async () => {
  const api = app.api()
  const sessionId = await api.createSession()
  const place = { scope: 'SESSION', sessionId }
  const text = `subscription ($id: ID!, $after: Cursor) { sessionEvents(sessionId: $id, after: $after) { __typename cursor
      ... on MemoryChanged { key memory { ${fields} } } } }`
  const cursorOf = async () =>
    (await api.run('query ($id: ID!) { session(id: $id) { cursor } }', { id: sessionId })).session.cursor
  const revision = async () =>
    (
      await query(app.databaseUrl, 'SELECT revision FROM sessions WHERE id = $1', {
        values: [decodeId(sessionId).uuid],
      })
    )[0]?.revision
  const after = await cursorOf()
  const before = await revision()
  const { memories } = await saveAll({
    ...place,
    memories: [
      { key: 'a', value: { list: [1] }, expiresAt: new Date(Date.now() + 60_000).toISOString() },
      { key: 'b', value: 2 },
    ],
  })
  expect(await revision()).toBe(before + 1)
  await save({ ...place, key: 'a', value: 3 })
  await remove({ ...place, key: 'a' })
  expect(await clear(place)).toEqual({ count: 1 })
  expect(await revision()).toBe(before + 4)
  // What changes nothing tells nothing.
  expect(await clear(place)).toEqual({ count: 0 })
  expect(await remove({ ...place, key: 'a' })).toMatchObject({ code: 'NOT_FOUND' })
  expect(await revision()).toBe(before + 4)
  await api.change('updateSession', { sessionId, title: 'Last' }, 'session { id }')
  const watch = app.socket().watch(text, { id: sessionId, after })
  await vi.waitFor(
    () => expect(watch.events.filter(({ __typename }) => __typename === 'SessionUpdated')).toHaveLength(5),
    patience,
  )
  const told = watch.events.filter(({ __typename }) => __typename === 'MemoryChanged')
  expect(told.map(({ key, memory }) => [key, memory])).toEqual([
    ['a', memories[0]],
    ['b', memories[1]],
    ['a', expect.objectContaining({ value: 3, expiresAt: null })],
    ['a', null],
    ['b', null],
  ])
})

it('go with the session, and a fork begins without them', async () => {
  const api = app.api()
  const sessionId = await api.createSession()
  const { userMessage } = await api.sendMessage({ sessionId, content: 'Hello', wait: true })
  const { memory } = await save({ scope: 'SESSION', sessionId, key: 'k', value: 1 })
  const { session } = await api.mutate(
    'forkSession',
    { sessionId, atMessageId: userMessage.id },
    'session { memories { totalCount } }',
  )
  expect(session.memories.totalCount).toBe(0)
  await api.change('deleteSession', { sessionId }, 'sessionId')
  const { node } = await api.run('query ($id: ID!) { node(id: $id) { id } }', { id: memory.id })
  expect(node).toBeNull()
  expect(await save({ scope: 'SESSION', sessionId, key: 'k', value: 1 })).toMatchObject({
    code: 'NOT_FOUND',
  })
  await api.change('purgeSession', { sessionId }, 'sessionId')
  const rows = await query(app.databaseUrl, 'SELECT FROM memories WHERE session_id = $1', {
    values: [decodeId(sessionId).uuid],
  })
  expect(rows).toEqual([])
})
