import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp } from '../support/app.ts'
import { createRecordingProvider, recordedModel as model, say } from '../support/recording-provider.ts'
import { cancelRun, readRun, runEnd, watchRuns } from '../support/runs.ts'
import type { Watch } from '../support/watch.ts'
import {
  calling,
  makeTraveller,
  parameters,
  paused,
  readPending,
  saying,
  startTravel,
  submit,
  type Travel,
  type TravelSession,
  weather,
} from './runs-tools.harness.ts'

let travel: Travel
let alice: Api
let sessionId: string
let watch: Watch
let before: number
let startPaused: TravelSession['startPaused']
beforeAll(async () => {
  travel = await startTravel()
  alice = travel.alice
})
beforeEach(async () => {
  ;({ sessionId, watch, before, startPaused } = await travel.open())
})
const call = (place: number) => travel.recordings[0].call(before + place)

describe('a reply that calls tools', () => {
  it('pauses its run, and goes on with the results', async () => {
    const {
      run,
      call: first,
      assistantMessage,
    } = await startPaused(weather(), {
      id: 'call_2',
      name: 'book_flight',
    })
    const [declared] = first.request.tools
    expect(declared).toEqual({ name: 'get_weather', description: 'The weather in a city.', parameters })
    expect(first.request.tools.length).toBe(2)
    const waiting = await readPending(alice, run.id)
    const expected = { arguments: { city: 'Oslo' }, expiresAt: expect.any(String) }
    expect(waiting).toEqual({
      status: 'REQUIRES_ACTION',
      pendingToolCalls: [
        { toolCallId: 'call_1', name: 'get_weather', requiresApproval: false, ...expected },
        { toolCallId: 'call_2', name: 'book_flight', requiresApproval: true, ...expected },
      ],
      assistantMessage: { id: assistantMessage.id },
    })
    const minutes = (Date.parse(waiting.pendingToolCalls[0].expiresAt) - Date.now()) / 60_000
    expect(minutes).toBeGreaterThan(9)
    expect(minutes).toBeLessThan(10.1)

    const submitted = await submit(alice, run.id, [
      { toolCallId: 'call_2', approved: false },
      { toolCallId: 'call_1', content: 'Rain.' },
    ])
    const tool = { role: 'TOOL', run: { id: run.id } }
    expect(submitted).toMatchObject({
      run: { id: run.id, status: 'RUNNING' },
      toolMessages: [
        { ...tool, content: 'Rain.', toolCallId: 'call_1', metadata: {} },
        {
          ...tool,
          content: expect.stringContaining('refused'),
          toolCallId: 'call_2',
          metadata: { approved: false },
        },
      ],
      assistantMessage: { status: 'STREAMING' },
    })
    const next = await call(1)
    expect(next.request.messages.slice(-4)).toMatchObject([
      { role: 'user', content: 'How is it in Oslo?' },
      { role: 'assistant', content: 'Let me see.', toolCalls: [{ id: 'call_1' }, { id: 'call_2' }] },
      { role: 'tool', content: 'Rain.', toolCallId: 'call_1' },
      { role: 'tool', toolCallId: 'call_2' },
    ])
    next.tell(...saying('It rains.'))
    await watch.until(runEnd(run.id))
    expect(await readRun(alice, run.id)).toMatchObject({
      status: 'COMPLETED',
      usage: { inputTokens: 30, outputTokens: 5, cachedInputTokens: 6 },
      assistantMessage: {
        id: submitted.assistantMessage.id,
        content: 'It rains.',
        inputTokens: 20,
        outputTokens: 3,
      },
    })
    const told = watch.events.map(({ __typename }) => __typename).filter((name) => /^Run/.test(name))
    expect(told).toEqual(['RunQueued', 'RunStarted', 'RunRequiresAction', 'RunStarted', 'RunFinished'])
    const { session } = await alice.run(
      `query ($id: ID!) { session(id: $id) { usage { inputTokens outputTokens } messageCount
        messages { nodes { role status content inputTokens finishReason toolCalls { id } } } } }`,
      { id: sessionId },
    )
    expect(session).toMatchObject({
      usage: { inputTokens: 30, outputTokens: 5 },
      messageCount: 5,
      messages: {
        nodes: [
          { role: 'USER' },
          {
            role: 'ASSISTANT',
            status: 'COMPLETE',
            content: 'Let me see.',
            inputTokens: 10,
            finishReason: 'TOOL_CALLS',
            toolCalls: [{ id: 'call_1' }, { id: 'call_2' }],
          },
          { role: 'TOOL' },
          { role: 'TOOL' },
          { role: 'ASSISTANT', status: 'COMPLETE', content: 'It rains.', finishReason: 'STOP' },
        ],
      },
    })
  })

  it('holds the turn of its session, and stands whole before what was sent meanwhile', async () => {
    const { run } = await startPaused(weather())
    const second = await alice.sendMessage({ sessionId, content: 'And in Rome?', model })
    expect(second.run.status).toBe('QUEUED')
    await submit(alice, run.id, [{ toolCallId: 'call_1', content: 'Rain.' }])
    const next = await call(1)
    expect(next.request.messages.at(-1)).toMatchObject({ role: 'tool', content: 'Rain.' })
    next.tell(...saying('It rains.'))
    const last = await call(2)
    expect(last.request.messages.map(({ content }) => content).slice(-5)).toEqual([
      'How is it in Oslo?',
      'Let me see.',
      'Rain.',
      'It rains.',
      'And in Rome?',
    ])
    last.tell(...saying('Sun.'))
    await watch.until(runEnd(second.run.id))
  })

  it('goes on at the node that got the results', async () => {
    const { run } = await startPaused(weather())
    const there = travel.recordings[1].calls.length
    await submit(travel.nodes[1].api(), run.id, [{ toolCallId: 'call_1', content: 'Rain.' }])
    const next = await travel.recordings[1].call(there)
    next.tell(...saying('It rains.'))
    await expect.poll(async () => (await readRun(alice, run.id)).status, { interval: 20 }).toBe('COMPLETED')
    expect(travel.recordings[0].calls.length).toBe(before + 1)
  })

  it('is waited for no longer than to its pause', async () => {
    const waiting = alice.sendMessage({ sessionId, content: 'hello', model, wait: true })
    const asked = await call(0)
    asked.tell(...calling(weather()))
    const sent = await waiting
    expect(sent).toMatchObject({
      run: { status: 'REQUIRES_ACTION' },
      assistantMessage: { status: 'COMPLETE' },
    })
    await cancelRun(alice, sent.run.id)
  })

  it('that nobody offered ends its run', async () => {
    const { run } = await alice.sendMessage({ sessionId, content: 'hello', model })
    const asked = await call(0)
    asked.tell(...calling({ id: 'call_1', name: 'made_up' }))
    await watch.until(runEnd(run.id))
    expect(await readRun(alice, run.id)).toMatchObject({
      status: 'COMPLETED',
      assistantMessage: { finishReason: 'TOOL_CALLS', toolCalls: [{ name: 'made_up' }] },
    })
  })

  it('can be tried with the demo model', async () => {
    const { run } = await alice.sendMessage({ sessionId, content: '/tool get_weather {"city": "Oslo"}' })
    await watch.until(paused(run.id))
    const { pendingToolCalls } = await readPending(alice, run.id)
    expect(pendingToolCalls).toMatchObject([{ name: 'get_weather', arguments: { city: 'Oslo' } }])
    await submit(alice, run.id, [{ toolCallId: pendingToolCalls[0].toolCallId, content: 'Rain.' }])
    await watch.until(runEnd(run.id))
    const { status, assistantMessage } = await readRun(alice, run.id)
    expect(status).toBe('COMPLETED')
    expect(assistantMessage.content).toContain('“Rain.”')
  })
})

