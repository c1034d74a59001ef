import { beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/db/client.ts'
import { eraseExpiredMemories } from '../../src/features/memory/service.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const fields = 'id scope key value source expiresAt'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { MEMORY_MAX_KEYS: '200' } })
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

const keysOf = ({ nodes }: { nodes: { key: string }[] }) => nodes.map(({ key }) => key)

describe('the memories of a user', () => {
  it('hold any JSON under a key, across sessions and replaced by the next', async () => {
    const user = { user: 'ann' }
    for (const value of [['penicillin'], 'text', 0, false, { deep: [{ '<a>': null }] }, '', 1.5]) {
      const { memory } = await save({ key: 'allergies', value }, user)
      expect(memory).toMatchObject({ scope: 'USER', key: 'allergies', value, source: 'CLIENT' })
      expect((await read('', user)).nodes).toEqual([memory])
    }
    expect((await read('', user)).totalCount).toBe(1)
    const { memory } = await save({ key: 'other', value: 1 }, user)
    const found = await app
      .api(user)
      .run(`query ($id: ID!) { node(id: $id) { ... on Memory { ${fields} } } }`, { id: memory.id })
    expect(found.node).toEqual(memory)
  })

  it('are read by keys and prefix, page by page, in the order of their keys', async () => {
    const user = { user: 'ben' }
    const names = ['b', 'a/1', 'A', 'a/2', 'ä', 'a%']
    await saveAll({ memories: names.map((key) => ({ key, value: key })) }, user)
    const sorted = ['A', 'a%', 'a/1', 'a/2', 'b', 'ä']
    expect(keysOf(await read('', user))).toEqual(sorted)
    expect(keysOf(await read('prefix: "a/"', user))).toEqual(['a/1', 'a/2'])
    expect(keysOf(await read('prefix: "a%"', user))).toEqual(['a%'])
    expect(keysOf(await read('keys: ["b", "none", "A"]', user))).toEqual(['A', 'b'])
    const seen: string[] = []
    for (let after = ''; ; ) {
      const { nodes, totalCount, pageInfo } = await read(`first: 4${after}`, user)
      expect(totalCount).toBe(6)
      seen.push(...keysOf({ nodes }))
      if (!pageInfo.hasNextPage) break
      after = `, after: "${pageInfo.endCursor}"`
    }
    expect(seen).toEqual(sorted)
    expect(keysOf(await read('last: 2', user))).toEqual(['b', 'ä'])
    expect(keysOf(await read('first: 2, offset: 3', user))).toEqual(['a/2', 'b'])
  })

  it('are saved in a batch all or none, in the order of the input', async () => {
    const user = { user: 'cleo' }
    const { memories } = await saveAll({ memories: ['z', 'y'].map((key) => ({ key, value: 1 })) }, user)
    expect(memories.map(({ key }: { key: string }) => key)).toEqual(['z', 'y'])
    const tooLong = [
      { key: 'x', value: 1 },
      { key: 'w', value: 'w'.repeat(65_536) },
    ]
    expect(await saveAll({ memories: tooLong }, user)).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect(keysOf(await read('', user))).toEqual(['y', 'z'])
  })

  it('are deleted and cleared', async () => {
    const user = { user: 'dora' }
    await saveAll({ memories: ['a1', 'a2', 'b1', 'b2'].map((key) => ({ key, value: 1 })) }, user)
    expect(await remove({ key: 'a1' }, user)).toEqual({ key: 'a1' })
    expect(await remove({ key: 'a1' }, user)).toMatchObject({ code: 'NOT_FOUND' })
    expect(await clear({ prefix: 'b' }, user)).toEqual({ count: 2 })
    expect(keysOf(await read('', user))).toEqual(['a2'])
    expect(await clear({}, user)).toEqual({ count: 1 })
    expect(await clear({}, user)).toEqual({ count: 0 })
  })

  it('have a limit of keys, for those who save at the same time, too', async () => {
    const user = { user: 'emil' }
    const batch = (from: number) =>
      Array.from({ length: 90 }, (_, index) => ({ key: `k${from + index}`, value: index }))
    expect(await saveAll({ memories: batch(0) }, user)).toHaveProperty('memories')
    expect(await saveAll({ memories: batch(90) }, user)).toHaveProperty('memories')
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => save({ key: `more${index}`, value: 1 }, user)),
    )
    expect(answers.filter((answer) => 'memory' in answer)).toHaveLength(20)
    expect(answers.find((answer) => 'code' in answer)).toEqual({
      code: 'LIMIT_EXCEEDED',
      message: 'This user has 200 memories; delete some before you save under new keys.',
    })
    expect((await read('first: 1', user)).totalCount).toBe(200)
    expect(await save({ key: 'k0', value: 'replaced' }, user)).toHaveProperty('memory')
  })

  it('are open to whoever acts for the user', async () => {
    const { viewer } = await app.api({ user: 'fay' }).run('{ viewer { user { id } } }')
    const userId = viewer.user.id
    for (const role of ['SERVICE', 'ADMIN'] as const) {
      const identity = { user: `robot-${role}`, role }
      expect(await save({ userId, key: role, value: role }, identity)).toHaveProperty('memory')
      expect(keysOf(await read(`userId: "${userId}"`, identity))).toContain(role)
      expect(keysOf(await read('', identity))).toEqual([])
    }
    expect(keysOf(await read('', { user: 'fay' }))).toEqual(['ADMIN', 'SERVICE'])
    for (const whose of [{ userId }, { externalUserId: 'fay' }])
      expect(await clear(whose, { user: 'gus' })).toMatchObject({ code: 'FORBIDDEN' })
    const robot = { user: 'robot-SERVICE', role: 'SERVICE' } as const
    expect(await save({ externalUserId: 'unseen', key: 'k', value: 1 }, robot)).toHaveProperty('memory')
    expect(keysOf(await read('externalUserId: "unseen"', robot))).toEqual(['k'])
    expect(keysOf(await read('', { user: 'unseen' }))).toEqual(['k'])
    const { errors } = await app.api(robot).send('{ memories(externalUserId: "nobody") { totalCount } }')
    expect(errors?.[0]?.extensions.code).toBe('NOT_FOUND')
  })
})

