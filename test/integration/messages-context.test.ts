import { beforeAll, describe, expect, it } from 'vitest'
import { createDemoProvider } from '../../src/llm/demo.ts'
import type { ModelRequest, Provider } from '../../src/llm/provider.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { addMessages, ask, follow, mutate, read, runEnd } from './messages.harness.ts'

const demo = createDemoProvider({ tokensPerSecond: 2_000 })
const requests: ModelRequest[] = []
const recorder: Provider = {
  ...demo,
  stream(request, signal) {
    requests.push(request)
    return demo.stream(request, signal)
  },
}
const lastAsked = () => requests.at(-1)?.messages

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ providers: [recorder] })
})

const call = (id: string) => ({ id, name: 'look', arguments: { where: 'up' } })

describe('what a model is sent', () => {
  it('has one system message, with the instructions of the conversation', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession({ systemPrompt: 'Be kind.' })
    await addMessages(alice, sessionId, [
      { role: 'USER', content: 'Hello' },
      { role: 'SYSTEM', content: 'Be brief.' },
    ])
    await ask(alice, sessionId, 'Go on')
    expect(lastAsked()).toEqual([
      { role: 'system', content: 'Be kind.\n\nBe brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'user', content: 'Go on' },
    ])
  })

  it('has calls with their results, and neither alone', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const stored = await addMessages(alice, sessionId, [
      { role: 'USER', content: 'Look' },
      { role: 'ASSISTANT', toolCalls: [call('a'), call('b')] },
      { role: 'TOOL', toolCallId: 'a', content: 'Stars' },
      { role: 'ASSISTANT', toolCalls: [call('c')] },
      { role: 'TOOL', toolCallId: 'c', content: 'Moon' },
    ])
    await alice.change('deleteMessage', { messageId: stored[4].id })
    await ask(alice, sessionId, 'Go on')
    expect(lastAsked()).toEqual([
      { role: 'user', content: 'Look' },
      { role: 'assistant', content: '', toolCalls: [call('a')] },
      { role: 'tool', content: 'Stars', toolCallId: 'a' },
      { role: 'user', content: 'Go on' },
    ])
  })

  it('has each result with the nearest call before it, where ids are used again', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await addMessages(alice, sessionId, [
      { role: 'USER', content: 'Look' },
      { role: 'ASSISTANT', content: 'Wait', toolCalls: [call('a')] },
      { role: 'USER', content: 'Look again' },
      { role: 'ASSISTANT', toolCalls: [call('a')] },
      { role: 'TOOL', toolCallId: 'a', content: 'Stars' },
    ])
    await ask(alice, sessionId, 'Go on')
    expect(lastAsked()).toEqual([
      { role: 'user', content: 'Look' },
      { role: 'assistant', content: 'Wait', toolCalls: [] },
      { role: 'user', content: 'Look again' },
      { role: 'assistant', content: '', toolCalls: [call('a')] },
      { role: 'tool', content: 'Stars', toolCallId: 'a' },
      { role: 'user', content: 'Go on' },
    ])
  })

  it('has nothing that was replaced, deleted or came later', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const first = await ask(alice, sessionId, '/repeat First')
    const second = await ask(alice, sessionId, '/repeat Second')
    await alice.change('deleteMessage', { messageId: first.assistantMessage.id })
    const feed = await follow(app, sessionId)
    const running = await mutate(alice, 'editMessage', {
      messageId: second.userMessage.id,
      content: '/stall after 1',
    })
    const waiting = await alice.sendMessage({ sessionId, content: '/repeat Third' })
    await addMessages(alice, sessionId, [{ role: 'USER', content: 'Later' }])
    await feed.until(({ messageId, text }) => text && messageId === running.assistantMessage.id)
    await alice.change('cancelRun', { runId: running.run.id })
    await runEnd(feed, waiting.run.id)
    const cut = (await read(alice, sessionId)).messages.nodes[2].content
    expect(cut).not.toBe('')
    expect(lastAsked()?.map(({ content }) => content)).toEqual([
      '/repeat First',
      '/stall after 1',
      cut,
      '/repeat Third',
    ])
  })
})

it('is the question alone where the history is switched off', async () => {
  const forgetful = await startTestApp({
    providers: [recorder],
    env: { CHAT_ENABLE_MESSAGE_HISTORY: 'false' },
  })
  const alice = forgetful.api()
  const sessionId = await alice.createSession({ systemPrompt: 'Be kind.' })
  await ask(alice, sessionId, 'One')
  const { assistantMessage } = await ask(alice, sessionId, 'Two')
  const alone = [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: 'Two' },
  ]
  expect(lastAsked()).toEqual(alone)
  await alice.change('regenerateMessage', { messageId: assistantMessage.id })
  await ask(alice, sessionId, 'Three')
  expect(requests.at(-2)?.messages).toEqual(alone)
})
