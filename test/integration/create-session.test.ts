import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { addMessages } from './messages.harness.ts'

const create = `mutation ($input: CreateSessionInput!) { createSession(input: $input) {
  __typename
  ... on CreateSessionPayload { session { id isActive title titleSource agent { key } } deactivatedSessions { id isActive } }
  ... on Error { code message } ... on LimitError { limit }
} }`

let app: TestApp
let strict: TestApp
let people = 0
beforeAll(async () => {
  app = await startTestApp()
  strict = await startTestApp({ env: { SESSION_LIMIT_POLICY: 'reject' } })
})

/** Somebody new, who has no session yet. */
function somebody(at = app): Api {
  people += 1
  return at.api({ user: `person-${people}` })
}

async function createBy(api: Api, input: object = {}) {
  const { createSession } = await api.run(create, { input: { agent: 'primary', ...input } })
  return createSession
}

async function createSome(api: Api, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index += 1) ids.push((await createBy(api)).session.id)
  return ids
}

async function activeIds(api: Api): Promise<string[]> {
  const { sessions } = await api.run(
    '{ sessions(filter: { isActive: true }, first: 100, orderBy: { field: CREATED_AT, direction: ASC }) { nodes { id } } }',
  )
  return sessions.nodes.map(({ id }: { id: string }) => id)
}

describe('the limit of active sessions', () => {
  it('makes the sixth push out the one that was quiet the longest', async () => {
    const alice = somebody()
    const ids = await createSome(alice, 5)
    expect(await activeIds(alice)).toEqual(ids)
    // The oldest has just been used; the second is the quiet one now.
    await alice.change('sendMessage', { sessionId: ids[0], content: 'Still here', wait: true })
    const { session, deactivatedSessions } = await createBy(alice)
    expect(deactivatedSessions).toEqual([{ id: ids[1], isActive: false }])
    expect(await activeIds(alice)).toEqual([ids[0], ids[2], ids[3], ids[4], session.id])
  })

  it('counts each agent, and each user, by itself', async () => {
    const [alice, bob] = [somebody(), somebody()]
    await createSome(alice, 5)
    for (const agent of ['research', null])
      expect((await createBy(alice, { agent })).deactivatedSessions).toEqual([])
    expect((await createBy(bob)).deactivatedSessions).toEqual([])
    expect(await activeIds(alice)).toHaveLength(7)
  })

  it('tells those who follow a session that was pushed out', async () => {
    const alice = somebody()
    const [id] = await createSome(alice, 1)
    const watch = app
      .socket({ user: `person-${people}` })
      .watch(
        'subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename ... on SessionUpdated { session { isActive } } } }',
        { id },
      )
    await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
    await createSome(alice, 5)
    await watch.until(({ __typename, session }) => __typename === 'SessionUpdated' && !session.isActive)
  })

  it('leaves exactly five when twenty are made at once', async () => {
    const alice = somebody()
    const made = await Promise.all(Array.from({ length: 20 }, () => createBy(alice)))
    expect(made.map(({ __typename }) => __typename)).toEqual(Array(20).fill('CreateSessionPayload'))
    expect(await activeIds(alice)).toHaveLength(5)
    const pushedOut = made.flatMap((each) => each.deactivatedSessions.map(({ id }: { id: string }) => id))
    expect(pushedOut).toHaveLength(15)
    expect(new Set(pushedOut).size).toBe(15)
  })

  it('refuses the sixth instead where the policy says so, also when twenty come at once', async () => {
    const alice = somebody(strict)
    const made = await Promise.all(Array.from({ length: 20 }, () => createBy(alice)))
    const refused = made.filter(({ __typename }) => __typename === 'LimitError')
    expect(refused).toHaveLength(15)
    expect(refused[0]).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      limit: 5,
      message: expect.stringContaining('There are 5 active sessions with this agent already'),
    })
    const ids = await activeIds(alice)
    expect(ids).toHaveLength(5)

    await alice.run('mutation ($id: ID!) { deleteSession(input: { sessionId: $id }) { __typename } }', {
      id: ids[0],
    })
    expect((await createBy(alice)).__typename).toBe('CreateSessionPayload')
    expect((await createBy(alice)).__typename).toBe('LimitError')
  })
})

