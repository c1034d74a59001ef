import { beforeAll, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { cancelRun, readRun } from '../support/runs.ts'
import { complete as completeAs, execute as executeAs, runEvents, user } from './stateless.harness.ts'

const recording = createRecordingProvider()
let app: TestApp
let alice: Api
beforeAll(async () => {
  app = await startTestApp({
    providers: [recording.provider],
    env: { RUNS_PER_USER: '10' },
  })
  alice = app.api()
})

const complete = (input: Record<string, unknown>, api = alice) => completeAs(api, input)
const execute = (input: Record<string, unknown>) => executeAs(alice, input)
/** The next call of the recorded model. */
const nextCall = () => recording.call(recording.calls.length)

describe('complete', () => {
  it('answers what comes with the call, exactly, and waits where it is asked to', async () => {
    const calling = nextCall()
    const completing = complete({
      model,
      systemPrompt: 'Be brief.',
      messages: [
        user('One'),
        { role: 'ASSISTANT', content: null, toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 1 } }] },
        { role: 'TOOL', toolCallId: 'c1', content: 'seen' },
        { role: 'ASSISTANT', content: 'Two' },
        { role: 'SYSTEM', content: 'In verse.' },
        user('Three?'),
      ],
      parameters: { temperature: 0.5 },
      wait: true,
    })
    const call = await calling
    expect(call.request).toMatchObject({
      parameters: { temperature: 0.5 },
      tools: [],
      messages: [
        { role: 'system', content: 'Be brief.\n\nIn verse.' },
        { role: 'user', content: 'One' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'look', arguments: { at: 1 } }] },
        { role: 'tool', content: 'seen', toolCallId: 'c1' },
        { role: 'assistant', content: 'Two' },
        { role: 'user', content: 'Three?' },
      ],
    })
    call.tell(say('Yes.'), end)
    expect(await completing).toMatchObject({
      run: { status: 'COMPLETED', model },
      userMessage: { content: 'Three?' },
      assistantMessage: { status: 'COMPLETE', content: 'Yes.' },
    })
  })

  it('goes on after results of tools that the client made, and after those of its own run', async () => {
    const tools = [{ name: 'look', description: 'Looks.', parameters: { type: 'object' } }]
    const calling = nextCall()
    const { run } = await complete({
      model,
      tools,
      messages: [
        user('What is there?'),
        { role: 'ASSISTANT', toolCalls: [{ id: 'c1', name: 'look', arguments: {} }] },
        { role: 'TOOL', toolCallId: 'c1', content: 'a door' },
      ],
    })
    const call = await calling
    expect(call.request.tools).toMatchObject([{ name: 'look' }])
    expect(call.request.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool'])
    const watch = app.socket().watch(runEvents, { id: run.id })
    await watch.at(0)
    const going = nextCall()
    const asked = { id: 'c2', name: 'look', arguments: {} }
    call.tell({ type: 'tool-call', call: asked }, { type: 'end', finishReason: 'tool-calls' })
    await watch.until(({ __typename: type }) => type === 'RunRequiresAction')
    const results = [{ toolCallId: 'c2', content: 'a window' }]
    expect(await alice.mutate('submitToolResults', { runId: run.id, results })).not.toHaveProperty('code')
    const next = await going
    expect(next.request.messages.at(-1)).toMatchObject({ role: 'tool', content: 'a window' })
    next.tell(say('A room.'), end)
    await watch.ended
    expect(await readRun(alice, run.id)).toMatchObject({
      status: 'COMPLETED',
      assistantMessage: { content: 'A room.' },
    })
  })

  it('gives the same run under the same key, and calls the model once', async () => {
    const input = { messages: [user('Once only')], clientId: 'twice' }
    const before = recording.calls.length
    const calling = nextCall()
    const sent = await Promise.all([1, 2, 3].map(() => complete({ ...input, model })))
    ;(await calling).tell(say('Once.'), end)
    expect(new Set(sent.map(({ run }) => run.id)).size).toBe(1)
    expect(recording.calls).toHaveLength(before + 1)
    const other = await complete({ ...input, model, messages: [user('Another')] })
    expect(other).toMatchObject({ code: 'CONFLICT' })
    // The keys of sessions are others.
    expect(await alice.mutate('createSession', { clientId: 'twice' })).not.toHaveProperty('code')
  })

  it('is stopped by cancelRun, its text kept', async () => {
    const calling = nextCall()
    const { run, assistantMessage } = await complete({ model, messages: [user('Go on and on')] })
    const call = await calling
    const stream = app
      .socket()
      .watch('subscription ($id: ID!) { tokenStream(messageId: $id) { text status } }', {
        id: assistantMessage.id,
      })
    call.tell(say('On'))
    await stream.until(({ text }) => text === 'On')
    expect(await cancelRun(alice, run.id)).toMatchObject({
      status: 'CANCELLED',
      assistantMessage: { content: 'On' },
    })
    await call.aborted
    await stream.ended
  })

  it.each([
    [{ messages: [] }, 'messages: is empty; 1 to 100 messages are allowed'],
    [{ messages: [{ role: 'ASSISTANT', content: 'Hm' }] }, 'messages: ends with ASSISTANT'],
    [{ messages: [user(' ')] }, 'messages.0.content: is empty'],
    [{ messages: [user('x'.repeat(10_001))] }, 'messages.0.content: has 10001 characters'],
    [
      { messages: [{ role: 'TOOL', toolCallId: 'c', content: 'x' }] },
      'messages.0.toolCallId: "c" is no tool call',
    ],
    [{ messages: [user('x')], parameters: { heat: 1 } }, 'parameters: has unknown parameters'],
  ])('is refused as %j', async (input, message) => {
    expect(await complete(input)).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining(message),
    })
  })

  it('is under the quotas, too', async () => {
    const tenant = 'stateless-quota'
    const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
    await admin.change('setQuota', { scope: 'EACH_USER', period: 'DAY', tokens: 1 })
    const bob = app.api({ user: 'bob', tenant })
    const ask = () => complete({ messages: [user('Hello')], wait: true }, bob)
    expect(await ask()).toMatchObject({ run: { status: 'COMPLETED' } })
    expect(await ask()).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })
})

