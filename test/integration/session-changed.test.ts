import { describe, expect, it } from 'vitest'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { openEventStream } from '../support/sse.ts'
import type { Watch } from '../support/watch.ts'

const sidebar = `subscription ($filter: SessionFilter) { sessionChanged(filter: $filter) {
  kind sessionId session { id title messageCount isActive viewerRole viewerUnread } } }`

/** A list that is attached; what comes from here on is what it is told. */
async function list(app: TestApp, who: Identity = {}, filter?: Record<string, unknown>) {
  const watch = app.socket(who).watch(sidebar, { filter })
  expect(await watch.at(0)).toEqual({ kind: 'RESET', sessionId: null, session: null })
  return watch
}

/** Kind and session of all that was told, once this many were. */
async function told(watch: Watch, count: number): Promise<string[]> {
  await watch.at(count)
  return watch.events.slice(1).map(({ kind, sessionId }) => `${kind} ${sessionId}`)
}

/** After this, whatever was to be told of earlier changes is told. */
async function settled(app: TestApp, watches: readonly Watch[]) {
  const sessionId = await app.api().createSession({ title: 'settled', tags: ['settled'] })
  for (const watch of watches) await watch.until((change) => change.sessionId === sessionId)
}

const admin = { user: 'root', role: 'ADMIN' } as const

describe('a list of sessions', async () => {
  const app = await startTestApp()
  const api = app.api()

  it('is told of a session from its creation to its end', async () => {
    const watch = await list(app)
    const sessionId = await api.createSession({ title: 'new' })
    expect(await watch.at(1)).toMatchObject({
      kind: 'CREATED',
      sessionId,
      session: { id: sessionId, title: 'new', viewerRole: 'OWNER' },
    })
    await api.change('updateSession', { sessionId, title: 'other' })
    expect(await watch.at(2)).toMatchObject({ kind: 'UPDATED', sessionId, session: { title: 'other' } })
    await api.change('deleteSession', { sessionId })
    expect(await watch.at(3)).toEqual({ kind: 'DELETED', sessionId, session: null })
    await api.change('restoreSession', { sessionId })
    expect(await watch.at(4)).toMatchObject({ kind: 'CREATED', sessionId })
    await api.change('purgeSession', { sessionId })
    expect(await watch.at(5)).toEqual({ kind: 'DELETED', sessionId, session: null })
    await settled(app, [watch])
    expect(watch.events).toHaveLength(7)
  })

  it('is told of a burst once, with the latest state', async () => {
    const sessionId = await api.createSession()
    const watch = await list(app)
    const startedAtMs = performance.now()
    const titles = Array.from({ length: 20 }, (_, index) => `title ${index}`)
    await Promise.all(titles.map((title) => api.change('updateSession', { sessionId, title })))
    await api.change('updateSession', { sessionId, title: 'last' })
    await watch.until(({ session }) => session?.title === 'last')
    const bursts = Math.ceil((performance.now() - startedAtMs) / 100)
    expect(watch.events.length - 1).toBeLessThanOrEqual(bursts)
  })

  it('is told who begins and who ceases to take part, and nothing more to those who are out', async () => {
    const sessionId = await api.createSession()
    const [alice, bob, root] = [await list(app), await list(app, { user: 'bob' }), await list(app, admin)]
    const mallory = await list(app, { user: 'mallory' })
    const { user } = await api.mutate(
      'addParticipant',
      { sessionId, externalUserId: 'bob', role: 'VIEWER' },
      'user { id }',
    )
    expect(await bob.at(1)).toMatchObject({ kind: 'CREATED', sessionId, session: { viewerRole: 'VIEWER' } })
    expect(await alice.at(1)).toMatchObject({ kind: 'UPDATED', sessionId, session: { viewerRole: 'OWNER' } })
    expect(await root.at(1)).toMatchObject({ kind: 'UPDATED', sessionId })
    await api.change('removeParticipant', { sessionId, userId: user.id })
    expect(await bob.at(2)).toEqual({ kind: 'DELETED', sessionId, session: null })
    await api.change('updateSession', { sessionId, title: 'secret' })
    await alice.until(({ session }) => session?.title === 'secret')
    const own = await app.api({ user: 'bob' }).createSession()
    expect(await told(bob, 3)).toEqual([`CREATED ${sessionId}`, `DELETED ${sessionId}`, `CREATED ${own}`])
    await app.api({ user: 'mallory' }).createSession()
    await mallory.at(1)
    expect(mallory.events).toHaveLength(2)
  })

  it('is told what each has not read', async () => {
    const sessionId = await api.createSession()
    await api.change('addParticipant', { sessionId, externalUserId: 'bob', role: 'EDITOR' })
    const [alice, bob] = [await list(app), await list(app, { user: 'bob' })]
    await api.change('addMessages', { sessionId, messages: [{ role: 'USER', content: 'Hello' }] })
    expect(await bob.at(1)).toMatchObject({ session: { viewerUnread: 1, messageCount: 1 } })
    expect(await alice.at(1)).toMatchObject({ session: { viewerUnread: 0, messageCount: 1 } })
    await app.api({ user: 'bob' }).change('markRead', { sessionId })
    expect(await bob.at(2)).toMatchObject({ kind: 'UPDATED', session: { viewerUnread: 0 } })
    await settled(app, [alice])
    expect(alice.events).toHaveLength(3)
  })

  it('is told of a session that the limit deactivates, and of imports and forks', async () => {
    const who = { user: 'dora' }
    const dora = app.api(who)
    const first = await dora.createSession({ agent: 'primary' })
    for (let count = 0; count < 4; count += 1) await dora.createSession({ agent: 'primary' })
    const watch = await list(app, who, { isActive: true })
    const sixth = await dora.createSession({ agent: 'primary' })
    expect((await told(watch, 2)).sort()).toEqual([`CREATED ${sixth}`, `DELETED ${first}`])
    const all = await list(app, who)
    const content = JSON.stringify({
      format: 'parley/1',
      session: {},
      messages: [{ role: 'USER', content: 'Hello' }],
    })
    const imported = await dora.mutate(
      'importSession',
      { content, format: 'PARLEY' },
      'sessions { id messages { nodes { id } } }',
    )
    const [{ id: sessionId, messages }] = imported.sessions
    expect(await told(all, 1)).toEqual([`CREATED ${sessionId}`])
    const atMessageId = messages.nodes[0].id
    const forked = await dora.mutate('forkSession', { sessionId, atMessageId }, 'session { id }')
    expect(
      await all.until(({ kind, sessionId: id }) => kind === 'CREATED' && id === forked.session.id),
    ).toMatchObject({ session: { messageCount: 1 } })
  })

  it('comes over server-sent events, too', async () => {
    const watch = openEventStream(app.url, app.token(), sidebar, {})
    expect(await watch.at(0)).toMatchObject({ kind: 'RESET' })
    const sessionId = await api.createSession()
    expect(await watch.at(1)).toMatchObject({ kind: 'CREATED', sessionId })
    watch.cut()
  })

  it('refuses a filter that it would refuse a list', async () => {
    const watch = app.socket().watch(sidebar, { filter: { agent: 'agent_nonsense' } })
    expect(await watch.at(0)).toBeNull()
    expect(watch.failure).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }])
  })
})
