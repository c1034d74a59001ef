import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { openEventStream } from '../support/sse.ts'

let app: TestApp
let alice: Api
let bob: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
  bob = app.api({ user: 'bob' })
})
besideNeighbour(() => app)

type Person = { id: string; externalId: string }
const viewerOf = async (api: Api): Promise<Person> =>
  (await api.run('{ viewer { user { id externalId } } }')).viewer.user
const share = (sessionId: string, externalUserId: string, role: string, api = alice) =>
  api.mutate(
    'addParticipant',
    { sessionId, externalUserId, role },
    'user { id externalId } session { participants { user { externalId } role since } }',
  )
const read = async (api: Api, id: string) =>
  (
    await api.run(
      'query ($id: ID!) { session(id: $id) { viewerRole participants { user { externalId } role } } }',
      { id },
    )
  ).session
const watchSession = `subscription ($sessionId: ID!, $after: Cursor) {
  sessionEvents(sessionId: $sessionId, after: $after) { __typename cursor
    ... on SessionUpdated { session { viewerRole participants { role user { externalId } } } } } }`

describe('the participants of a session', () => {
  it('are its user and whoever was added, in this order', async () => {
    const id = await alice.createSession()
    expect(await read(alice, id)).toEqual({
      viewerRole: 'OWNER',
      participants: [{ user: { externalId: 'alice' }, role: 'OWNER' }],
    })
    // One of them has never signed in.
    for (const [user, role] of [
      ['bob', 'VIEWER'],
      ['unseen', 'EDITOR'],
    ] as const)
      expect((await share(id, user, role)).user.externalId).toBe(user)
    const participants = [
      { user: { externalId: 'alice' }, role: 'OWNER' },
      { user: { externalId: 'bob' }, role: 'VIEWER' },
      { user: { externalId: 'unseen' }, role: 'EDITOR' },
    ]
    expect(await read(bob, id)).toEqual({ viewerRole: 'VIEWER', participants })
    expect(await read(app.api({ user: 'unseen' }), id)).toEqual({ viewerRole: 'EDITOR', participants })
    const { sessions } = await bob.run(
      `query ($id: ID!) { sessions(filter: { participant: $id }, first: 100) { nodes { id } } }`,
      { id: (await viewerOf(bob)).id },
    )
    expect(sessions.nodes).toContainEqual({ id })
  })

  it('do what their role says', async () => {
    const id = await alice.createSession()
    const { user } = await share(id, 'bob', 'VIEWER')
    const write = { sessionId: id, messages: [{ role: 'USER', content: 'Hello' }] }
    const setRole = (role: string) =>
      alice.mutate('updateParticipant', { sessionId: id, userId: user.id, role }, 'user { id }')
    expect(await bob.mutate('addMessages', write)).toMatchObject({ code: 'FORBIDDEN' })
    expect(await share(id, 'carol', 'VIEWER', bob)).toMatchObject({ code: 'FORBIDDEN' })
    await setRole('EDITOR')
    expect(await bob.mutate('addMessages', write)).not.toHaveProperty('code')
    for (const refused of [
      share(id, 'carol', 'VIEWER', bob),
      bob.mutate('updateParticipant', { sessionId: id, userId: user.id, role: 'OWNER' }),
      bob.mutate('deleteSession', { sessionId: id }),
    ])
      expect(await refused).toMatchObject({ code: 'FORBIDDEN' })
    await setRole('OWNER')
    expect(await share(id, 'carol', 'VIEWER', bob)).toHaveProperty('user')
    expect((await read(bob, id)).viewerRole).toBe('OWNER')
    await setRole('VIEWER')
    expect(await bob.mutate('addMessages', write)).toMatchObject({ code: 'FORBIDDEN' })
  })

  it('are added once', async () => {
    const id = await alice.createSession()
    const results = await Promise.all(Array.from({ length: 10 }, () => share(id, 'newcomer', 'EDITOR')))
    expect(new Set(results.map(({ user }) => user.id)).size).toBe(1)
    expect((await read(alice, id)).participants).toHaveLength(2)
    expect(await share(id, 'newcomer', 'OWNER')).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('EDITOR'),
    })
  })

  it('are at most 100', async () => {
    const id = await alice.createSession()
    const people = Array.from({ length: 104 }, (_, n) => `crowd-${n}`)
    const results = await Promise.all(people.map((user) => share(id, user, 'VIEWER')))
    expect(results.filter(({ code }) => code === 'LIMIT_EXCEEDED')).toHaveLength(4)
    expect((await read(alice, id)).participants).toHaveLength(101)
  })
})

