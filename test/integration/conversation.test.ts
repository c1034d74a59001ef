import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'

const watchSession = `subscription ($sessionId: ID!, $after: Cursor) {
  sessionEvents(sessionId: $sessionId, after: $after) {
    __typename
    cursor
    ... on SessionSnapshot { reason session { title messageCount } messages { id seq content status } }
    ... on MessageAdded { message { id seq role status content } }
    ... on MessageUpdated { message { id seq status content finishReason outputTokens } }
    ... on TextDelta { messageId offset text }
    ... on RunQueued { run { id status } }
    ... on RunStarted { run { id status } }
    ... on RunFinished { run { id status usage { outputTokens } } }
    ... on SessionUpdated { session { title messageCount } }
  }
}`

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

describe('a conversation', () => {
  it('is stored, answered, and streamed to every open tab', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession({ agent: 'primary' })
    const tabs = [app.socket(), app.socket()].map((socket) => socket.watch(watchSession, { sessionId }))
    for (const tab of tabs) await tab.until((event) => event.__typename === 'SessionSnapshot')

    const sent = await alice.sendMessage({ sessionId, content: 'Tell me about tides' })
    expect(sent.assistantMessage).toMatchObject({ status: 'STREAMING', content: '', seq: 2 })

    for (const tab of tabs) {
      await tab.until((event) => event.__typename === 'RunFinished')
      const deltas = tab.events.filter((event) => event.__typename === 'TextDelta')
      const { message } = await tab.until((event) => event.__typename === 'MessageUpdated')
      expect(deltas.length).toBeGreaterThan(1)
      expect(deltas.map(({ text }) => text).join('')).toBe(message.content)
      expect(deltas.map(({ offset }) => offset)).toEqual(
        deltas.map((_, index) =>
          deltas.slice(0, index).reduce((length, { text }) => length + text.length, 0),
        ),
      )
      expect(message).toMatchObject({ status: 'COMPLETE', finishReason: 'STOP' })
    }
    const { session } = await alice.run(
      'query ($id: ID!) { session(id: $id) { title messageCount messages { nodes { seq role content agent { key } author { externalId } } } } }',
      { id: sessionId },
    )
    expect(session).toMatchObject({ title: 'Tell me about tides', messageCount: 2 })
    expect(session.messages.nodes).toMatchObject([
      { seq: 1, role: 'USER', agent: null, author: { externalId: 'alice' } },
      { seq: 2, role: 'ASSISTANT', agent: { key: 'primary' }, author: null },
    ])
  })

  it('is answered in the context of its earlier turns', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    await alice.change('sendMessage', { sessionId, content: 'My cat is called Miso', wait: true })
    const { assistantMessage } = await alice.sendMessage({ sessionId, content: 'Go on', wait: true })
    expect(assistantMessage.status).toBe('COMPLETE')
    expect(assistantMessage.content).toContain('My cat is called Miso')
  })
})
