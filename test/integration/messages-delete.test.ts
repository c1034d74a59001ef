import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import {
  addMessages,
  applied,
  ask,
  contents,
  follow,
  mutate,
  read,
  runEnd,
  share,
} from './messages.harness.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const remove = (messageId: string, user = 'alice') =>
  mutate(app.api({ user }), 'deleteMessage', { messageId })

/** How many rows of messages and runs hold this text or id. */
async function stored(text: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    app.databaseUrl,
    `SELECT count(*)::int AS count FROM (SELECT to_jsonb(m)::text AS row FROM messages m
      UNION ALL SELECT to_jsonb(r)::text FROM runs r UNION ALL SELECT to_jsonb(s)::text FROM sessions s) every
     WHERE row LIKE '%' || $1 || '%'`,
    { values: [text] },
  )
  return row?.count ?? -1
}

describe('a deleted message', () => {
  it('is erased, counted off and told', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const first = await ask(alice, sessionId, '/repeat One')
    const second = await ask(alice, sessionId, '/repeat zanzibar-two')
    const feed = await follow(app, sessionId)

    expect(await remove(second.assistantMessage.id)).toEqual({
      deletedMessageIds: [second.assistantMessage.id],
      session: { messageCount: 3, title: '/repeat One' },
    })
    await feed.until(({ session }) => session?.messageCount === 3)
    const session = await read(alice, sessionId)
    expect(contents(session)).toEqual(['/repeat One', 'One', '/repeat zanzibar-two'])
    expect(session).toMatchObject({ messageCount: 3, lastMessage: { id: second.userMessage.id } })
    expect(applied(feed)).toEqual(session.messages.nodes)
    expect(await stored(decodeId(second.assistantMessage.id).uuid)).toBe(0)

    await remove(second.userMessage.id)
    expect(await stored('zanzibar-two')).toBe(0)
    const gone = await alice.run(
      'query ($id: ID!, $run: ID!) { message(id: $id) { id } node(id: $id) { id } run(id: $run) { id } }',
      { id: second.userMessage.id, run: second.run.id },
    )
    expect(gone).toEqual({ message: null, node: null, run: null })
    expect(await remove(second.userMessage.id)).toMatchObject({ code: 'NOT_FOUND' })
    expect((await ask(alice, sessionId, 'Next')).userMessage.seq).toBe(5)
    expect((await read(alice, sessionId)).messages.nodes[0].id).toBe(first.userMessage.id)
  })

  it('leaves a reply to it without a run', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { userMessage, assistantMessage } = await ask(alice, sessionId, 'One')
    await remove(userMessage.id)
    const { message } = await alice.run(
      'query ($id: ID!) { message(id: $id) { status run { id } session { messageCount } } }',
      { id: assistantMessage.id },
    )
    expect(message).toEqual({ status: 'COMPLETE', run: null, session: { messageCount: 1 } })
  })

  it('takes its earlier versions with it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const old = await ask(alice, sessionId, 'quokka-first')
    const { userMessage } = await mutate(alice, 'editMessage', {
      messageId: old.userMessage.id,
      content: 'quokka-second',
    })
    const latest = await mutate(alice, 'editMessage', { messageId: userMessage.id, content: 'Third' })
    const { deletedMessageIds } = await remove(userMessage.id)
    expect(deletedMessageIds).toEqual([old.userMessage.id, userMessage.id])
    expect(await read(alice, sessionId)).toMatchObject({ messageCount: 2 })
    const { message } = await alice.run(
      'query ($id: ID!) { message(id: $id) { content replaces { id } versions { id } } }',
      { id: latest.userMessage.id },
    )
    expect(message).toEqual({ content: 'Third', replaces: null, versions: [{ id: latest.userMessage.id }] })
  })

  it('takes the title that was cut from it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const [message] = await addMessages(alice, sessionId, [{ role: 'USER', content: 'axolotl secret' }])
    expect((await read(alice, sessionId)).title).toBe('axolotl secret')
    expect((await remove(message.id)).session.title).toBeNull()
    expect(await stored('axolotl')).toBe(0)
    await ask(alice, sessionId, 'Another')
    expect(await read(alice, sessionId)).toMatchObject({ title: 'Another', titleSource: 'FIRST_MESSAGE' })

    const named = await alice.createSession({ title: 'okapi' })
    const [same] = await addMessages(alice, named, [{ role: 'USER', content: 'okapi' }])
    expect((await remove(same.id)).session.title).toBe('okapi')
  })

  it('takes the results of its tool calls with it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const call = (id: string) => ({ id, name: 'look', arguments: {} })
    const messages = await addMessages(alice, sessionId, [
      { role: 'USER', content: 'Look' },
      { role: 'ASSISTANT', toolCalls: [call('a'), call('b')] },
      { role: 'TOOL', toolCallId: 'a', content: 'A' },
      { role: 'TOOL', toolCallId: 'b', content: 'B' },
      { role: 'ASSISTANT', toolCalls: [call('c')] },
      { role: 'TOOL', toolCallId: 'c', content: 'C' },
    ])
    const { deletedMessageIds, session } = await remove(messages[1].id)
    expect(deletedMessageIds).toEqual(messages.slice(1, 4).map(({ id }) => id))
    expect(session.messageCount).toBe(3)
    expect(contents(await read(alice, sessionId))).toEqual(['Look', null, 'C'])
  })

  it('leaves the results of later calls that have the same id', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const toolCalls = [{ id: 'a', name: 'look', arguments: {} }]
    const messages = await addMessages(alice, sessionId, [
      { role: 'ASSISTANT', toolCalls },
      { role: 'TOOL', toolCallId: 'a', content: 'First' },
      { role: 'USER', content: 'Again' },
      { role: 'ASSISTANT', toolCalls },
      { role: 'TOOL', toolCallId: 'a', content: 'Second' },
    ])
    const { deletedMessageIds } = await remove(messages[0].id)
    expect(deletedMessageIds).toEqual(messages.slice(0, 2).map(({ id }) => id))
    expect(contents(await read(alice, sessionId))).toEqual(['Again', null, 'Second'])
    expect((await remove(messages[3].id)).session.messageCount).toBe(1)
  })

  it('is stopped first where it is being written', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    const sent = await alice.sendMessage({ sessionId, content: '/stall after 5' })
    const next = await alice.sendMessage({ sessionId, content: '/repeat Next' })
    await feed.until(({ __typename }) => __typename === 'TextDelta')
    expect((await remove(sent.assistantMessage.id)).session.messageCount).toBe(3)
    expect((await runEnd(feed, sent.run.id)).run.status).toBe('CANCELLED')
    await runEnd(feed, next.run.id)
    const session = await read(alice, sessionId)
    expect(contents(session)).toEqual(['/stall after 5', '/repeat Next', 'Next'])
    expect(applied(feed)).toEqual(session.messages.nodes)
  })

  it('is not sent again by a repeated send', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const input = { sessionId, content: 'One', clientId: 'send-1' }
    const { assistantMessage } = await alice.sendMessage({ ...input, wait: true })
    await remove(assistantMessage.id)
    expect(await alice.sendMessage(input)).toMatchObject({ code: 'CONFLICT' })
    expect((await read(alice, sessionId)).messageCount).toBe(1)
  })
})

