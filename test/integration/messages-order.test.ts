import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { addMessages, follow, mutate, read, runEnd } from './messages.harness.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { DEMO_TOKENS_PER_SECOND: '20000', RUNS_QUEUED_PER_SESSION: '25' } })
})

describe('50 writers at once', () => {
  it('number their messages without gaps, each batch in one piece', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    const batches = await Promise.all(
      Array.from({ length: 50 }, async (_, writer) => {
        if (writer % 2 === 0)
          return addMessages(
            alice,
            sessionId,
            [1, 2, 3].map((part) => ({ role: 'USER', content: `${writer}.${part}` })),
          )
        const sent = await alice.sendMessage({ sessionId, content: `/repeat ${writer}` })
        return [sent.userMessage, sent.assistantMessage]
      }),
    )
    for (const batch of batches)
      expect(batch.map(({ seq }) => seq)).toEqual(batch.map((_, index) => batch[0].seq + index))
    const total = 25 * 3 + 25 * 2
    const session = await read(alice, sessionId)
    const numbers = Array.from({ length: total }, (_, index) => index + 1)
    expect(session.messages.nodes.map(({ seq }: { seq: number }) => seq)).toEqual(numbers)
    expect(session.messageCount).toBe(total)
    expect(session.messages.totalCount).toBe(total)
    const { session: last } = await alice.run(
      'query ($id: ID!) { session(id: $id) { messages(last: 200, role: ASSISTANT) { nodes { run { id } } } } }',
      { id: sessionId },
    )
    for (const { run } of last.messages.nodes) await runEnd(feed, run.id)
    const told = feed.events.filter(({ __typename }) => __typename === 'MessageAdded')
    expect(told.map(({ message }) => message.seq)).toEqual(numbers)
  })

  it('store a message once under one key', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const messages = [{ role: 'USER', content: 'Once', clientId: 'one' }]
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => addMessages(alice, sessionId, messages)),
    )
    expect(new Set(answers.map(([message]) => message.id)).size).toBe(1)
    expect((await read(alice, sessionId)).messageCount).toBe(1)
    const other = [{ role: 'SYSTEM', content: 'Once', clientId: 'one' }]
    expect(await mutate(alice, 'addMessages', { sessionId, messages: other })).toMatchObject({
      code: 'CONFLICT',
    })
  })
})

describe('messages with keys', () => {
  const said = (content: string, clientId?: string) => ({ role: 'USER', content, clientId })

  it('are refused beside one without, which a repetition could not tell', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const messages = [said('Q', 'a'), { role: 'ASSISTANT', content: 'new' }]
    const refused = await mutate(alice, 'addMessages', { sessionId, messages })
    expect(refused).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'messages.1.clientId: is missing; where one message has a key, each of them needs one',
    })
    expect((await read(alice, sessionId)).messageCount).toBe(0)
  })

  it('are given in the order in which they are repeated', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const [a, b] = await addMessages(alice, sessionId, [said('first', 'a'), said('second', 'b')])
    expect(await addMessages(alice, sessionId, [said('first', 'a'), said('second', 'b')])).toEqual([a, b])
    expect(await addMessages(alice, sessionId, [said('second', 'b'), said('first', 'a')])).toEqual([b, a])
  })

  it('are refused where some are stored and others are not, which are named', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await addMessages(alice, sessionId, [said('old', 'a')])
    const messages = [said('old', 'a'), said('new', 'b')]
    expect(await mutate(alice, 'addMessages', { sessionId, messages })).toMatchObject({
      code: 'CONFLICT',
      message: 'clientId: "a" is the key of a stored message and "b" is not; send what is new by itself.',
    })
    expect((await read(alice, sessionId)).messageCount).toBe(1)
  })
})
