import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
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

describe('a regenerated reply', () => {
  it('takes the place of the old one and of all that followed', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const first = await ask(alice, sessionId, 'One')
    await ask(alice, sessionId, 'Two')
    const feed = await follow(app, sessionId)

    const anew = await mutate(alice, 'regenerateMessage', {
      messageId: first.assistantMessage.id,
      parameters: { seed: 7 },
    })
    expect(anew.userMessage).toMatchObject({ id: first.userMessage.id, replacedAt: null })
    expect(anew.assistantMessage).toMatchObject({ seq: 5, status: 'STREAMING' })
    await runEnd(feed, anew.run.id)

    const session = await read(alice, sessionId)
    expect(session.messages.nodes.map(({ id }: { id: string }) => id)).toEqual([
      first.userMessage.id,
      anew.assistantMessage.id,
    ])
    expect(session.messageCount).toBe(2)
    expect(applied(feed)).toEqual(session.messages.nodes)
    expect((await read(alice, sessionId, 'replaced: true')).messages.totalCount).toBe(3)
  })

  it('has all its versions at hand', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const versions = [(await ask(alice, sessionId, 'One')).assistantMessage.id]
    for (let count = 0; count < 2; count += 1) {
      const anew = await mutate(alice, 'regenerateMessage', { messageId: versions.at(-1) })
      versions.push(anew.assistantMessage.id)
    }
    for (const id of versions) {
      const { message } = await alice.run('query ($id: ID!) { message(id: $id) { versions { id } } }', { id })
      expect(message.versions).toEqual(versions.map((each) => ({ id: each })))
    }
  })

  it('stops the one that is being written, and keeps its words', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    const { assistantMessage, run } = await alice.sendMessage({ sessionId, content: '/stall after 5' })
    await feed.until(({ __typename }) => __typename === 'TextDelta')
    const anew = await mutate(alice, 'regenerateMessage', { messageId: assistantMessage.id })
    expect((await runEnd(feed, run.id)).run.status).toBe('CANCELLED')
    const { messages } = await read(alice, sessionId, 'replaced: true')
    expect(messages.nodes).toEqual([
      expect.objectContaining({
        id: assistantMessage.id,
        status: 'CANCELLED',
        content: expect.stringMatching(/\S/),
      }),
    ])
    expect((await mutate(alice, 'cancelRun', { runId: anew.run.id })).run.status).toBe('CANCELLED')
  })

  it('answers the question of its run, with the turns of its tools', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const call = { id: 'call_1', name: 'get_weather', arguments: { city: 'Oslo' } }
    const stored = await addMessages(alice, sessionId, [
      { role: 'USER', content: 'How is the weather?' },
      { role: 'ASSISTANT', toolCalls: [call] },
      { role: 'TOOL', toolCallId: 'call_1', content: 'Snow' },
      { role: 'ASSISTANT', content: 'It snows.' },
    ])
    const feed = await follow(app, sessionId)
    const anew = await mutate(alice, 'regenerateMessage', { messageId: stored[3].id })
    expect(anew.userMessage.id).toBe(stored[0].id)
    await runEnd(feed, anew.run.id)
    const session = await read(alice, sessionId)
    expect(session.messageCount).toBe(4)
    expect(contents(session).at(-1)).toContain('`get_weather` answered “Snow”')
  })

  it('is made once under one key', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { assistantMessage } = await ask(alice, sessionId, 'One')
    const input = { messageId: assistantMessage.id, clientId: 'again-1' }
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => mutate(alice, 'regenerateMessage', input)),
    )
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1)
    expect((await read(alice, sessionId, 'replaced: true')).messages.totalCount).toBe(1)
    const other = { ...input, parameters: { seed: 1 } }
    expect(await mutate(alice, 'regenerateMessage', other)).toMatchObject({ code: 'CONFLICT' })
  })

  it('takes the model and the parameters of the request', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { assistantMessage } = await ask(alice, sessionId, 'One')
    const regenerate = (more: object) =>
      mutate(alice, 'regenerateMessage', { messageId: assistantMessage.id, ...more })
    expect(await regenerate({ model: 'nobody:x' })).toMatchObject({ code: 'MODEL_UNAVAILABLE' })
    expect(await regenerate({ model: 'x' })).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect(await regenerate({ parameters: { warmth: 1 } })).toMatchObject({ code: 'BAD_USER_INPUT' })
    const anew = await regenerate({ model: 'demo:other', parameters: { seed: 3 } })
    const { run } = await alice.run('query ($id: ID!) { run(id: $id) { model parameters } }', {
      id: anew.run.id,
    })
    expect(run).toEqual({ model: 'demo:other', parameters: { seed: 3 } })
  })
})

describe('a regeneration', () => {
  it('refuses what is no reply of the conversation', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const [lone] = await addMessages(alice, sessionId, [{ role: 'ASSISTANT', content: 'Welcome' }])
    const old = await ask(alice, sessionId, 'One')
    await alice.change('regenerateMessage', { messageId: old.assistantMessage.id })
    const refusals = {
      [old.userMessage.id]: 'is no reply',
      [old.assistantMessage.id]: 'not part of the conversation',
      [lone.id]: 'after no user message',
    }
    for (const [messageId, reason] of Object.entries(refusals))
      expect(await mutate(alice, 'regenerateMessage', { messageId })).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining(reason),
      })
  })

  it('is for those who may write', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const { assistantMessage } = await ask(alice, sessionId, 'One')
    await share(app, sessionId, 'erin', 'EDITOR')
    await share(app, sessionId, 'victor', 'VIEWER')
    const regenerate = (user: string) =>
      mutate(app.api({ user }), 'regenerateMessage', { messageId: assistantMessage.id })
    expect(await regenerate('victor')).toMatchObject({ code: 'FORBIDDEN' })
    expect(await regenerate('mallory')).toMatchObject({ code: 'NOT_FOUND' })
    expect((await regenerate('erin')).run).toBeDefined()
  })
})