describe('what has expired', () => {
  const user = { user: 'hal' }
  const expire = (key: string) =>
    query(app.databaseUrl, `UPDATE memories SET expires_at = now() - interval '1 s' WHERE key = $1`, {
      values: [key],
    })

  it('is gone at once from every read, and its key is free', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
    const { memory } = await save({ key: 'code', value: 1, expiresAt }, user)
    expect(memory.expiresAt).toBe(expiresAt)
    await save({ key: 'stays', value: 1 }, user)
    await expire('code')
    expect(await read('', user)).toMatchObject({ totalCount: 1, nodes: [{ key: 'stays' }] })
    expect(keysOf(await read('keys: ["code"]', user))).toEqual([])
    const { node } = await app.api(user).run('query ($id: ID!) { node(id: $id) { id } }', { id: memory.id })
    expect(node).toBeNull()
    expect(await remove({ key: 'code' }, user)).toMatchObject({ code: 'NOT_FOUND' })
    expect(await clear({ prefix: 'code' }, user)).toEqual({ count: 0 })
    const again = await save({ key: 'code', value: 2 }, user)
    expect(again.memory).toMatchObject({ value: 2, expiresAt: null })
    expect(again.memory.id).not.toBe(memory.id)
  })

  it('is erased in the background, whoever it belonged to', async () => {
    await save({ key: 'old', value: 1 }, user)
    await save({ key: 'old', value: 1 }, { user: 'ida', tenant: 'globex' })
    await expire('old')
    const onError = () => {}
    const options = { url: app.databaseUrl, poolSize: 2, poolWaitMs: 2_000, statementTimeoutMs: 5_000 }
    const database = createDatabase({ ...options, onError })
    expect(await eraseExpiredMemories(database.system, new AbortController().signal)).toBe(2)
    await database.close()
    const [left] = await query(
      app.databaseUrl,
      `SELECT count(*)::int AS count FROM memories WHERE key = 'old'`,
    )
    expect(left).toEqual({ count: 0 })
    expect(keysOf(await read('', user))).toContain('stays')
  })
})

const past = new Date(Date.now() - 1_000).toISOString()
const deep = (levels: number): object => (levels === 1 ? { end: 1 } : { in: deep(levels - 1) })

describe('bad input', () => {
  it.each<[string, object, string | RegExp]>([
    ['key', { key: '', value: 1 }, 'is empty'],
    ['key', { key: 'k'.repeat(256), value: 1 }, 'has 256 characters; at most 255 are allowed'],
    ['key', { key: 'a\0', value: 1 }, 'cannot be stored'],
    ['value', { key: 'k', value: 'v'.repeat(65_535) }, 'has 65537 bytes as JSON; at most 65536 are allowed'],
    ['value', { key: 'k', value: deep(21) }, 'nested too deeply'],
    ['value', { key: 'k', value: ['a\0'] }, 'cannot be stored'],
    ['value', { key: 'k', value: { '\ud800': 1 } }, 'cannot be stored'],
    ['expiresAt', { key: 'k', value: 1, expiresAt: past }, 'is not in the future'],
    ['sessionId', { scope: 'SESSION', key: 'k', value: 1 }, 'is missing; the scope SESSION needs one'],
  ])('names %s', async (path, input, says) => {
    const answer = await app.api().mutate('saveMemory', { scope: 'USER', ...input }, '__typename')
    expect(answer).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect(answer.message.startsWith(`${path}: `)).toBe(true)
    expect(answer.message).toMatch(says)
  })

  it('names what is wrong with scopes, batches and pages', async () => {
    const api = app.api()
    const sessionId = await api.createSession()
    const { viewer } = await api.run('{ viewer { user { id } } }')
    const one = { key: 'k', value: 1 }
    expect(await save({ sessionId, ...one })).toMatchObject({
      message: 'sessionId: goes with the scope SESSION only',
    })
    expect(await save({ scope: 'SESSION', sessionId, userId: viewer.user.id, ...one })).toMatchObject({
      message: 'userId: goes with the scope USER only',
    })
    expect(await saveAll({ memories: [] })).toMatchObject({
      message: 'memories: is empty; at least one memory is needed',
    })
    expect(await saveAll({ memories: Array(101).fill(one) })).toMatchObject({
      message: expect.stringContaining('memories: has more than 100 entries'),
    })
    expect(await saveAll({ memories: [one, { key: 'l', value: 1 }, one] })).toMatchObject({
      message: 'memories.2.key: is there twice',
    })
    expect(await saveAll({ memories: [one, { ...one, key: '' }] })).toMatchObject({
      message: expect.stringContaining('memories.1.key: is empty'),
    })
    for (const args of [
      'first: 101',
      'first: 0',
      'after: "x"',
      `keys: ${JSON.stringify(Array(101).fill('k'))}`,
    ]) {
      const { errors } = await api.send(`{ memories(${args}) { totalCount } }`)
      expect(errors?.[0]?.extensions.code, args).toBe('BAD_USER_INPUT')
    }
    const { errors } = await api.send(
      'mutation { saveMemory(input: { scope: USER, key: "k", value: null }) { __typename } }',
    )
    expect(errors?.[0]?.message).toContain('JSON!')
    expect((await read()).totalCount).toBe(0)
  })
})
