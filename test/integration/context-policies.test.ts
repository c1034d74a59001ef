import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import {
  createWideProvider,
  messagesOf,
  preview,
  sentMessages,
  sessionWith,
  talk,
} from './context.harness.ts'
import { addMessages, ask } from './messages.harness.ts'

const { provider, requests } = createWideProvider()
const model = 'wide:open'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ providers: [provider], env: { MAX_SESSIONS_PER_AGENT: '100' } })
})

const contentsOf = (request: (typeof requests)[number] | undefined) =>
  sentMessages(request).map(({ content }) => content.split(' ').slice(0, 2).join(' '))

describe('the preview is what the model gets', () => {
  const policies = [
    { kind: 'FULL' },
    { kind: 'FULL', memories: true },
    { kind: 'LAST_MESSAGES', messages: 3 },
    { kind: 'TOKEN_BUDGET', tokens: 200 },
    { kind: 'SUMMARIZE', tokens: 3_000, keepLast: 2 },
    { kind: 'HIERARCHICAL', tokens: 3_000, keepLast: 2 },
    { kind: 'RETRIEVAL', keepLast: 2, passages: 2 },
  ]
  it.each(policies.map((policy) => [`${policy.kind} ${JSON.stringify(policy)}`, policy] as const))(
    '%s',
    async (_name, contextPolicy) => {
      const { api, sessionId } = await sessionWith(app, talk(6), { contextPolicy })
      await api.change('saveMemory', { scope: 'USER', key: 'name', value: 'Alice' })
      await api.change('saveMemory', { scope: 'SESSION', sessionId, key: 'place', value: { city: 'Lisbon' } })
      for (const content of ['Tell me of the harbour', 'And of Lisbon once more']) {
        const shown = await preview(api, sessionId, { content })
        await ask(api, sessionId, content)
        expect(sentMessages(requests.at(-1))).toEqual(messagesOf(shown))
        const { parts, totalTokens, limit } = shown
        expect(totalTokens).toBe(
          parts.reduce((sum: number, { tokens }: { tokens: number }) => sum + tokens, 0),
        )
        if (limit !== null) expect(totalTokens).toBeLessThanOrEqual(limit)
        expect(parts[0]).toMatchObject({ kind: 'SYSTEM_PROMPT', content: 'Be kind.' })
        expect(parts.at(-1)).toMatchObject({ kind: 'QUESTION', role: 'USER', content, message: null })
        for (const { kind, content, message } of parts)
          if (kind === 'MESSAGE') expect(message.content).toBe(content)
      }
    },
  )

  it('for one send alone, too, with its model and its policy', async () => {
    const { api, sessionId } = await sessionWith(app, talk(4))
    const contextPolicy = { kind: 'LAST_MESSAGES', messages: 2 }
    const shown = await preview(api, sessionId, { content: 'Now', contextPolicy })
    await ask(api, sessionId, 'Now', { contextPolicy })
    expect(sentMessages(requests.at(-1))).toEqual(messagesOf(shown))
    expect(contentsOf(requests.at(-1))).toEqual(['Be kind.', 'Question 4', 'Answer 4', 'Now'])
    // A run that waits may be another node's.
    const [run] = await query(
      app.databaseUrl,
      'SELECT context_policy AS policy FROM runs WHERE session_id = $1',
      { values: [decodeId(sessionId).uuid] },
    )
    expect(run).toEqual({ policy: contextPolicy })
    await ask(api, sessionId, 'Then')
    expect(requests.at(-1)?.messages).toHaveLength(12)
  })

  it('with tools, and where tools were called', async () => {
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    const parameters = { type: 'object', properties: {} }
    const tools = [{ name: 'look', description: 'Looks up', parameters }]
    const settings = {
      key: 'looker',
      name: 'Looker',
      model,
      tools,
      contextPolicy: { kind: 'LAST_MESSAGES', messages: 5 },
    }
    await admin.change('createAgent', settings, 'agent { id }')
    const call = (id: string) => ({ id, name: 'look', arguments: { where: 'up' } })
    const { api, sessionId } = await sessionWith(
      app,
      [
        ...talk(1),
        { role: 'USER', content: 'Look twice' },
        { role: 'ASSISTANT', toolCalls: [call('a'), call('b')] },
        { role: 'TOOL', toolCallId: 'a', content: 'Stars' },
        { role: 'TOOL', toolCallId: 'b', content: 'Moon' },
        { role: 'ASSISTANT', content: 'Stars and moon' },
      ],
      { agent: 'looker' },
    )
    const shown = await preview(api, sessionId, { content: 'Thanks' })
    await ask(api, sessionId, 'Thanks')
    expect(sentMessages(requests.at(-1))).toEqual(messagesOf(shown))
    expect(requests.at(-1)?.messages).toHaveLength(7)
    expect(shown.parts.at(-1)).toMatchObject({
      kind: 'TOOLS',
      role: null,
      content: expect.stringContaining('look'),
    })
    expect(shown.dropped).toMatchObject({ turns: 1, reason: 'MESSAGES' })
  })
})

