import { describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openEventStream } from '../support/sse.ts'
import type { Watch } from '../support/watch.ts'

const feed = `subscription ($sessionId: ID!, $after: Cursor) { sessionEvents(sessionId: $sessionId, after: $after) {
  __typename cursor
  ... on SessionSnapshot { session { title present { externalId } } }
  ... on PresenceChanged { present { externalId name } }
  ... on TypingChanged { typing { externalId } }
  ... on MessageAdded { message { role } }
  ... on SessionUpdated { session { title } } } }`

type People = { externalId: string }[]
const names = (people: People) => people.map(({ externalId }) => externalId).sort()

/** What was told of who is present, in order. */
const told = (watch: Watch): string[] =>
  watch.events.flatMap(({ present }) => (present ? names(present).join('+') : []))

const untilTold = async (watch: Watch, field: 'present' | 'typing', sets: string[]) => {
  const all = () => watch.events.flatMap((event) => (event[field] ? names(event[field]).join('+') : []))
  await watch.until(() => all().length >= sets.length)
  expect(all()).toEqual(sets)
}

/** An event that comes after whatever was caused before. */
async function mark(app: TestApp, watch: Watch, sessionId: string, title: string) {
  await app.api().change('updateSession', { sessionId, title })
  return watch.until((event) => event.__typename === 'SessionUpdated' && event.session.title === title)
}

async function share(app: TestApp, ...others: string[]): Promise<string> {
  const sessionId = await app.api().createSession()
  for (const externalUserId of others)
    await app.api().change('addParticipant', { sessionId, externalUserId, role: 'EDITOR' })
  return sessionId
}

const presentIn = async (app: TestApp, sessionId: string) => {
  const { session } = await app
    .api()
    .run('query ($id: ID!) { session(id: $id) { present { externalId } typing { externalId } } }', {
      id: sessionId,
    })
  return { present: names(session.present), typing: names(session.typing) }
}

async function open(app: TestApp, sessionId: string, user: string, after?: string) {
  const watch = app
    .socket({ user, ...(user === 'root' && { role: 'ADMIN' }) })
    .watch(feed, { sessionId, after })
  if (after === undefined) await watch.at(0)
  return watch
}

