import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Imports, startImports } from './import.harness.ts'

let imports: Imports
beforeAll(async () => {
  imports = await startImports()
})

const fixture = (name: string) => readFile(join(import.meta.dirname, '../fixtures', name), 'utf8')

describe('an import of ChatGPT', () => {
  it('stores every conversation as its user saw it last', async () => {
    const stored = await imports.importInto({ content: await fixture('chatgpt-conversations.json') })
    expect(stored.messageCount).toBe(5)
    expect(stored.session.id).toBe(stored.sessions[0].id)
    expect(stored.sessions).toMatchObject([
      {
        title: 'Tides and the moon',
        titleSource: 'MODEL',
        isActive: false,
        messageCount: 4,
        createdAt: '2024-03-09T16:00:00.250Z',
        lastMessageAt: '2024-03-09T16:00:13.000Z',
        viewerRole: 'OWNER',
        user: { externalId: 'alice' },
      },
      { title: 'A question that nobody answered', titleSource: 'FIRST_MESSAGE', messageCount: 1 },
    ])
    const [call] = (await imports.messagesOf(stored.session.id))[1].toolCalls
    expect(call).toMatchObject({ name: 'python', arguments: { input: 'print(2 + 1)' } })
    expect(await imports.messagesOf(stored.session.id)).toMatchObject([
      {
        seq: 1,
        role: 'USER',
        content: '[image]\nHow high is this tide?',
        createdAt: '2024-03-09T16:00:10.500Z',
        author: { externalId: 'alice' },
      },
      { seq: 2, role: 'ASSISTANT', content: null, model: 'openai:gpt-4o', finishReason: 'TOOL_CALLS' },
      { seq: 3, role: 'TOOL', content: '3\n', toolCallId: call.id, createdAt: '2024-03-09T16:00:13.000Z' },
      {
        seq: 4,
        role: 'ASSISTANT',
        content: 'About \n3 metres.',
        status: 'COMPLETE',
        finishReason: 'STOP',
        author: null,
        // It had none of its own.
        createdAt: '2024-03-09T16:00:13.000Z',
      },
    ])
  })

  it('can be gone on with', async () => {
    const { session } = await imports.importInto({ content: await fixture('chatgpt-conversations.json') })
    const { assistantMessage } = await imports.app
      .api()
      .sendMessage({ sessionId: session.id, content: 'Go on', wait: true })
    expect(assistantMessage).toMatchObject({ status: 'COMPLETE', seq: 6 })
  })
})

describe('an import of ChatGPT, where a tool says more than one thing,', () => {
  it('has all of it as the result of the call, and nothing of other tools', async () => {
    const say = (role: string, text: string, more: object = {}) => ({
      content: { parts: [text] },
      author: { role, ...(role === 'tool' && { name: 'python' }) },
      ...more,
    })
    const said = [
      say('user', 'Count'),
      say('assistant', 'print(1)', { recipient: 'python' }),
      say('tool', 'one'),
      say('tool', 'nobody asked', { author: { role: 'tool', name: 'browser' } }),
      say('tool', 'two'),
      say('assistant', 'Done'),
      say('tool', 'too late'),
    ]
    const mapping = Object.fromEntries(
      said.map((message, at) => [`n${at}`, { parent: at > 0 ? `n${at - 1}` : null, message }]),
    )
    const content = JSON.stringify({ current_node: `n${said.length - 1}`, mapping })
    const { session } = await imports.importInto({ content })
    const messages = await imports.messagesOf(session.id)
    expect(messages.map((each: Record<string, unknown>) => [each.role, each.content])).toEqual([
      ['USER', 'Count'],
      ['ASSISTANT', null],
      ['TOOL', 'one\ntwo'],
      ['ASSISTANT', 'Done'],
    ])
  })
})

describe('an import of LibreChat', () => {
  it('reads a flat list to its last message, with calls, results and system prompt', async () => {
    const stored = await imports.importInto({
      content: await fixture('librechat-flat.json'),
      format: 'LIBRECHAT',
    })
    expect(stored.sessions).toMatchObject([{ title: 'Bread', systemPrompt: 'You bake.', messageCount: 5 }])
    expect(await imports.messagesOf(stored.session.id)).toMatchObject([
      { role: 'USER', content: 'How long does dough rise?', createdAt: '2024-05-28T18:08:55.014Z' },
      { role: 'ASSISTANT', content: 'Let me look.', toolCalls: [] },
      { role: 'ASSISTANT', toolCalls: [{ id: 'call_a', name: 'weather', arguments: { city: 'Bern' } }] },
      { role: 'TOOL', toolCallId: 'call_a', content: '21 °C' },
      {
        role: 'ASSISTANT',
        content: 'At 21 °C about two hours.',
        model: 'openai:gpt-4o',
        inputTokens: 100,
        outputTokens: 42,
        finishReason: 'STOP',
      },
    ])
  })

  it('tells the calls of all replies apart where the file has no ids', async () => {
    const look = (output: string) => ({ type: 'tool_call', tool_call: { name: 'look', args: '{}', output } })
    const messages = ['Stars', 'Moon'].map((output, at) => ({
      messageId: `m${at}`,
      parentMessageId: at > 0 ? `m${at - 1}` : null,
      isCreatedByUser: false,
      content: [look(output)],
    }))
    const { session } = await imports.importInto({
      content: JSON.stringify({ conversationId: 'x', messages }),
    })
    const [one, stars, two, moon] = await imports.messagesOf(session.id)
    expect([stars, moon]).toMatchObject([{ content: 'Stars' }, { content: 'Moon' }])
    expect([stars.toolCallId, moon.toolCallId]).toEqual([one.toolCalls[0].id, two.toolCalls[0].id])
    expect(two.toolCalls[0].id).not.toBe(one.toolCalls[0].id)
  })

  it('reads nested children', async () => {
    const stored = await imports.importInto({ content: await fixture('librechat-nested.json') })
    expect(await imports.messagesOf(stored.session.id)).toMatchObject([
      { role: 'USER', content: 'Which knot holds best?' },
      { role: 'ASSISTANT', content: 'The bowline.', status: 'FAILED', model: 'my-own-server:small' },
      { role: 'USER', content: 'Thanks' },
    ])
  })

  it('reads a conversation that is nested deeper than a call stack', async () => {
    const depth = 12_000
    const open = Array.from(
      { length: depth },
      (_, index) => `{"messageId":"${index}","isCreatedByUser":true,"text":"${index}","children":[`,
    )
    const content = `{"conversationId":"deep","messages":[${open.join('')}${']}'.repeat(depth)}]}`
    expect(await imports.importInto({ content })).toMatchObject({ messageCount: depth })
  })
})
