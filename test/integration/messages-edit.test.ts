import { beforeAll, describe, expect, it } from 'vitest'
import { createDemoProvider } from '../../src/llm/demo.ts'
import type { ModelRequest, Provider } from '../../src/llm/provider.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
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

const demo = createDemoProvider({ tokensPerSecond: 2_000 })
const requests: ModelRequest[] = []
const recorder: Provider = {
  ...demo,
  stream(request, signal) {
    requests.push(request)
    return demo.stream(request, signal)
  },
}
const lastAsked = () => requests.at(-1)?.messages.map(({ content }) => content)

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ providers: [recorder] })
})
besideNeighbour(() => app)

const history = `query ($id: ID!) { message(id: $id) {
  content replacedAt editedAt replaces { id } replacedBy { id } versions { id }
} }`

describe('an edited message', () => {
  it('takes the place of the old one and of all that followed', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const kept = await ask(alice, sessionId, '/repeat One')
    const old = await ask(alice, sessionId, '/repeat Two')
    await ask(alice, sessionId, '/repeat Three')
    const feed = await follow(app, sessionId)

    const edited = await mutate(alice, 'editMessage', {
      messageId: old.userMessage.id,
      content: '/repeat Two again',
    })
    expect(edited.userMessage).toMatchObject({ seq: 7, content: '/repeat Two again', role: 'USER' })
    expect(edited.assistantMessage).toMatchObject({ seq: 8, status: 'STREAMING' })
    expect((await runEnd(feed, edited.run.id)).run.status).toBe('COMPLETED')

    const session = await read(alice, sessionId)
    expect(contents(session)).toEqual(['/repeat One', 'One', '/repeat Two again', 'Two again'])
    expect(session).toMatchObject({
      messageCount: 4,
      messages: { totalCount: 4 },
      lastMessage: { id: edited.assistantMessage.id },
    })
    expect(session.messages.nodes[0].id).toBe(kept.userMessage.id)
    expect(applied(feed)).toEqual(session.messages.nodes)
    expect(feed.events.at(-1).session.messageCount).toBe(4)
    expect(lastAsked()).toEqual(['/repeat One', 'One', '/repeat Two again'])

    const replaced = await read(alice, sessionId, 'replaced: true')
    expect(contents(replaced)).toEqual(['/repeat Two', 'Two', '/repeat Three', 'Three'])
    expect(replaced.messages.totalCount).toBe(4)

    const ids = [old.userMessage.id, edited.userMessage.id].map((id) => ({ id }))
    const before = await alice.run(history, { id: old.userMessage.id })
    expect(before.message).toMatchObject({
      replacedBy: ids[1],
      replaces: null,
      versions: ids,
      editedAt: null,
    })
    expect(before.message.replacedAt).not.toBeNull()
    const after = await alice.run(history, { id: edited.userMessage.id })
    expect(after.message).toMatchObject({
      replacedBy: null,
      replaces: ids[0],
      versions: ids,
      replacedAt: null,
    })
    expect(after.message.editedAt).not.toBeNull()
    const follower = await alice.run(history, { id: old.assistantMessage.id })
    expect(follower.message).toMatchObject({ replacedBy: null, versions: [{ id: old.assistantMessage.id }] })
  })

  it('stops what was being answered after it, and what waited', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const feed = await follow(app, sessionId)
    const running = await alice.sendMessage({ sessionId, content: '/stall after 5' })
    const waiting = await alice.sendMessage({ sessionId, content: 'Wait' })
    await feed.until(({ __typename }) => __typename === 'TextDelta')

    const edited = await mutate(alice, 'editMessage', {
      messageId: running.userMessage.id,
      content: '/repeat Done',
    })
    expect(edited.userMessage).toBeDefined()
    await runEnd(feed, edited.run.id)
    for (const { run } of [running, waiting]) {
      const { run: stopped } = await alice.run('query ($id: ID!) { run(id: $id) { status } }', { id: run.id })
      expect(stopped.status).toBe('CANCELLED')
    }
    const session = await read(alice, sessionId)
    expect(contents(session)).toEqual(['/repeat Done', 'Done'])
    expect(applied(feed)).toEqual(session.messages.nodes)
    const { messages } = await read(alice, sessionId, 'replaced: true')
    expect(messages.nodes.map(({ status }: { status: string }) => status)).toEqual([
      'COMPLETE',
      'CANCELLED',
      'COMPLETE',
      'CANCELLED',
    ])
    expect(messages.nodes[1].content).not.toBe('')
  })

  it('leaves what runs before it alone', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const running = await alice.sendMessage({ sessionId, content: '/stall after 2' })
    const waiting = await alice.sendMessage({ sessionId, content: 'Wait' })
    const edited = await mutate(alice, 'editMessage', { messageId: waiting.userMessage.id, content: 'New' })
    expect(edited.run.status).toBe('QUEUED')
    expect((await mutate(alice, 'cancelRun', { runId: running.run.id })).run.status).toBe('CANCELLED')
    const { session } = await alice.run(
      'query ($id: ID!) { session(id: $id) { messages { nodes { seq run { id } } } } }',
      { id: sessionId },
    )
    expect(session.messages.nodes).toEqual([
      { seq: 1, run: { id: running.run.id } },
      { seq: 2, run: { id: running.run.id } },
      { seq: 5, run: { id: edited.run.id } },
      { seq: 6, run: { id: edited.run.id } },
    ])
  })

  it('keeps what came with it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const [stored] = await addMessages(alice, sessionId, [
      { role: 'USER', content: 'Hello', metadata: { from: 'a form' } },
    ])
    const { userMessage } = await mutate(alice, 'editMessage', { messageId: stored.id, content: 'Hello!' })
    const { message } = await alice.run(
      'query ($id: ID!) { message(id: $id) { metadata author { externalId } } }',
      { id: userMessage.id },
    )
    expect(message).toEqual({ metadata: { from: 'a form' }, author: { externalId: 'alice' } })
  })
})