describe('who has a session open', async () => {
  const app = await startTestApp()

  it('is told to the others as the whole set, by every door', async () => {
    const sessionId = await share(app, 'bob')
    const alice = await open(app, sessionId, 'alice')
    const bob = await open(app, sessionId, 'bob')
    await untilTold(alice, 'present', ['alice+bob'])
    await bob.until(({ present }) => present?.length === 2)
    const root = openEventStream(app.url, app.token({ user: 'root', role: 'ADMIN' }), feed, { sessionId })
    await untilTold(alice, 'present', ['alice+bob', 'alice+bob+root'])
    await root.until(({ present }) => present?.length === 3)
    expect(await presentIn(app, sessionId)).toEqual({ present: ['alice', 'bob', 'root'], typing: [] })
    root.cut()
    bob.stop()
    await alice.until(({ present }) => present?.length === 1)
    expect(await presentIn(app, sessionId)).toEqual({ present: ['alice'], typing: [] })
  })

  it('is not told to one who is alone, with however many tabs', async () => {
    const sessionId = await share(app)
    const first = await open(app, sessionId, 'alice')
    const second = await open(app, sessionId, 'alice')
    second.stop()
    await expect.poll(() => presentIn(app, sessionId)).toEqual({ present: ['alice'], typing: [] })
    await mark(app, first, sessionId, 'end')
    expect(told(first)).toEqual([])
  })

  it('stays through a page that is loaded anew, and while another tab is open', async () => {
    const sessionId = await share(app, 'bob')
    const alice = await open(app, sessionId, 'alice')
    const tab = await open(app, sessionId, 'bob')
    await untilTold(alice, 'present', ['alice+bob'])
    for (let reload = 0; reload < 3; reload += 1) {
      const again = await open(app, sessionId, 'bob')
      again.stop()
    }
    tab.stop()
    const last = await open(app, sessionId, 'bob')
    const root = await open(app, sessionId, 'root')
    await untilTold(alice, 'present', ['alice+bob', 'alice+bob+root'])
    root.stop()
    await untilTold(alice, 'present', ['alice+bob', 'alice+bob+root', 'alice+bob'])
    last.stop()
    await untilTold(alice, 'present', ['alice+bob', 'alice+bob+root', 'alice+bob', 'alice'])
  })

  it('is right for one who comes back with a cursor of before', async () => {
    const sessionId = await share(app, 'bob')
    const alice = await open(app, sessionId, 'alice')
    const bob = await open(app, sessionId, 'bob')
    const { cursor } = await bob.until(({ present }) => present?.length === 2)
    bob.stop()
    await untilTold(alice, 'present', ['alice+bob', 'alice'])
    const again = await open(app, sessionId, 'bob', cursor)
    await untilTold(again, 'present', ['alice', 'alice+bob'])
  })

  it('shows nothing to a stranger or another tenant', async () => {
    const sessionId = await share(app)
    await open(app, sessionId, 'alice')
    for (const who of [{ user: 'mallory' }, { user: 'root', tenant: 'other', role: 'ADMIN' as const }]) {
      const query = 'query ($id: ID!) { session(id: $id) { present { externalId } } }'
      expect(await app.api(who).run(query, { id: sessionId })).toEqual({ session: null })
      expect(await app.api(who).mutate('setTyping', { sessionId, isTyping: true })).toMatchObject({
        code: 'NOT_FOUND',
      })
    }
    expect(await presentIn(app, sessionId)).toEqual({ present: ['alice'], typing: [] })
  })
})

describe('who is typing', async () => {
  const app = await startTestApp()
  const type = (user: string, sessionId: string, isTyping = true) =>
    app.api({ user }).mutate('setTyping', { sessionId, isTyping }, 'session { id typing { externalId } }')

  it('is told once, and that it has ended when nothing more is said of it', async () => {
    const sessionId = await share(app, 'bob')
    const alice = await open(app, sessionId, 'alice')
    for (let count = 0; count < 5; count += 1)
      expect(await type('bob', sessionId)).toMatchObject({ session: { id: sessionId } })
    await untilTold(alice, 'typing', ['bob'])
    const startedAtMs = performance.now()
    expect(await presentIn(app, sessionId)).toMatchObject({ typing: ['bob'] })
    await untilTold(alice, 'typing', ['bob', ''])
    expect(performance.now() - startedAtMs).toBeGreaterThan(4_000)
    expect(await presentIn(app, sessionId)).toMatchObject({ typing: [] })
  })

  it('ends when it is said, and with the message', async () => {
    const sessionId = await share(app, 'bob')
    const alice = await open(app, sessionId, 'alice')
    await type('bob', sessionId)
    await untilTold(alice, 'typing', ['bob'])
    await type('bob', sessionId, false)
    await untilTold(alice, 'typing', ['bob', ''])
    await type('alice', sessionId)
    await untilTold(alice, 'typing', ['bob', '', 'alice'])
    await type('bob', sessionId)
    await untilTold(alice, 'typing', ['bob', '', 'alice', 'alice+bob'])
    await app.api({ user: 'bob' }).change('sendMessage', { sessionId, content: 'Hello' })
    await untilTold(alice, 'typing', ['bob', '', 'alice', 'alice+bob', 'alice'])
  })

  it('is not for viewers to say', async () => {
    const sessionId = await share(app)
    await app.api().change('addParticipant', { sessionId, externalUserId: 'carol', role: 'VIEWER' })
    expect(await type('carol', sessionId)).toMatchObject({ code: 'FORBIDDEN' })
    expect(await presentIn(app, sessionId)).toMatchObject({ typing: [] })
  })
})