describe('a deletion', () => {
  it('is for the author and the owner', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await share(app, sessionId, 'erin', 'EDITOR')
    await share(app, sessionId, 'victor', 'VIEWER')
    const [hers] = await addMessages(alice, sessionId, [{ role: 'USER', content: 'From the owner' }])
    const [erins] = await addMessages(app.api({ user: 'erin' }), sessionId, [{ role: 'USER', content: 'Hi' }])
    expect(await remove(hers.id, 'erin')).toMatchObject({ code: 'FORBIDDEN' })
    expect(await remove(erins.id, 'victor')).toMatchObject({ code: 'FORBIDDEN' })
    expect(await remove(erins.id, 'mallory')).toMatchObject({ code: 'NOT_FOUND' })
    await query(app.databaseUrl, 'DELETE FROM participants WHERE session_id = $1', {
      values: [decodeId(sessionId).uuid],
    })
    expect(await remove(erins.id, 'erin')).toMatchObject({ code: 'NOT_FOUND' })
    expect((await read(alice, sessionId)).messageCount).toBe(2)
    expect((await remove(erins.id)).session.messageCount).toBe(1)
  })

  it('names a message', async () => {
    const sessionId = await app.api().createSession()
    expect(await remove(sessionId)).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect(await remove('message_')).toMatchObject({ code: 'BAD_USER_INPUT' })
  })

  it('happens once, whoever else asks for it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { userMessage } = await ask(alice, sessionId, 'One')
    const answers = await Promise.all(Array.from({ length: 5 }, () => remove(userMessage.id)))
    expect(answers.filter(({ session }) => session)).toHaveLength(1)
    expect(answers.filter(({ code }) => code === 'NOT_FOUND')).toHaveLength(4)
    expect((await read(alice, sessionId)).messageCount).toBe(1)
  })
})