describe('a run that waits for results', () => {
  it('fails when they do not come in time, whoever had begun it', async () => {
    const recording = createRecordingProvider()
    const waiting = await startTestApp({
      env: { RUN_ACTION_TIMEOUT_MS: '400' },
      providers: [recording.provider],
    })
    await makeTraveller(waiting)
    const api = waiting.api()
    const sessionId = await api.createSession({ agent: 'traveller' })
    const watch = await watchRuns(waiting, sessionId)
    const { run } = await api.sendMessage({ sessionId, content: 'hello', model })
    const second = await api.sendMessage({ sessionId, content: 'second', model })
    const asked = await recording.call(0)
    asked.tell(say('Let me see.'), ...calling(weather()))
    await watch.until(runEnd(run.id))
    expect(await readRun(api, run.id)).toMatchObject({
      status: 'FAILED',
      error: { code: 'LIMIT_EXCEEDED', message: expect.stringContaining('did not come within the time') },
      assistantMessage: { status: 'FAILED', content: 'Let me see.', toolCalls: [{ id: 'call_1' }] },
    })
    const next = await recording.call(1)
    next.tell(...saying('Second.'))
    await watch.until(runEnd(second.run.id))
  })

  it('goes on or fails, whatever is first at whatever node: 12 times', async () => {
    const env = { RUN_ACTION_TIMEOUT_MS: '1500', RUNS_PER_USER: '100', MAX_SESSIONS_PER_AGENT: '100' }
    const one = await startTestApp({ env })
    const other = await startTestApp({ env, databaseUrl: one.databaseUrl })
    await makeTraveller(one)
    const apis = [one.api(), other.api()] as const
    const race = async (index: number) => {
      const sessionId = await apis[0].createSession({ agent: 'traveller' })
      const { run } = await apis[0].sendMessage({ sessionId, content: '/tool get_weather {"city": "Oslo"}' })
      const pending = () => readPending(apis[0], run.id)
      await expect
        .poll(async () => (await pending()).status, { interval: 20 })
        .toMatch(/REQUIRES_ACTION|FAILED/)
      const [call] = (await pending()).pendingToolCalls
      // Round the moment at which the time for it is over.
      const inMs = call ? Date.parse(call.expiresAt) - Date.now() + (index - 6) * 250 : 0
      await sleep(Math.max(inMs, 0))
      const results = [{ toolCallId: call?.toolCallId ?? 'call', content: 'Rain.' }]
      const given = await submit(apis[index % 2 === 0 ? 0 : 1], run.id, results)
      await expect
        .poll(async () => (await readRun(apis[0], run.id)).finishedAt, { interval: 20 })
        .not.toBeNull()
      const { status, error } = await readRun(apis[0], run.id)
      return `${given.code ?? 'given'}, ${status} ${error?.code ?? ''}`
    }
    const ends = await Promise.all(Array.from({ length: 12 }, (_, index) => race(index)))
    expect(new Set(ends)).toEqual(new Set(['given, COMPLETED ', 'BAD_USER_INPUT, FAILED LIMIT_EXCEEDED']))
  })
})
