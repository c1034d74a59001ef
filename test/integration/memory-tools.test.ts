import { beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { ModelPart } from '../../src/llm/provider.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun } from '../support/runs.ts'
import { preview } from './context.harness.ts'
import { paused, readPending, submit } from './runs-tools.harness.ts'

const recording = createRecordingProvider()
const admin = { user: 'root', role: 'ADMIN' } as const

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    providers: [recording.provider],
    env: { MAX_SESSIONS_PER_AGENT: '100', RUN_MAX_TOOL_ROUNDS: '3' },
  })
  const agents = [
    { key: 'keeper', memoryTools: true },
    { key: 'mixed', memoryTools: true, tools: [tool('look')] },
    { key: 'shadow', memoryTools: true, tools: [tool('memory_get')] },
  ]
  for (const agent of agents)
    expect(await app.api(admin).mutate('createAgent', { name: agent.key, ...agent })).not.toHaveProperty(
      'code',
    )
})

const tool = (name: string) => ({
  ...{ name, description: 'Of the client', parameters: { type: 'object', properties: {} } },
})

type Call = [id: string, name: string, input: Record<string, unknown>]
const calling = (...calls: Call[]): ModelPart[] => [
  ...calls.map(
    ([id, name, input]): ModelPart => ({ type: 'tool-call', call: { id, name, arguments: input } }),
  ),
  { type: 'end', finishReason: 'tool-calls' },
]
const saying = (text: string): ModelPart[] => [say(text), { type: 'end', finishReason: 'stop' }]

const eventFields = `__typename ... on RunFinished { run { id status } } ... on RunRequiresAction { run { id } }
  ... on MemoryChanged { key memory { scope value source } }
  ... on MessageAdded { message { role content toolCallId } }`

/** A session of the agent with its feed, and a run that has begun. */
async function begin(agent: string, user: string) {
  const api = app.api({ user })
  const sessionId = await api.createSession({ agent })
  const watch = app
    .socket({ user })
    .watch(`subscription ($id: ID!) { sessionEvents(sessionId: $id) { ${eventFields} } }`, { id: sessionId })
  await watch.at(0)
  let next = recording.calls.length
  const { run } = await api.sendMessage({ sessionId, content: 'I am allergic to nuts', model })
  const call = () => recording.call(next++)
  const ended = () =>
    watch.until(({ __typename, run: told }) => __typename === 'RunFinished' && told.id === run.id)
  return { api, sessionId, watch, run, call, ended }
}

const memoriesOf = async (user: string) =>
  (await app.api({ user }).run('{ memories { nodes { key value source } } }')).memories.nodes

const resultsIn = (request: { messages: readonly { role: string; content: string }[] }) =>
  request.messages.filter(({ role }) => role === 'tool').map(({ content }) => JSON.parse(content))

/** As its node would have left it that died between the two replies. */
async function leave(runId: string) {
  const text = `UPDATE runs SET status = 'REQUIRES_ACTION', node_id = NULL, lease_until = NULL,
    pending_tool_calls = $2, action_expires_at = now() + interval '1 hour' WHERE id = $1`
  const pending = [
    { id: 'a', name: 'memory_save', arguments: {}, requiresApproval: false, result: '{"saved":"k"}' },
  ]
  await query(app.databaseUrl, text, { values: [decodeId(runId).uuid, JSON.stringify(pending)] })
}