describe('removal', () => {
  it.each(['socket', 'event stream'])(
    'ends the live feeds of that user at once, and no others (%s)',
    async (way) => {
      const id = await alice.createSession()
      const { user } = await share(id, 'bob', 'VIEWER')
      await share(id, 'carol', 'VIEWER')
      const subscriptions = [
        watchSession,
        'subscription ($sessionId: ID!) { messageAdded(sessionId: $sessionId) { content } }',
      ]
      const open = (user: string) =>
        subscriptions.map((query) =>
          way === 'socket'
            ? app.socket({ user }).watch(query, { sessionId: id })
            : openEventStream(app.url, app.token({ user }), query, { sessionId: id }),
        )
      const [bobs, carols, alices] = [open('bob'), open('carol'), open('alice')]
      for (const [feed] of [bobs, carols, alices]) await feed?.until(() => true)
      const say = (content: string) =>
        alice.change('addMessages', { sessionId: id, messages: [{ role: 'USER', content }] })
      // The other door has no first event: messages show that it is open.
      const isHeard = async () => {
        await say('All here?')
        return [bobs, carols, alices].every(([, door]) => (door?.events.length ?? 0) > 0)
      }
      await expect.poll(isHeard).toBe(true)

      const startedMs = Date.now()
      await alice.change('removeParticipant', { sessionId: id, userId: user.id })
      for (const feed of bobs) await feed.ended
      expect(Date.now() - startedMs).toBeLessThan(5_000)
      const updated = await carols[0]?.until(
        (event) => event.__typename === 'SessionUpdated' && event.session.participants.length === 2,
      )
      expect(updated.session.viewerRole).toBe('VIEWER')
      await say('Secret')
      for (const [, door] of [carols, alices]) await door?.until(({ content }) => content === 'Secret')
      expect(JSON.stringify(bobs.map(({ events }) => events))).not.toContain('Secret')
      const told = bobs[0]?.events.filter(({ __typename }) => __typename === 'SessionUpdated') ?? []
      expect(told.length).toBeGreaterThan(0)
      for (const { session } of told) expect(session.participants).toHaveLength(3)
      for (const feed of [...carols, ...alices]) feed.stop()
    },
  )

  it('takes every right, resuming included, whatever the cursor says', async () => {
    const id = await alice.createSession()
    const { user } = await share(id, 'bob', 'EDITOR')
    const feed = app.socket({ user: 'bob' }).watch(watchSession, { sessionId: id })
    const { cursor } = await feed.until(() => true)
    const [epoch, offset] = cursor.split(':')
    const forged = app
      .socket({ user: 'bob' })
      .watch(watchSession, { sessionId: id, after: `${epoch}:${offset}:999999999` })
    const alices = app.socket().watch(watchSession, { sessionId: id })
    await alices.until(() => true)
    await alice.change('sendMessage', { sessionId: id, content: 'Tell me about tides' })
    await forged.until(() => true)
    await alice.change('removeParticipant', { sessionId: id, userId: user.id })
    await Promise.all([feed.ended, forged.ended])

    expect(await read(bob, id)).toBeNull()
    expect(await bob.sendMessage({ sessionId: id, content: 'Hi' })).toMatchObject({ code: 'NOT_FOUND' })
    for (const after of [null, cursor]) {
      const again = app.socket({ user: 'bob' }).watch(watchSession, { sessionId: id, after })
      await expect(again.until(() => true)).rejects.toThrow('NOT_FOUND')
    }
    alices.stop()
  })

  it('is forgotten by a feed that resumes when the user is back', async () => {
    const id = await alice.createSession()
    const { user } = await share(id, 'bob', 'VIEWER')
    const feed = app.socket({ user: 'bob' }).watch(watchSession, { sessionId: id })
    const { cursor } = await feed.until(() => true)
    await alice.change('removeParticipant', { sessionId: id, userId: user.id })
    await feed.ended
    await share(id, 'bob', 'EDITOR')
    const again = app.socket({ user: 'bob' }).watch(watchSession, { sessionId: id, after: cursor })
    await again.until((event) => event.session?.viewerRole === 'EDITOR')
    await alice.change('addMessages', { sessionId: id, messages: [{ role: 'USER', content: 'Hello' }] })
    await again.until((event) => event.__typename === 'MessageAdded')
    again.stop()
  })

  it('is open to the participant itself', async () => {
    const id = await alice.createSession()
    const { user } = await share(id, 'bob', 'VIEWER')
    await share(id, 'carol', 'VIEWER')
    const carol = app.api({ user: 'carol' })
    expect(await carol.mutate('removeParticipant', { sessionId: id, userId: user.id })).toMatchObject({
      code: 'FORBIDDEN',
    })
    const left = await bob.mutate(
      'removeParticipant',
      { sessionId: id, userId: user.id },
      'user { externalId }',
    )
    expect(left).toEqual({ user: { externalId: 'bob' } })
    expect(await read(bob, id)).toBeNull()
    expect(await alice.mutate('removeParticipant', { sessionId: id, userId: user.id })).toMatchObject({
      code: 'NOT_FOUND',
    })
  })
})