describe('a clientId', () => {
  it('gives racing copies one session, and pushes nothing out twice', async () => {
    const alice = somebody()
    await createSome(alice, 5)
    for (let round = 0; round < 10; round += 1) {
      const clientId = randomUUID()
      const copies = await Promise.all(
        Array.from({ length: 5 }, () => createBy(alice, { clientId, title: 'One' })),
      )
      expect(new Set(copies.map(({ session }) => session?.id)).size).toBe(1)
      expect(copies.filter(({ deactivatedSessions }) => deactivatedSessions.length > 0)).toHaveLength(1)
      expect(await activeIds(alice)).toHaveLength(5)
    }
  })

  it('gives racing copies one session where only one more is allowed', async () => {
    const alice = somebody(strict)
    await createSome(alice, 4)
    const clientId = randomUUID()
    const copies = await Promise.all(Array.from({ length: 10 }, () => createBy(alice, { clientId })))
    expect(copies.map(({ __typename }) => __typename)).toEqual(Array(10).fill('CreateSessionPayload'))
    expect(new Set(copies.map(({ session }) => session.id)).size).toBe(1)
    expect((await createBy(alice, { clientId })).session.id).toBe(copies[0].session.id)
  })

  it('is refused for other arguments, and is another for another user', async () => {
    const [alice, bob] = [somebody(), somebody()]
    const first = await createBy(alice, { clientId: 'key', metadata: { a: 1, b: 2 } })
    const reordered = await createBy(alice, { clientId: 'key', metadata: { b: 2, a: 1 } })
    expect(reordered.session.id).toBe(first.session.id)
    for (const other of [
      { metadata: { a: 1 } },
      { metadata: { a: 1, b: 2 }, title: 'x' },
      { agent: 'research' },
    ])
      expect(await createBy(alice, { clientId: 'key', ...other })).toMatchObject({
        code: 'CONFLICT',
        message: 'clientId: "key" was used before to create another session.',
      })
    expect((await createBy(bob, { clientId: 'key' })).session.id).not.toBe(first.session.id)
  })
})

describe('a title', () => {
  const titleOf = async (api: Api, id: string) => {
    const { session } = await api.run('query ($id: ID!) { session(id: $id) { title titleSource } }', { id })
    return session
  }

  it('stays as a person set it', async () => {
    const alice = somebody()
    const { session } = await createBy(alice, { title: '  Spaces stay  ' })
    await alice.change('sendMessage', { sessionId: session.id, content: 'Something else', wait: true })
    expect(await titleOf(alice, session.id)).toEqual({ title: '  Spaces stay  ', titleSource: 'PERSON' })
  })

  it.each([
    ['Short question', 'Short question'],
    ['  Two\n\nlines\tof it ', 'Two lines of it'],
    ['word '.repeat(30), `${'word '.repeat(12).trim()}…`],
    ['x'.repeat(100), `${'x'.repeat(60)}…`],
    // A pair of surrogates is not cut in two.
    [`${'x'.repeat(59)}😀😀`, `${'x'.repeat(59)}…`],
  ])('comes from the first message else: %j', async (content, expected) => {
    const alice = somebody()
    const { session } = await createBy(alice)
    expect(session).toMatchObject({ title: null, titleSource: null })
    const sent = await alice.sendMessage({ sessionId: session.id, content })
    expect(sent.userMessage.content).toBe(content)
    expect(await titleOf(alice, session.id)).toEqual({ title: expected, titleSource: 'FIRST_MESSAGE' })
  })

  it('is cut to what a title may have, which is no more than can be stored', async () => {
    const small = await startTestApp({ env: { CHAT_TITLE_MAX_LENGTH: '20' } })
    const alice = small.api()
    const content = 'More words than a title may have here'
    for (const how of ['addMessages', 'sendMessage']) {
      const { session } = await createBy(alice, {})
      if (how === 'sendMessage') await alice.change('sendMessage', { sessionId: session.id, content })
      else await addMessages(alice, session.id, [{ role: 'USER', content }])
      expect((await titleOf(alice, session.id)).title).toBe('More words than a…')
    }
    const large = (await startTestApp({ env: { CHAT_TITLE_MAX_LENGTH: '800' } })).api()
    // Which no compression makes smaller.
    const title = Array.from({ length: 800 }, () =>
      String.fromCharCode(0x4e00 + Math.floor(Math.random() * 20_000)),
    ).join('')
    expect((await createBy(large, { title })).session).toMatchObject({ title })
  })
})
