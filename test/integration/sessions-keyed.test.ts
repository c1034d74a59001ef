import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

let app: TestApp
let alice: Api
let service: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
  service = app.api({ user: 'robot', role: 'SERVICE' })
})

const payload =
  'created session { id key title user { id externalId } agent { key } } deactivatedSessions { id }'
const getOrCreate = (api: Api, input: Record<string, unknown>) =>
  api.mutate('getOrCreateSession', input, payload)

describe('the session under a key', () => {
  it('is made once and found ever after', async () => {
    const made = await getOrCreate(alice, { key: 'ticket-1', agent: 'primary', title: 'Ticket 1' })
    expect(made).toMatchObject({
      created: true,
      session: { key: 'ticket-1', title: 'Ticket 1', agent: { key: 'primary' } },
      deactivatedSessions: [],
    })
    const found = await getOrCreate(alice, { key: 'ticket-1', agent: 'research', title: 'Other' })
    expect(found).toEqual({ ...made, created: false })
  })

  it('is one, however many ask at once', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        getOrCreate(alice, { key: 'race', agent: n % 2 ? 'primary' : 'research' }),
      ),
    )
    expect(new Set(results.map(({ session }) => session.id)).size).toBe(1)
    expect(results.filter(({ created }) => created)).toHaveLength(1)
    const { sessions } = await alice.run('{ sessions(first: 100) { nodes { key } } }')
    expect(sessions.nodes.filter(({ key }: { key: string }) => key === 'race')).toHaveLength(1)
  })

  it('is each user’s own', async () => {
    const mine = await getOrCreate(alice, { key: 'shared-key' })
    const other = await getOrCreate(app.api({ user: 'bob' }), { key: 'shared-key' })
    expect(other.created).toBe(true)
    expect(other.session.id).not.toBe(mine.session.id)
  })

  it('is made anew where it was deleted, and then the old one comes back without the key', async () => {
    const first = (await getOrCreate(alice, { key: 'again' })).session.id
    await alice.change('deleteSession', { sessionId: first })
    // Restored before anybody asked, it is still the one.
    await alice.change('restoreSession', { sessionId: first })
    expect(await getOrCreate(alice, { key: 'again' })).toMatchObject({
      created: false,
      session: { id: first },
    })
    await alice.change('deleteSession', { sessionId: first })
    const second = await getOrCreate(alice, { key: 'again' })
    expect(second.created).toBe(true)
    const restored = await alice.mutate('restoreSession', { sessionId: first }, 'session { id key }')
    expect(restored.session).toEqual({ id: first, key: null })
    expect(await getOrCreate(alice, { key: 'again' })).toEqual({ ...second, created: false })
  })

  it('counts against the limit of active ones', async () => {
    const carol = app.api({ user: 'carol' })
    const ids = []
    for (let n = 0; n < 5; n += 1)
      ids.push((await getOrCreate(carol, { key: `${n}`, agent: 'primary' })).session.id)
    expect(await getOrCreate(carol, { key: '5', agent: 'primary' })).toMatchObject({
      created: true,
      deactivatedSessions: [{ id: ids[0] }],
    })
  })

  it.each([
    ['an empty key', { key: '' }, 'key'],
    ['a long key', { key: 'k'.repeat(256) }, 'key'],
    ['NUL in a key', { key: 'a\0b' }, 'key'],
    ['a long title', { key: 'k', title: 't'.repeat(256) }, 'title'],
    ['an unknown parameter', { key: 'k', parameters: { heat: 1 } }, 'parameters'],
    ['an id that is no template', { key: 'k', template: 'session_01h455vb4pex5vsknk084sn02q' }, 'template'],
    [
      'two names of a user',
      { key: 'k', userId: 'user_01h455vb4pex5vsknk084sn02q', externalUserId: 'u' },
      'externalUserId',
    ],
  ])('refuses %s', async (_name, input, path) => {
    const { code, message } = await getOrCreate(alice, input)
    expect({ code, message }).toEqual({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining(`${path}: `),
    })
  })

  it('refuses what does not exist', async () => {
    for (const input of [
      { agent: 'nobody' },
      { template: 'template_01h455vb4pex5vsknk084sn02q' },
      { model: 'openai:not-configured' },
    ])
      expect((await getOrCreate(alice, { key: 'none', ...input })).code).toMatch(
        /NOT_FOUND|MODEL_UNAVAILABLE/,
      )
    expect((await getOrCreate(alice, { key: 'none' })).created).toBe(true)
  })
})

describe('a service token', () => {
  it('acts for a user by the id or by the `sub` of its tokens, seen before or not', async () => {
    const made = await getOrCreate(service, { key: 'k', externalUserId: 'dora' })
    expect(made).toMatchObject({ created: true, session: { user: { externalId: 'dora' } } })
    const userId = made.session.user.id
    expect(await getOrCreate(service, { key: 'k', userId })).toEqual({ ...made, created: false })
    // The same person, once it signs in.
    expect(await getOrCreate(app.api({ user: 'dora' }), { key: 'k' })).toEqual({ ...made, created: false })

    const other = await service.createSession({ externalUserId: 'dora' })
    const list = `query ($filter: SessionFilter) { sessions(filter: $filter) { totalCount nodes { id } } }`
    const expected = { totalCount: 2, nodes: [{ id: other }, { id: made.session.id }] }
    for (const filter of [{ userId }, { externalUserId: 'dora' }])
      expect((await service.run(list, { filter })).sessions).toEqual(expected)
    expect((await service.run(list, { filter: { externalUserId: 'nobody' } })).sessions.totalCount).toBe(0)
    // Whom others are is not asked for by a filter.
    expect((await alice.run(list, { filter: { externalUserId: 'dora' } })).sessions.totalCount).toBe(0)
  })

  it('makes one record of a user that twenty requests name first', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        getOrCreate(service, { key: `${n}`, externalUserId: 'first-seen' }),
      ),
    )
    expect(new Set(results.map(({ session }) => session.user.id)).size).toBe(1)
  })

  it('is the only one beside admins that may', async () => {
    const { user } = (await alice.run('{ viewer { user { id } } }')).viewer
    const bob = app.api({ user: 'bob' })
    for (const input of [{ userId: user.id }, { externalUserId: 'alice' }]) {
      expect(await getOrCreate(bob, { key: 'k', ...input })).toMatchObject({ code: 'FORBIDDEN' })
      expect(await bob.mutate('createSession', input)).toMatchObject({ code: 'FORBIDDEN' })
    }
    const foreign = app.api({ user: 'robot', role: 'SERVICE', tenant: 'globex' })
    expect(await getOrCreate(foreign, { key: 'k', userId: user.id })).toMatchObject({ code: 'NOT_FOUND' })
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    expect(await getOrCreate(admin, { key: 'by-admin', userId: user.id })).toMatchObject({ created: true })
  })
})