describe('refused', () => {
  it('is any change of the user whose session it is', async () => {
    const id = await alice.createSession()
    await share(id, 'bob', 'OWNER')
    const { id: userId } = await viewerOf(alice)
    for (const [name, input] of [
      ['addParticipant', { role: 'VIEWER' }],
      ['updateParticipant', { role: 'VIEWER' }],
      ['removeParticipant', {}],
    ] as const)
      for (const api of [alice, bob])
        expect(await api.mutate(name, { sessionId: id, userId, ...input })).toMatchObject({
          code: 'BAD_USER_INPUT',
        })
    expect((await read(alice, id)).viewerRole).toBe('OWNER')
  })

  it('is what is not the caller’s', async () => {
    const id = await alice.createSession()
    const mallory = app.api({ user: 'mallory' })
    const foreign = app.api({ tenant: 'globex', role: 'ADMIN' })
    const { id: bobId } = await viewerOf(bob)
    for (const [name, input] of [
      ['addParticipant', { role: 'VIEWER', externalUserId: 'mallory' }],
      ['addParticipant', { role: 'VIEWER', userId: bobId }],
      ['updateParticipant', { role: 'VIEWER', userId: bobId }],
      ['removeParticipant', { userId: bobId }],
    ] as const)
      for (const api of [mallory, foreign])
        expect(await api.mutate(name, { sessionId: id, ...input })).toMatchObject({ code: 'NOT_FOUND' })
    expect((await read(alice, id)).participants).toHaveLength(1)
  })

  it('is a user of whom the caller may not know, and bad input', async () => {
    const dora = app.api({ user: 'dora' })
    const id = await dora.createSession()
    const role = 'VIEWER'
    const [{ id: bobId }, { id: foreignId }] = await Promise.all([
      viewerOf(bob),
      viewerOf(app.api({ user: 'bob', tenant: 'globex' })),
    ])
    for (const userId of [bobId, foreignId])
      expect(await dora.mutate('addParticipant', { sessionId: id, userId, role })).toMatchObject({
        code: 'NOT_FOUND',
      })
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    expect(await admin.mutate('addParticipant', { sessionId: id, userId: bobId, role })).not.toHaveProperty(
      'code',
    )
    for (const wrong of [
      {},
      { externalUserId: '' },
      { externalUserId: 'a\0b' },
      { externalUserId: 'u'.repeat(256) },
      { externalUserId: 'bob', userId: bobId },
      { userId: 'bob' },
      { userId: id },
    ])
      expect(await dora.mutate('addParticipant', { sessionId: id, role, ...wrong })).toMatchObject({
        code: 'BAD_USER_INPUT',
      })
    for (const name of ['updateParticipant', 'removeParticipant'])
      expect(
        await dora.mutate(name, { sessionId: id, userId: foreignId, ...(name[0] === 'u' && { role }) }),
      ).toMatchObject({ code: 'NOT_FOUND' })
  })
})