describe('a model that may remember', () => {
  it('saves, reads and deletes by itself, and goes on at once', async () => {
    const { api, sessionId, watch, run, call, ended } = await begin('keeper', 'ann')
    const first = await call()
    expect(first.request.tools.map(({ name }) => name)).toEqual([
      'memory_save',
      'memory_get',
      'memory_delete',
    ])
    first.tell(
      say('Let me note that.'),
      ...calling(
        ['a', 'memory_save', { key: 'allergies', value: ['nuts'] }],
        ['b', 'memory_save', { key: 'topic', value: 'food', scope: 'session' }],
        ['c', 'memory_save', { key: 'wrong', value: 'x'.repeat(70_000) }],
        ['d', 'memory_get', {}],
      ),
    )
    const second = await call()
    expect(resultsIn(second.request)).toEqual([
      { saved: 'allergies' },
      { saved: 'topic' },
      { error: 'value: has 70002 bytes as JSON; at most 65536 are allowed' },
      { allergies: ['nuts'] },
    ])
    second.tell(
      ...calling(
        ['e', 'memory_delete', { key: 'topic', scope: 'session' }],
        ['f', 'memory_delete', { key: 'none' }],
      ),
    )
    const third = await call()
    expect(resultsIn(third.request).slice(4)).toEqual([
      { deleted: 'topic' },
      { error: 'No such memory, or it is not visible to you.' },
    ])
    third.tell(...saying('Noted.'))
    expect((await ended()).run.status).toBe('COMPLETED')
    expect(await memoriesOf('ann')).toEqual([{ key: 'allergies', value: ['nuts'], source: 'MODEL' }])
    expect(watch.events.filter(({ __typename }) => __typename === 'MemoryChanged')).toEqual([
      {
        __typename: 'MemoryChanged',
        key: 'topic',
        memory: { scope: 'SESSION', value: 'food', source: 'MODEL' },
      },
      { __typename: 'MemoryChanged', key: 'topic', memory: null },
    ])
    // Nobody is asked for results that the server has.
    expect(watch.events.some(({ __typename }) => __typename === 'RunRequiresAction')).toBe(false)
    const tools = watch.events.filter(({ message }) => message?.role === 'TOOL')
    expect(tools.map(({ message }) => message.toolCallId)).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    expect((await readRun(api, run.id)).assistantMessage).toMatchObject({
      status: 'COMPLETE',
      content: 'Noted.',
    })

    // And it knows of it in the next conversation.
    const other = await api.createSession({ agent: 'keeper' })
    const { parts } = await preview(api, other, { content: 'What may I eat?', model })
    expect(parts.map(({ kind }: { kind: string }) => kind)).toEqual(['MEMORY', 'QUESTION', 'TOOLS'])
    expect(parts[0].content).toContain('nuts')
    expect(sessionId).not.toBe(other)
  })

  it('waits for the client where it calls its tools, too, and needs no results for its own', async () => {
    const { api, watch, run, call, ended } = await begin('mixed', 'ben')
    ;(await call()).tell(...calling(['a', 'look', {}], ['b', 'memory_save', { key: 'k', value: 1 }]))
    await watch.until(paused(run.id))
    const { pendingToolCalls } = await readPending(api, run.id)
    expect(pendingToolCalls.map(({ toolCallId }: { toolCallId: string }) => toolCallId)).toEqual(['a'])
    const forged = [
      { toolCallId: 'a', content: 'Stars' },
      { toolCallId: 'b', content: 'forged' },
    ]
    expect(await submit(api, run.id, forged)).toMatchObject({ code: 'BAD_USER_INPUT' })
    await submit(api, run.id, forged.slice(0, 1))
    const second = await call()
    const results = second.request.messages.filter(({ role }) => role === 'tool')
    expect(results).toEqual([
      { role: 'tool', toolCallId: 'a', content: 'Stars' },
      { role: 'tool', toolCallId: 'b', content: '{"saved":"k"}' },
    ])
    second.tell(...saying('Done.'))
    expect((await ended()).run.status).toBe('COMPLETED')
    expect(await memoriesOf('ben')).toEqual([{ key: 'k', value: 1, source: 'MODEL' }])
  })

  it('is held to a number of calls in one reply, and of rounds in one run', async () => {
    const { api, run, call, ended } = await begin('keeper', 'cleo')
    const many = Array.from(
      { length: 12 },
      (_, index): Call => [`c${index}`, 'memory_save', { key: `k${index}`, value: 1 }],
    )
    ;(await call()).tell(...calling(...many))
    const second = await call()
    expect(resultsIn(second.request).slice(9)).toEqual([
      { saved: 'k9' },
      ...Array(2).fill({ error: 'No more than 10 calls of these tools are made in one reply.' }),
    ])
    second.tell(...calling(['x', 'memory_get', {}]))
    ;(await call()).tell(...calling(['y', 'memory_get', {}]))
    ;(await call()).tell(...calling(['z', 'memory_save', { key: 'late', value: 1 }]))
    await ended()
    expect(await readRun(api, run.id)).toMatchObject({ status: 'FAILED', error: { code: 'LIMIT_EXCEEDED' } })
    expect(await memoriesOf('cleo')).toHaveLength(10)
  })

  it('can be stopped between its calls', async () => {
    const { api, run, call, ended } = await begin('keeper', 'dora')
    ;(await call()).tell(...calling(['a', 'memory_save', { key: 'k', value: 1 }]))
    await call()
    await api.change('cancelRun', { runId: run.id }, 'run { status }')
    expect((await ended()).run.status).toBe('CANCELLED')
  })

  const late: [title: string, text: string, status: string][] = [
    [
      'another node has its run',
      `UPDATE runs SET attempt = attempt + 1, lease_until = now() WHERE id = $1`,
      'INTERRUPTED',
    ],
    [
      'its session is deleted',
      'UPDATE sessions SET deleted_at = now() WHERE id = (SELECT session_id FROM runs WHERE id = $1)',
      'CANCELLED',
    ],
    ['it is to be cancelled', 'UPDATE runs SET cancel_requested_at = now() WHERE id = $1', 'CANCELLED'],
  ]
  it.each(late)('changes nothing where %s', async (title, text, status) => {
    const user = `late ${title}`
    const { api, watch, run, call } = await begin('keeper', user)
    await api.change('saveMemory', { scope: 'USER', key: 'kept', value: 1 })
    const first = await call()
    first.tell(say('Hm'))
    await vi.waitFor(async () => {
      const [row] = await query(app.databaseUrl, 'SELECT has_begun FROM runs WHERE id = $1', {
        values: [decodeId(run.id).uuid],
      })
      expect(row?.has_begun).toBe(true)
    }, patience)
    await query(app.databaseUrl, text, { values: [decodeId(run.id).uuid] })
    first.tell(
      ...calling(
        ['a', 'memory_save', { key: 'k', value: 1 }],
        ['b', 'memory_save', { key: 'k', value: 1, scope: 'session' }],
        ['c', 'memory_delete', { key: 'kept' }],
      ),
    )
    const read = 'SELECT status FROM runs WHERE id = $1'
    await vi.waitFor(async () => {
      const [row] = await query(app.databaseUrl, read, { values: [decodeId(run.id).uuid] })
      expect(row?.status).toBe(status)
    }, patience)
    expect(await memoriesOf(user)).toEqual([{ key: 'kept', value: 1, source: 'CLIENT' }])
    expect(watch.events.filter(({ __typename }) => __typename === 'MemoryChanged')).toEqual([])
  })

  it('goes on after its node was gone between two replies', async () => {
    const own = createRecordingProvider()
    const gone = await startTestApp({ providers: [own.provider], databaseUrl: app.databaseUrl })
    const api = gone.api({ user: 'gus' })
    const sessionId = await api.createSession({ agent: 'keeper' })
    const { run, assistantMessage } = await api.sendMessage({ sessionId, content: 'Hello', model })
    await own.call(0)
    await query(
      app.databaseUrl,
      `UPDATE messages SET status = 'COMPLETE', tool_calls = '[{"id": "a", "name": "memory_save", "arguments": {}}]'
       WHERE id = $1`,
      { values: [decodeId(assistantMessage.id).uuid] },
    )
    const before = recording.calls.length
    await leave(run.id)
    await gone.stop(0)
    await query(app.databaseUrl, 'UPDATE runs SET action_expires_at = now() WHERE id = $1', {
      values: [decodeId(run.id).uuid],
    })
    const second = await recording.call(before)
    expect(second.request.messages.at(-1)).toEqual({
      role: 'tool',
      toolCallId: 'a',
      content: '{"saved":"k"}',
    })
    second.tell(...saying('Here again.'))
    const here = app.api({ user: 'gus' })
    await vi.waitFor(async () => expect((await readRun(here, run.id)).status).toBe('COMPLETED'), patience)
  })

  it('has a tool of its agent where that is called the same', async () => {
    const { watch, run, call } = await begin('shadow', 'emil')
    const first = await call()
    expect(first.request.tools.map(({ name }) => name)).toEqual([
      'memory_get',
      'memory_save',
      'memory_delete',
    ])
    first.tell(...calling(['a', 'memory_get', {}]))
    await watch.until(paused(run.id))
  })
})

it('is offered nothing where its agent does not allow it, and what it calls all the same is not made', async () => {
  const { call, ended } = await begin('primary', 'fay')
  const first = await call()
  expect(first.request.tools).toEqual([])
  first.tell(say('Hm'), ...calling(['a', 'memory_save', { key: 'k', value: 1 }]))
  expect((await ended()).run.status).toBe('COMPLETED')
  expect(await memoriesOf('fay')).toEqual([])
})
