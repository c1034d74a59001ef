import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
let alice: Api
beforeAll(async () => {
  app = await startTestApp()
  alice = app.api()
})

const history = [
  { role: 'SYSTEM', content: 'Be brief' },
  { role: 'USER', content: 'What is the tide?', metadata: { from: 'web' } },
  {
    role: 'ASSISTANT',
    toolCalls: [{ id: 'call-1', name: 'tide', arguments: { port: 'Brest' } }],
  },
  { role: 'TOOL', toolCallId: 'call-1', content: '4 m' },
  { role: 'ASSISTANT', content: 'Four metres.' },
]

const messageFields =
  'id seq role content toolCalls { id name arguments } toolCallId metadata status createdAt'
async function source(api = alice, input: Record<string, unknown> = {}) {
  const id = await api.createSession({
    title: 'Tides',
    agent: 'research',
    systemPrompt: 'Prompt',
    metadata: { a: 1 },
    tags: ['sea'],
    ...input,
  })
  const { messages } = await api.mutate(
    'addMessages',
    { sessionId: id, messages: history },
    `messages { ${messageFields} }`,
  )
  return { id, messages }
}

const forkFields = `session { id title titleSource systemPrompt metadata tags agent { key } user { externalId }
  messageCount viewerUnread viewerLastReadSeq usage { inputTokens }
  parent { id } forkedAt { seq message { id content } } messages { nodes { ${messageFields} } } }
  deactivatedSessions { id }`
const fork = (api: Api, input: Record<string, unknown>) => api.mutate('forkSession', input, forkFields)

describe('a fork', () => {
  it('copies the conversation up to a message and goes its own way', async () => {
    const { id, messages } = await source()
    const { session } = await fork(alice, { sessionId: id, atMessageId: messages[3].id })
    expect(session).toMatchObject({
      title: 'Tides',
      titleSource: 'PERSON',
      systemPrompt: 'Prompt',
      metadata: { a: 1 },
      tags: ['sea'],
      agent: { key: 'research' },
      user: { externalId: 'alice' },
      messageCount: 4,
      viewerUnread: 0,
      viewerLastReadSeq: 4,
      usage: { inputTokens: 0 },
      parent: { id },
      forkedAt: { seq: 4, message: { id: messages[3].id, content: '4 m' } },
    })
    const copies = session.messages.nodes
    const withoutIds = (rows: { id: string }[]) => rows.map((row) => ({ ...row, id: '' }))
    expect(withoutIds(copies)).toEqual(withoutIds(messages.slice(0, 4)))
    const ids = [...copies, ...messages].map((message: { id: string }) => message.id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const copy of copies)
      expect(decodeId(copy.id).uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)

    // The calls of tools are there to be answered, and the copy takes new messages.
    const added = await alice.mutate(
      'addMessages',
      { sessionId: session.id, messages: [{ role: 'TOOL', toolCallId: 'call-1', content: '5 m' }] },
      'messages { seq }',
    )
    expect(added).toEqual({ messages: [{ seq: 5 }] })
    const read = 'query ($id: ID!) { session(id: $id) { messageCount forks { totalCount nodes { id } } } }'
    expect((await alice.run(read, { id })).session).toEqual({
      messageCount: 5,
      forks: { totalCount: 1, nodes: [{ id: session.id }] },
    })
  })

  it('of an old conversation is a new one in lists', async () => {
    const api = app.api({ user: 'late' })
    const { id, messages } = await source(api)
    await query(
      app.databaseUrl,
      `WITH old AS (UPDATE messages SET created_at = '2025-01-01', updated_at = '2025-01-01' WHERE session_id = $1)
       UPDATE sessions SET last_message_at = '2025-01-01', created_at = '2025-01-01' WHERE id = $1`,
      { values: [decodeId(id).uuid] },
    )
    const newer = await api.createSession()
    const { session } = await fork(api, { sessionId: id, atMessageId: messages[4].id })
    const fields = 'id recentlyActive createdAt lastMessageAt lastMessage { createdAt }'
    const { sessions, recent } = await api.run(`{ sessions { nodes { ${fields} } }
      recent: sessions(filter: { recentlyActive: true }) { nodes { id } } }`)
    const [first, ...others] = sessions.nodes
    expect(first).toMatchObject({ id: session.id, recentlyActive: true, lastMessageAt: first.createdAt })
    expect(first.lastMessage.createdAt).toBe('2025-01-01T00:00:00.000Z')
    expect(others).toMatchObject([{ id: newer }, { id, recentlyActive: false }])
    expect(recent.nodes).toEqual([{ id: session.id }])
  })

  it('has the title that it is given', async () => {
    const { id, messages } = await source()
    const { session } = await fork(alice, { sessionId: id, atMessageId: messages[0].id, title: 'Mine' })
    expect(session).toMatchObject({ title: 'Mine', titleSource: 'PERSON', messageCount: 1 })
  })

  it('is answered like any session, from its own history', async () => {
    const { id, messages } = await source()
    const { session } = await fork(alice, { sessionId: id, atMessageId: messages[4].id })
    const sent = await alice.sendMessage({ sessionId: session.id, content: 'Thanks', wait: true })
    expect(sent).toMatchObject({ userMessage: { seq: 6 }, assistantMessage: { seq: 7, status: 'COMPLETE' } })
  })

  it('of an older version has the conversation that it stood in', async () => {
    const id = await alice.createSession()
    const send = (content: string) => alice.sendMessage({ sessionId: id, content, wait: true })
    const [first, second] = [await send('One'), await send('Two')]
    const tab = app
      .socket()
      .watch(
        'subscription ($id: ID!) { sessionEvents(sessionId: $id) { ... on RunFinished { run { id } } } }',
        { id },
      )
    await tab.until(() => true)
    const edit = async (message: { id: string }, content: string) => {
      const { run, userMessage } = await alice.mutate(
        'editMessage',
        { messageId: message.id, content },
        'run { id } userMessage { id }',
      )
      await tab.until((event) => event.run?.id === run.id)
      return userMessage
    }
    const newSecond = await edit(second.userMessage, 'Zwei')
    const newFirst = await edit(first.userMessage, 'Eins')
    const contentsAt = async (message: { id: string }) => {
      const { session } = await fork(alice, { sessionId: id, atMessageId: message.id })
      const asked = session.messages.nodes.filter(({ role }: { role: string }) => role === 'USER')
      expect(session.messages.nodes.map(({ seq }: { seq: number }) => seq)).toEqual(
        session.messages.nodes.map((_: unknown, index: number) => index + 1),
      )
      return asked.map(({ content }: { content: string }) => content)
    }
    expect(await contentsAt(second.userMessage)).toEqual(['One', 'Two'])
    expect(await contentsAt(newSecond)).toEqual(['One', 'Zwei'])
    expect(await contentsAt(newFirst)).toEqual(['Eins'])
    expect(await contentsAt(first.assistantMessage)).toEqual(['One'])
  })

  it('copies a reply that is being written as far as it is stored', async () => {
    const id = await alice.createSession()
    const { assistantMessage } = await alice.sendMessage({ sessionId: id, content: 'Tell me a long story' })
    const { session } = await fork(alice, { sessionId: id, atMessageId: assistantMessage.id })
    const [, copy] = session.messages.nodes
    expect(['INTERRUPTED', 'COMPLETE']).toContain(copy.status)
    const [row] = await query<{ count: number }>(
      app.databaseUrl,
      `SELECT count(*)::int FROM messages WHERE session_id = $1 AND status = 'STREAMING'`,
      { values: [decodeId(session.id).uuid] },
    )
    expect(row?.count).toBe(0)
  })

  it('is made once under a client key', async () => {
    const { id, messages } = await source()
    const input = { sessionId: id, atMessageId: messages[1].id, clientId: 'fork-1' }
    const forks = await Promise.all(Array.from({ length: 10 }, () => fork(alice, input)))
    expect(new Set(forks.map(({ session }) => session.id)).size).toBe(1)
    expect(await fork(alice, { ...input, atMessageId: messages[2].id })).toMatchObject({ code: 'CONFLICT' })
    expect(await alice.mutate('createSession', { clientId: 'fork-1' })).toMatchObject({ code: 'CONFLICT' })
  })

  it('obeys the limit of active sessions', async () => {
    const carol = app.api({ user: 'carol' })
    const { id, messages } = await source(carol)
    for (let n = 0; n < 4; n += 1) await carol.createSession({ agent: 'research' })
    expect(await fork(carol, { sessionId: id, atMessageId: messages[0].id })).toMatchObject({
      deactivatedSessions: [{ id: expect.stringContaining('session_') }],
    })
  })
})