describe('executeTemplate', () => {
  const makeTemplate = async (input: object) =>
    (await alice.mutate('createTemplate', { name: `T ${Math.random()}`, ...input }, 'template { id }'))
      .template.id

  it('puts values in, once each, and asks with the settings of the template', async () => {
    const templateId = await makeTemplate({
      agent: 'primary',
      model,
      systemPrompt: 'You translate into {{ language }}.',
      parameters: { temperature: 0.25 },
      openingMessages: [
        { role: 'USER', content: 'Say {{greeting}} {{times}} times.' },
        { role: 'ASSISTANT', content: 'Ready.' },
      ],
    })
    const calling = nextCall()
    const variables = { language: 'Norwegian', greeting: '{{times}}', times: 2 }
    const executing = execute({ templateId, variables, input: 'Go', parameters: { seed: 1 }, wait: true })
    const call = await calling
    expect(call.request).toMatchObject({
      parameters: { temperature: 0.25, seed: 1 },
      messages: [
        { role: 'system', content: 'You translate into Norwegian.' },
        { role: 'user', content: 'Say {{times}} 2 times.' },
        { role: 'assistant', content: 'Ready.' },
        { role: 'user', content: 'Go' },
      ],
    })
    call.tell(say('Hei hei'), end)
    expect(await executing).toMatchObject({
      run: { status: 'COMPLETED' },
      assistantMessage: { content: 'Hei hei' },
    })
  })

  it('names the variables that are missing or too many, and a question that is', async () => {
    const templateId = await makeTemplate({ systemPrompt: '{{a}} {{b}}' })
    const refused = await execute({ templateId, variables: { b: 1, c: true }, input: 'x' })
    expect(refused.message).toBe(
      'variables.a: is missing; the template has a place for it; variables.c: has no place in the template',
    )
    expect((await execute({ templateId, variables: { a: 1, b: 1 } })).message).toContain('input: is missing')
  })

  it('goes by the context policy of the template, and by no other', async () => {
    const settings = { key: 'narrow', name: 'Narrow', contextPolicy: { kind: 'TOKEN_BUDGET', tokens: 50 } }
    await app.api({ role: 'ADMIN', user: 'root' }).change('createAgent', settings, 'agent { id }')
    const openingMessages = [user('First'), { role: 'ASSISTANT', content: 'Second' }]
    const answerOf = async (template: object, input: string) => {
      const templateId = await makeTemplate({ agent: 'narrow', model, openingMessages, ...template })
      const calling = nextCall()
      const executing = execute({ templateId, input, wait: true })
      const answer = await Promise.race([calling, executing])
      if (!('tell' in answer)) return answer
      answer.tell(say('Yes'), end)
      expect(await executing).toMatchObject({ run: { status: 'COMPLETED' } })
      return answer.request.messages.map(({ content }: { content: string }) => content)
    }
    const long = 'x'.repeat(300)
    expect(await answerOf({}, long)).toEqual(['First', 'Second', long])
    const contextPolicy = { kind: 'LAST_MESSAGES', messages: 1 }
    expect(await answerOf({ contextPolicy }, 'Go')).toEqual(['Go'])
    const small = { contextPolicy: { kind: 'TOKEN_BUDGET', tokens: 60 } }
    expect(await answerOf(small, long)).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringContaining('at most 60 fit'),
    })
  })

  it('refuses values that leave a message empty', async () => {
    const openingMessages = [user('Hello'), { role: 'ASSISTANT', content: 'Yes?' }, user('{{question}}')]
    const templateId = await makeTemplate({ model, openingMessages })
    for (const question of ['', '  '])
      expect(await execute({ templateId, variables: { question } })).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: 'variables: leave opening message 3 empty; some text is needed',
      })
  })
})