describe('an edit', () => {
  it('happens once under one key, however often it is asked for', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const old = await ask(alice, sessionId, 'First')
    const input = { messageId: old.userMessage.id, content: 'Second', clientId: 'edit-1' }
    const asked = requests.length
    const answers = await Promise.all(Array.from({ length: 5 }, () => mutate(alice, 'editMessage', input)))
    answers.push(await mutate(alice, 'editMessage', input))
    expect(new Set(answers.map(({ userMessage }) => userMessage.id)).size).toBe(1)
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1)
    expect((await read(alice, sessionId)).messageCount).toBe(2)
    await ask(alice, sessionId, 'Then')
    expect(requests.length - asked).toBe(2)
    expect(await mutate(alice, 'editMessage', { ...input, content: 'Third' })).toMatchObject({
      code: 'CONFLICT',
    })
  })

  it('of two at once goes to one of them', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const old = await ask(alice, sessionId, 'First')
    const answers = await Promise.all(
      ['A', 'B', 'C'].map((content) =>
        mutate(alice, 'editMessage', { messageId: old.userMessage.id, content }),
      ),
    )
    const won = answers.filter(({ run }) => run)
    expect(won).toHaveLength(1)
    expect(answers.filter(({ code }) => code === 'BAD_USER_INPUT')).toHaveLength(2)
    const { messages, messageCount } = await read(alice, sessionId)
    expect(messages.nodes.map(({ id }: { id: string }) => id)).toEqual([
      won[0].userMessage.id,
      won[0].assistantMessage.id,
    ])
    expect(messageCount).toBe(2)
  })

  it('is for the author and the owner', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await share(app, sessionId, 'erin', 'EDITOR')
    await share(app, sessionId, 'victor', 'VIEWER')
    const erin = app.api({ user: 'erin' })
    const [hers] = await addMessages(alice, sessionId, [{ role: 'USER', content: 'From the owner' }])
    const [erins] = await addMessages(erin, sessionId, [{ role: 'USER', content: 'From an editor' }])
    const edit = (user: string, messageId: string, role?: 'ADMIN') =>
      mutate(app.api({ user, ...(role && { role }) }), 'editMessage', { messageId, content: 'Changed' })
    expect(await edit('erin', hers.id)).toMatchObject({ code: 'FORBIDDEN' })
    expect(await edit('victor', erins.id)).toMatchObject({ code: 'FORBIDDEN' })
    expect(await edit('mallory', erins.id)).toMatchObject({ code: 'NOT_FOUND' })
    expect((await read(alice, sessionId)).messageCount).toBe(2)
    const { userMessage } = await edit('erin', erins.id)
    expect(userMessage.content).toBe('Changed')
    const again = await edit('alice', userMessage.id)
    expect(again.userMessage).toMatchObject({ content: 'Changed' })
    expect((await edit('root', again.userMessage.id, 'ADMIN')).userMessage).toBeDefined()
  })

  it('refuses what cannot be edited', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const old = await ask(alice, sessionId, 'First')
    const { userMessage } = await mutate(alice, 'editMessage', {
      messageId: old.userMessage.id,
      content: 'Second',
    })
    const refusals = {
      [old.assistantMessage.id]: 'is no user message',
      [old.userMessage.id]: 'not part of the conversation',
      [sessionId]: 'expected one of a message',
      nonsense: 'is not an id',
    }
    for (const [messageId, reason] of Object.entries(refusals)) {
      const error = await mutate(alice, 'editMessage', { messageId, content: 'Third' })
      expect(error).toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining(reason) })
    }
    for (const content of ['', '  ', 'x'.repeat(10_001), '\u0000', '\ud800'])
      expect(await mutate(alice, 'editMessage', { messageId: userMessage.id, content })).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('content'),
      })
    const input = { messageId: userMessage.id, content: 'Third', clientId: 'x'.repeat(256) }
    expect(await mutate(alice, 'editMessage', input)).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect((await read(alice, sessionId)).messages.nodes[0].id).toBe(userMessage.id)
  })
})
