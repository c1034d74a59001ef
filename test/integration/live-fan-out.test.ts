import { defaultFieldResolver } from 'graphql'
import { beforeAll, describe, expect, it } from 'vitest'
import { schema } from '../../src/schema.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

let app: TestApp
beforeAll(async () => {
  const undo = (Object.keys(resolved) as Counted[]).map(countResolved)
  app = await startTestApp()
  return () => {
    for (const undoOne of undo) undoOne()
  }
})

const setTitle = `mutation ($sessionId: ID!, $title: String!) {
  updateSession(input: { sessionId: $sessionId, title: $title }) { __typename }
}`
const addParticipant = `mutation ($sessionId: ID!, $user: String!) {
  addParticipant(input: { sessionId: $sessionId, externalUserId: $user, role: VIEWER }) { __typename }
}`
const removeParticipant = `mutation ($sessionId: ID!, $userId: ID!) {
  removeParticipant(input: { sessionId: $sessionId, userId: $userId }) { __typename ... on Error { message } }
}`

/** How often these fields have been resolved, which a selection of an event does once for each execution. */
const resolved = { 'Message.toolCalls': 0, 'ReplyText.status': 0, 'SessionUpdated.session': 0 }
type Counted = keyof typeof resolved

async function counting(name: Counted, work: () => Promise<void>): Promise<number> {
  resolved[name] = 0
  await work()
  return resolved[name]
}

type Resolve = (this: unknown, ...args: unknown[]) => unknown

/** Before a server starts, since that compiles from a copy of the schema. Gives what undoes it. */
function countResolved(name: Counted): () => void {
  const [typeName, fieldName] = name.split('.') as [string, string]
  const type = schema.getType(typeName) as unknown as { getFields(): Record<string, { resolve?: Resolve }> }
  const field = type.getFields()[fieldName]
  if (!field) throw new Error(`There is no ${name} to count.`)
  const { resolve = defaultFieldResolver as Resolve } = field
  field.resolve = function (...args) {
    resolved[name] += 1
    return resolve.apply(this, args)
  }
  return () => {
    field.resolve = resolve
  }
}

async function shareWith(sessionId: string, users: readonly string[]) {
  for (const user of users) await app.api().run(addParticipant, { sessionId, user })
}

