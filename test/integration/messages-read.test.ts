import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { addMessages, ask, contents, mutate, read, share } from './messages.harness.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { CHAT_MESSAGE_MAX_LENGTH: '100' } })
})

const call = { id: 'call_1', name: 'look', arguments: { where: 'up' } }

describe('messages that a program stores', () => {
  it('may have every role, and name who wrote them', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession({ agent: 'primary' })
    await share(app, sessionId, 'erin', 'EDITOR')
    const stored = await addMessages(app.api({ user: 'erin' }), sessionId, [
      { role: 'SYSTEM', content: 'Be kind' },
      { role: 'USER', content: 'Hello' },
      { role: 'ASSISTANT', content: 'One moment', toolCalls: [call] },
      { role: 'TOOL', content: 'Stars', toolCallId: 'call_1' },
    ])
    expect(stored.map(({ role, author, agent }) => [role, author?.externalId, agent?.key])).toEqual([
      ['SYSTEM', 'erin', undefined],
      ['USER', 'erin', undefined],
      ['ASSISTANT', undefined, 'primary'],
      ['TOOL', 'erin', undefined],
    ])
  })

  it.each([
    ['no messages', [], 'is empty'],
    ['101 messages', Array.from({ length: 101 }, () => ({ role: 'USER', content: 'x' })), 'too many entries'],
    ['an empty one', [{ role: 'USER', content: ' ' }], 'messages.0.content'],
    ['an overlong one', [{ role: 'USER', content: 'x'.repeat(101) }], 'at most 100'],
    ['an assistant without words or calls', [{ role: 'ASSISTANT' }], 'messages.0.content'],
    ['a result without its call', [{ role: 'TOOL', content: 'x', toolCallId: 'nobody' }], 'no tool call'],
    ['a result that names no call', [{ role: 'TOOL', content: 'x' }], 'toolCallId: is missing'],
    ['a call by a user', [{ role: 'USER', content: 'x', toolCalls: [call] }], 'role ASSISTANT only'],
    ['two calls by one id', [{ role: 'ASSISTANT', toolCalls: [call, call] }], 'messages.0.toolCalls.1.id'],
    ['a result by a user', [{ role: 'USER', content: 'x', toolCallId: 'call_1' }], 'role TOOL only'],
    ['an overlong key', [{ role: 'USER', content: 'x', clientId: 'x'.repeat(256) }], 'clientId'],
    [
      'a fault in the last',
      [
        { role: 'USER', content: 'x' },
        { role: 'USER', content: '' },
      ],
      'messages.1',
    ],
  ])('are refused whole: %s', async (_name, messages, reason) => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    expect(await mutate(alice, 'addMessages', { sessionId, messages })).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining(reason),
    })
    expect((await read(alice, sessionId)).messageCount).toBe(0)
  })

  it('may be as long as is allowed', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await addMessages(alice, sessionId, [{ role: 'USER', content: 'x'.repeat(100) }])
    expect(await alice.sendMessage({ sessionId, content: 'x'.repeat(101) })).toMatchObject({
      code: 'BAD_USER_INPUT',
    })
    expect((await read(alice, sessionId)).messageCount).toBe(1)
  })

  it('answer calls of the conversation, not of what was replaced', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const [question] = await addMessages(alice, sessionId, [
      { role: 'USER', content: 'Look' },
      { role: 'ASSISTANT', toolCalls: [call] },
    ])
    await alice.change('editMessage', { messageId: question.id, content: 'Look up' })
    const messages = [{ role: 'TOOL', content: 'Stars', toolCallId: 'call_1' }]
    expect(await mutate(alice, 'addMessages', { sessionId, messages })).toMatchObject({
      code: 'BAD_USER_INPUT',
    })
  })
})

describe('the messages of a session', () => {
  it('are filtered, ordered and paged', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await share(app, sessionId, 'erin', 'EDITOR')
    const erin = app.api({ user: 'erin' })
    await addMessages(alice, sessionId, [
      { role: 'USER', content: 'a' },
      { role: 'ASSISTANT', content: 'b' },
    ])
    await addMessages(erin, sessionId, [{ role: 'USER', content: 'c' }])
    const failed = await ask(alice, sessionId, '/fail')
    const { viewer } = await erin.run('{ viewer { user { id } } }')
    const page = async (args: string) => contents(await read(alice, sessionId, args))

    expect(await page('role: USER')).toEqual(['a', 'c', '/fail'])
    expect(await page('status: FAILED')).toEqual([failed.assistantMessage.content])
    expect(await page(`author: "${viewer.user.id}"`)).toEqual(['c'])
    expect(await page('orderBy: SEQ_DESC, first: 3')).toEqual(['', '/fail', 'c'])
    expect(await page('orderBy: SEQ_DESC, last: 2')).toEqual(['b', 'a'])
    expect(await page('orderBy: SEQ_DESC, role: USER, offset: 1')).toEqual(['c', 'a'])
    expect(await page('replaced: true')).toEqual([])
  })

  it('go on from a cursor of the same order', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await addMessages(
      alice,
      sessionId,
      ['a', 'b', 'c', 'd', 'e'].map((content) => ({ role: 'USER', content })),
    )
    const pages = `query ($id: ID!, $after: Cursor, $orderBy: MessageOrder!) { session(id: $id) { cursor
      messages(first: 2, after: $after, orderBy: $orderBy) { nodes { content } pageInfo { endCursor hasNextPage } } } }`
    const seen: string[] = []
    let after: string | null = null
    for (let isMore = true; isMore; ) {
      const { session } = await alice.run(pages, { id: sessionId, after, orderBy: 'SEQ_DESC' })
      seen.push(...session.messages.nodes.map(({ content }: { content: string }) => content))
      after = session.messages.pageInfo.endCursor
      isMore = session.messages.pageInfo.hasNextPage
    }
    expect(seen).toEqual(['e', 'd', 'c', 'b', 'a'])
    const { errors } = await alice.send(pages, { id: sessionId, after, orderBy: 'SEQ_ASC' })
    expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
  })

  it('tell one page from another in one query', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { userMessage } = await ask(alice, sessionId, 'Old')
    await alice.change('editMessage', { messageId: userMessage.id, content: 'New' })
    const { session } = await alice.run(
      `query ($id: ID!) { session(id: $id) { cursor
        now: messages(role: USER) { nodes { content } }
        before: messages(role: USER, replaced: true) { nodes { content } } } }`,
      { id: sessionId },
    )
    expect(session.now.nodes).toEqual([{ content: 'New' }])
    expect(session.before.nodes).toEqual([{ content: 'Old' }])
  })

  it.each(['"nobody"', '"session_01h455vb4pex5vsknk084sn02q"'])('refuse the author %s', async (author) => {
    const alice = app.api()
    const id = await alice.createSession()
    for (const field of ['', 'cursor']) {
      const { errors } = await alice.send(
        `query ($id: ID!) { session(id: $id) { id ${field} messages(author: ${author}) { nodes { id } } } }`,
        { id },
      )
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
    }
  })
})