describe('what does not fit', () => {
  it('is left out in whole turns, the oldest first, and told', async () => {
    const { api, sessionId } = await sessionWith(app, talk(10))
    const shown = await preview(api, sessionId, { content: 'Now', model: 'wide:small' })
    await ask(api, sessionId, 'Now', { model: 'wide:small' })
    expect(sentMessages(requests.at(-1))).toEqual(messagesOf(shown))
    expect(shown).toMatchObject({ limit: 300, countedBy: expect.stringMatching(/RATIO/) })
    expect(shown.dropped.turns).toBeGreaterThan(4)
    expect(shown.dropped.reason).toBe('ROOM')
    expect(shown.dropped.tokens).toBeGreaterThan(300)
    expect(contentsOf(requests.at(-1)).slice(0, 2)).toEqual([
      'Be kind.',
      `Question ${shown.dropped.turns + 1}`,
    ])
  })

  it('is refused where it is the question, and nothing is stored', async () => {
    const contextPolicy = { kind: 'TOKEN_BUDGET', tokens: 50 }
    const { api, sessionId } = await sessionWith(app, [], { contextPolicy })
    const answer = await ask(api, sessionId, 'x'.repeat(1_000))
    expect(answer).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('at most 50 fit'),
    })
    const { session } = await api.run('query ($id: ID!) { session(id: $id) { messageCount } }', {
      id: sessionId,
    })
    expect(session.messageCount).toBe(0)
    const { errors } = await api.send(
      'query ($id: ID!, $content: String) { session(id: $id) { contextPreview(content: $content) { limit } } }',
      { id: sessionId, content: 'x'.repeat(1_000) },
    )
    expect(errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } })
    expect(await ask(api, sessionId, 'short')).toHaveProperty('run.status', 'COMPLETED')
  })
})

it('is the question alone where the history is switched off, whatever the policy', async () => {
  const forgetful = await startTestApp({
    ...{ providers: [provider], databaseUrl: app.databaseUrl },
    env: { CHAT_ENABLE_MESSAGE_HISTORY: 'false' },
  })
  const api = forgetful.api({ user: 'sam' })
  for (const contextPolicy of [
    { kind: 'LAST_MESSAGES', messages: 5 },
    { kind: 'SUMMARIZE' },
    { kind: 'RETRIEVAL' },
    { kind: 'HIERARCHICAL' },
  ]) {
    const sessionId = await api.createSession({ model, contextPolicy })
    await addMessages(api, sessionId, talk(3))
    const shown = await preview(api, sessionId, { content: 'The harbour of Lisbon' })
    await ask(api, sessionId, 'The harbour of Lisbon')
    const alone = [{ role: 'user', content: 'The harbour of Lisbon' }]
    expect(sentMessages(requests.at(-1))).toEqual(alone)
    expect(messagesOf(shown)).toEqual(alone)
  }
})