describe('readers of one selection', () => {
  it('share the pieces of a reply and the new messages of a session, too', async () => {
    const sessionId = await app.api().createSession()
    const users = ['bob', 'carol']
    await shareWith(sessionId, users)
    const follow = (query: string, id: string) =>
      ['alice', ...users].flatMap((user) => [
        app.socket({ user }).watch(query, { id }),
        openEventStream(app.url, app.token({ user }), query, { id }),
      ])
    const added = `subscription CountedMessages($id: ID!) { messageAdded(sessionId: $id) { content toolCalls { id } } }`
    const add = (content: string) =>
      app.api().mutate('addMessages', { sessionId, messages: [{ role: 'USER', content }] })
    const addings = await counting('Message.toolCalls', async () => {
      const watches = follow(added, sessionId)
      for (let sent = 0; watches.some(({ events }) => events.length === 0); sent += 1) {
        await add(`hello ${sent}`)
        expect(watches.map(({ failure }) => failure ?? null)).toEqual(Array(6).fill(null))
      }
      for (const content of ['one', 'two', 'three']) await add(content)
      for (const watch of watches) {
        await watch.until(({ content }) => content === 'three')
        expect(watch.events.slice(-3).map(({ content }) => content)).toEqual(['one', 'two', 'three'])
        watch.stop()
      }
    })
    expect(addings).toBeGreaterThanOrEqual(4)
    expect(addings).toBeLessThan(6 * 4)

    const { assistantMessage } = await app.api().sendMessage({ sessionId, content: '/pace 40 /long 60' })
    const reply = `subscription CountedPieces($id: ID!) { tokenStream(messageId: $id) { offset text status } }`
    let pieces = 0
    const renderings = await counting('ReplyText.status', async () => {
      const texts = new Set()
      for (const { events, ended } of follow(reply, assistantMessage.id)) {
        await ended
        pieces += events.length
        expect(events.at(-1).status).toBe('COMPLETE')
        texts.add(events.map(({ text }) => text).join(''))
      }
      expect(texts.size).toBe(1)
    })
    // Each has a beginning of its own.
    expect(renderings).toBeGreaterThan(0)
    expect(renderings).toBeLessThan(pieces / 2)
  })

  it('share one execution of each event, whoever they are and whichever door they came by', async () => {
    const sessionId = await app.api().createSession()
    const users = ['bob', 'carol']
    await shareWith(sessionId, users)
    // A document of its own, so that it is compiled while the field counts.
    const query = `subscription Counted($id: ID!, $after: Cursor) { sessionEvents(sessionId: $id, after: $after) {
      __typename cursor ... on SessionUpdated { session { title } } } }`
    const executions = await counting('SessionUpdated.session', async () => {
      const watches = ['alice', ...users].flatMap((user) => [
        app.socket({ user }).watch(query, { id: sessionId }),
        app.socket({ user }).watch(query, { id: sessionId }),
        openEventStream(app.url, app.token({ user }), query, { id: sessionId }),
      ])
      for (const watch of watches) await watch.at(0)
      const [after] = watches.map(({ events }) => events[0].cursor)
      watches.push(app.socket().watch(query, { id: sessionId, after }))
      for (const title of ['one', 'two', 'three']) await app.api().run(setTitle, { sessionId, title })
      for (const watch of watches) {
        await watch.until(({ session }) => session?.title === 'three')
        const titles = watch.events.filter(({ session }) => session).map(({ session }) => session.title)
        expect(titles).toEqual(['one', 'two', 'three'])
      }
      const cursors = watches.map(({ events }) => events.at(-1).cursor)
      expect(new Set(cursors).size).toBe(1)
      for (const watch of watches) watch.stop()
    })
    expect(executions).toBe(3)
  })

  it('that depends on who asks get their own values', async () => {
    const sessionId = await app.api().createSession()
    await shareWith(sessionId, ['bob'])
    const query = `subscription ($id: ID!) { sessionEvents(sessionId: $id) {
      __typename ... on SessionUpdated { session { title viewerRole } } } }`
    const watches = ['alice', 'bob', 'alice'].map((user) =>
      app.socket({ user }).watch(query, { id: sessionId }),
    )
    for (const watch of watches) await watch.at(0)
    await app.api().run(setTitle, { sessionId, title: 'seen' })
    const roles = []
    for (const watch of watches)
      roles.push((await watch.until(({ session }) => session?.title === 'seen')).session.viewerRole)
    expect(roles).toEqual(['OWNER', 'VIEWER', 'OWNER'])
  })

  it('that differ in a variable get what they asked for', async () => {
    const sessionId = await app.api().createSession()
    const query = `subscription ($id: ID!, $all: Boolean!) { sessionEvents(sessionId: $id) {
      __typename ... on SessionUpdated { session { id title @include(if: $all) } } } }`
    const open = (all: boolean) => app.socket().watch(query, { id: sessionId, all })
    const [all, few] = [open(true), open(false)]
    for (const watch of [all, few]) await watch.at(0)
    await app.api().run(setTitle, { sessionId, title: 'seen' })
    const isUpdate = ({ __typename }: { __typename: string }) => __typename === 'SessionUpdated'
    expect((await all.until(isUpdate)).session).toEqual({ id: sessionId, title: 'seen' })
    expect((await few.until(isUpdate)).session).toEqual({ id: sessionId })
  })

  it('keep their own ids, and one that leaves leaves alone', async () => {
    const sessionId = await app.api().createSession()
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
    for (const id of ['a', 'b', '"quoted" ünïcode']) {
      frames.subscribe(id, watchSession, { sessionId })
      await frames.until((frame) => frame.id === id)
    }
    frames.send({ id: 'b', type: 'complete' })
    frames.send({ type: 'ping', payload: { n: 1 } })
    expect(await frames.until(({ type }) => type === 'pong')).toEqual({ type: 'pong', payload: { n: 1 } })
    await app.api().run(setTitle, { sessionId, title: 'x'.repeat(200) })
    for (const id of ['a', '"quoted" ünïcode'])
      await frames.until(
        (frame) => frame.id === id && frame.payload.data?.sessionEvents.__typename === 'SessionUpdated',
      )
    expect(frames.received.filter(({ id }) => id === 'b').length).toBe(1)
    frames.socket.terminate()
  })
})

describe('the right to a shared feed', () => {
  it.each(['socket', 'stream'] as const)('ends with a removal for that one alone, by %s', async (door) => {
    const sessionId = await app.api().createSession()
    await shareWith(sessionId, ['bob'])
    const open = (user: string) =>
      door === 'socket'
        ? app.socket({ user }).watch(watchSession, { sessionId })
        : openEventStream(app.url, app.token({ user }), watchSession, { sessionId })
    const [alice, bob] = [open('alice'), open('bob')]
    await alice.at(0)
    await bob.at(0)
    const { viewer } = await app.api({ user: 'bob' }).run('{ viewer { user { id } } }')
    await app.api().run(removeParticipant, { sessionId, userId: viewer.user.id })
    await app.api().run(setTitle, { sessionId, title: 'after' })
    await bob.ended
    await alice.until(({ session }) => session?.title === 'after')
    expect(bob.events.some(({ session }) => session?.title === 'after')).toBe(false)
    const again = open('bob')
    await expect(again.at(0)).resolves.toBeNull()
    expect(again.failure).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }])
    alice.stop()
  })

  it('ends an event stream when its token does, in a way that clients come back from', async () => {
    const sessionId = await app.api().createSession()
    const stream = openEventStream(app.url, app.token({ expiresInSeconds: -28 }), watchSession, { sessionId })
    await stream.at(0)
    const startedAtMs = performance.now()
    await stream.ended
    expect(performance.now() - startedAtMs).toBeLessThan(7_000)
    // Cut off: graphql-sse takes the lack of `complete` for a failed connection.
    expect(String(stream.failure)).toContain('terminated')
  })
})