describe('who may fork', () => {
  it('is everybody who may read, and the fork is theirs', async () => {
    const { id, messages } = await source()
    const bob = app.api({ user: 'bob' })
    const input = { sessionId: id, atMessageId: messages[1].id }
    expect(await fork(bob, input)).toMatchObject({ code: 'NOT_FOUND' })
    const { user } = await alice.mutate(
      'addParticipant',
      { sessionId: id, externalUserId: 'bob', role: 'VIEWER' },
      'user { id }',
    )
    const { session } = await fork(bob, input)
    expect(session).toMatchObject({ user: { externalId: 'bob' }, parent: { id }, forkedAt: { seq: 2 } })

    // Each sees the forks that it may see, and the parent as long as it may.
    const forks =
      'query ($id: ID!) { session(id: $id) { forks { totalCount } parent { id } forkedAt { seq message { id } } } }'
    expect((await alice.run(forks, { id })).session.forks.totalCount).toBe(0)
    expect((await bob.run(forks, { id })).session.forks.totalCount).toBe(1)
    await alice.change('removeParticipant', { sessionId: id, userId: user.id })
    expect((await bob.run(forks, { id: session.id })).session).toEqual({
      forks: { totalCount: 0 },
      parent: null,
      forkedAt: { seq: 2, message: null },
    })
  })

  it('is nobody else', async () => {
    const { id, messages } = await source()
    const input = { sessionId: id, atMessageId: messages[1].id }
    for (const stranger of [app.api({ user: 'mallory' }), app.api({ tenant: 'globex', role: 'ADMIN' })])
      expect(await fork(stranger, input)).toMatchObject({ code: 'NOT_FOUND' })
    const other = await source()
    expect(await fork(alice, { ...input, atMessageId: other.messages[0].id })).toMatchObject({
      code: 'NOT_FOUND',
    })
    await alice.change('deleteSession', { sessionId: id })
    expect(await fork(alice, input)).toMatchObject({ code: 'NOT_FOUND' })
    for (const wrong of [{ sessionId: 'x' }, { atMessageId: id }, { title: '' }, { clientId: '' }])
      expect(await fork(alice, { ...input, ...wrong })).toMatchObject({ code: 'BAD_USER_INPUT' })
  })
})
