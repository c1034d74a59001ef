import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId, newId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
let alice: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
})
besideNeighbour(() => app)

const watchSession = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
  __typename ... on SessionDeleted { sessionId } ... on SessionUpdated { session { isActive } } } }`
const read = async (id: string, api = alice) =>
  (await api.run('query ($id: ID!) { session(id: $id) { title deletedAt isActive messageCount } }', { id }))
    .session
const listed = async (deleted: boolean, api = alice): Promise<string[]> => {
  const { sessions } = await api.run(
    `query ($deleted: Boolean) { sessions(filter: { deleted: $deleted }, first: 100) { nodes { id } } }`,
    { deleted },
  )
  return sessions.nodes.map(({ id }: { id: string }) => id)
}
const rowCount = async (table: string, sessionId: string) => {
  const [row] = await query<{ count: number }>(
    app.databaseUrl,
    `SELECT count(*)::int FROM ${table} WHERE session_id = $1`,
    { values: [decodeId(sessionId).uuid] },
  )
  return row?.count
}

describe('a deleted session', () => {
  it('is gone until it is restored', async () => {
    const id = await alice.createSession({ title: 'Tides' })
    const { deletedAt } = await alice.mutate('deleteSession', { sessionId: id }, 'deletedAt')
    expect(await read(id)).toBeNull()
    expect(await listed(false)).not.toContain(id)
    expect(await listed(true)).toContain(id)
    expect(await alice.mutate('deleteSession', { sessionId: id })).toMatchObject({ code: 'NOT_FOUND' })
    const { sessions } = await alice.run('{ sessions(filter: { deleted: true }) { nodes { deletedAt } } }')
    expect(sessions.nodes[0].deletedAt).toBe(deletedAt)

    const { session } = await alice.mutate('restoreSession', { sessionId: id }, 'session { id deletedAt }')
    expect(session).toEqual({ id, deletedAt: null })
    expect(await read(id)).toMatchObject({ title: 'Tides', isActive: true })
    expect(await listed(true)).not.toContain(id)
    // Whoever asks twice gets the same.
    expect(await alice.mutate('restoreSession', { sessionId: id }, 'session { id }')).toEqual({
      session: { id },
    })
  })

  it('is followed again from where it was deleted', async () => {
    const id = await alice.createSession()
    const before = app.socket().watch(watchSession, { sessionId: id })
    await before.until((event) => event.__typename === 'SessionSnapshot')
    await alice.change('deleteSession', { sessionId: id })
    await before.until((event) => event.__typename === 'SessionDeleted')
    await before.ended
    await alice.change('restoreSession', { sessionId: id })
    const after = app.socket().watch(watchSession, { sessionId: id })
    await after.until((event) => event.__typename === 'SessionSnapshot')
    await alice.change('updateSession', { sessionId: id, title: 'Back' })
    await after.until((event) => event.__typename === 'SessionUpdated')
    after.stop()
  })

  it('is listed and restored by its owners only', async () => {
    const bob = app.api({ user: 'bob' })
    const id = await alice.createSession()
    const add = (role: string) =>
      alice.mutate('addParticipant', { sessionId: id, externalUserId: 'bob', role }, 'user { id }')
    const { user } = await add('EDITOR')
    await alice.change('deleteSession', { sessionId: id })
    expect(await listed(true, bob)).not.toContain(id)
    for (const name of ['restoreSession', 'purgeSession'])
      expect(await bob.mutate(name, { sessionId: id })).toMatchObject({ code: 'NOT_FOUND' })
    await alice.change('restoreSession', { sessionId: id })
    for (const name of ['deleteSession', 'restoreSession', 'purgeSession'])
      expect(await bob.mutate(name, { sessionId: id })).toMatchObject({ code: 'FORBIDDEN' })
    await alice.change('updateParticipant', { sessionId: id, userId: user.id, role: 'OWNER' })
    await alice.change('deleteSession', { sessionId: id })
    expect(await listed(true, bob)).toContain(id)
    expect(await bob.mutate('restoreSession', { sessionId: id }, 'session { id }')).toEqual({
      session: { id },
    })
  })

  it('comes back inactive where the limit has no room', async () => {
    const carol = app.api({ user: 'carol' })
    const id = await carol.createSession({ agent: 'primary' })
    await carol.change('deleteSession', { sessionId: id })
    const others = await Promise.all(
      Array.from({ length: 5 }, () => carol.createSession({ agent: 'primary' })),
    )
    const restored = await carol.mutate('restoreSession', { sessionId: id }, 'session { isActive }')
    expect(restored.session.isActive).toBe(false)
    for (const other of others) expect((await read(other, carol)).isActive).toBe(true)

    await carol.change('deleteSession', { sessionId: others[0] })
    const made = await carol.mutate(
      'updateSession',
      { sessionId: id, isActive: true },
      'session { isActive }',
    )
    expect(made.session.isActive).toBe(true)
    const { deactivatedSessions } = await carol.mutate(
      'updateSession',
      { sessionId: await carol.createSession({ agent: 'research' }), agent: 'primary' },
      'deactivatedSessions { id isActive }',
    )
    // The restored one has been quiet the longest.
    expect(deactivatedSessions).toEqual([{ id, isActive: false }])
  })
})

describe('a purged session', () => {
  it('is erased with its messages and runs, and its feed ends', async () => {
    const id = await alice.createSession()
    const sent = await alice.sendMessage({ sessionId: id, content: 'Hello', wait: true })
    expect(sent.run.status).toBe('COMPLETED')
    const tab = app.socket().watch(watchSession, { sessionId: id })
    await tab.until((event) => event.__typename === 'SessionSnapshot')
    expect(await rowCount('messages', id)).toBe(2)

    expect(await alice.mutate('purgeSession', { sessionId: id }, 'sessionId')).toEqual({ sessionId: id })
    expect(await tab.until((event) => event.__typename === 'SessionDeleted')).toMatchObject({ sessionId: id })
    await tab.ended
    for (const table of ['messages', 'runs', 'read_marks', 'participants'])
      expect(await rowCount(table, id)).toBe(0)
    for (const name of ['purgeSession', 'restoreSession', 'deleteSession'])
      expect(await alice.mutate(name, { sessionId: id })).toMatchObject({ code: 'NOT_FOUND' })
  })

  it('may be answering, and may be deleted already', async () => {
    const id = await alice.createSession()
    await alice.change('sendMessage', { sessionId: id, content: 'Tell me a long story about tides' })
    expect(await alice.mutate('purgeSession', { sessionId: id }, 'sessionId')).toEqual({ sessionId: id })
    const other = await alice.createSession()
    await alice.change('deleteSession', { sessionId: other })
    expect(await alice.mutate('purgeSession', { sessionId: other }, 'sessionId')).toEqual({
      sessionId: other,
    })
    expect(await listed(true)).not.toContain(other)
    expect(await rowCount('messages', id)).toBe(0)
  })

  it('is not in a deadlock with forks that make room by closing each other', async () => {
    const key = `single-${newId()}`
    await app
      .api({ user: 'root', role: 'ADMIN' })
      .change('createAgent', { key, name: 'Single', maxActiveSessionsPerUser: 1 })
    for (let round = 0; round < 8; round += 1) {
      const id = await alice.createSession({ agent: key })
      const messages = [{ role: 'USER', content: 'Hello' }]
      const added = await alice.mutate('addMessages', { sessionId: id, messages }, 'messages { id }')
      const forkInput = { sessionId: id, atMessageId: added.messages[0].id }
      const forks = Array.from({ length: 6 }, () => alice.mutate('forkSession', forkInput, 'session { id }'))
      await forks[0]
      expect(await alice.mutate('purgeSession', { sessionId: id }, 'sessionId')).toEqual({ sessionId: id })
      for (const result of await Promise.all(forks))
        expect(result.code ?? result.session.id).toMatch(/^(NOT_FOUND|session_.*)$/)
    }
  })

  it('leaves its forks', async () => {
    const id = await alice.createSession({ title: 'Source' })
    const { userMessage } = await alice.sendMessage({ sessionId: id, content: 'Hello', wait: true })
    const forkInput = { sessionId: id, atMessageId: userMessage.id }
    const fork = (await alice.mutate('forkSession', forkInput, 'session { id }')).session.id
    // Forks that race the erasure are made or refused, and never break it.
    const racing = await Promise.all([
      ...Array.from({ length: 6 }, () => alice.mutate('forkSession', forkInput, 'session { id }')),
      alice.mutate('purgeSession', { sessionId: id }, 'sessionId'),
    ])
    expect(racing.at(-1)).toEqual({ sessionId: id })
    for (const result of racing.slice(0, -1))
      expect(result.code ?? result.session.id).toMatch(/^(NOT_FOUND|session_.*)$/)
    const read = `query ($id: ID!) { session(id: $id) { title parent { id } forkedAt { seq }
      messages { nodes { content } } } }`
    expect((await alice.run(read, { id: fork })).session).toEqual({
      title: 'Source',
      parent: null,
      forkedAt: null,
      messages: { nodes: [{ content: 'Hello' }] },
    })
  })
})

it('refuses what is not the caller’s, and what is no session', async () => {
  const id = await alice.createSession()
  const strangers = [app.api({ user: 'mallory' }), app.api({ tenant: 'globex', role: 'ADMIN' })]
  for (const name of ['restoreSession', 'purgeSession'])
    for (const stranger of strangers) {
      expect(await stranger.mutate(name, { sessionId: id })).toMatchObject({ code: 'NOT_FOUND' })
      for (const wrong of ['session_x', newId(), ''])
        expect(await stranger.mutate(name, { sessionId: wrong })).toMatchObject({ code: 'BAD_USER_INPUT' })
    }
  expect(await read(id)).not.toBeNull()
})
