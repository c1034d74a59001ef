import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun, runEnd, watchRuns } from '../support/runs.ts'

const recording = createRecordingProvider()
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    env: {
      RUN_FIRST_TOKEN_TIMEOUT_MS: '400',
      RUN_STALL_TIMEOUT_MS: '1600',
      RUN_MAX_DURATION_MS: '3000',
      RUN_MAX_TEXT_BYTES: '1024',
      RUN_RETRIES: '0',
    },
    providers: [recording.provider],
  })
})
besideNeighbour(() => app)

/** Sends, plays the model where it is the recorded one, and gives the run as it ended with what was told of it. */
async function answered(content: string, play?: (call: Awaited<ReturnType<typeof recording.call>>) => void) {
  const alice = app.api()
  const sessionId = await alice.createSession()
  const watch = await watchRuns(app, sessionId)
  const coming = recording.call(recording.calls.length)
  const { run } = await alice.sendMessage({ sessionId, content, ...(play ? { model } : {}) })
  if (play) play(await coming)
  await watch.until(runEnd(run.id))
  const ended = await readRun(alice, run.id)
  const deltas = watch.events.filter(({ __typename }) => __typename === 'TextDelta')
  const told = deltas.map(({ text }) => text).join('')
  return { ended, told, watch, sessionId, call: play ? await coming : undefined }
}

describe('a run that fails', () => {
  it('before the first word, has an empty reply and a reason', async () => {
    const { ended, told } = await answered('/fail')
    expect(told).toBe('')
    expect(ended).toMatchObject({
      status: 'FAILED',
      error: { code: 'MODEL_UNAVAILABLE', message: expect.stringContaining('overloaded') },
      firstTokenAt: null,
      assistantMessage: { status: 'FAILED', content: '', finishReason: 'ERROR' },
    })
  })

  it.each([
    ['rate-limited', 'RATE_LIMITED'],
    ['invalid', 'BAD_USER_INPUT'],
    ['connection', 'MODEL_UNAVAILABLE'],
  ])('in the middle (%s), keeps its text', async (kind, code) => {
    const { ended, told } = await answered(`/fail ${kind} after 12`)
    expect(told.trim().split(/\s+/).length).toBe(12)
    expect(ended).toMatchObject({
      status: 'FAILED',
      error: { code },
      assistantMessage: { status: 'FAILED', content: told, finishReason: 'ERROR' },
    })
  })

  it('lets the next one in line have its turn', async () => {
    const { sessionId } = await answered('/fail')
    const next = await app.api().sendMessage({ sessionId, content: 'hello', wait: true })
    expect(next.run.status).toBe('COMPLETED')
  })

  it('by a fault of ours, tells nothing of the inside', async () => {
    const { ended } = await answered('hello', (call) =>
      call.tell(say('so '), say('far'), { type: 'text-delta', text: undefined as unknown as string }),
    )
    expect(ended).toMatchObject({
      status: 'FAILED',
      error: { code: 'INTERNAL_SERVER_ERROR', message: expect.not.stringContaining('undefined') },
      assistantMessage: { status: 'FAILED', content: 'so far' },
    })
  })
})

describe('a model that keeps us waiting', () => {
  it('for the first word is given up', async () => {
    const { ended, call } = await answered('hello', () => {})
    expect(call?.signal.aborted).toBe(true)
    expect(ended).toMatchObject({
      status: 'FAILED',
      error: { code: 'MODEL_UNAVAILABLE', message: expect.stringContaining('first word') },
      assistantMessage: { status: 'FAILED', content: '' },
    })
  })

  it('in the middle is given up, its text is kept', async () => {
    const { ended, told, call } = await answered('hello', (call) => call.tell(say('so far')))
    expect(call?.signal.aborted).toBe(true)
    expect(told).toBe('so far')
    expect(ended).toMatchObject({
      status: 'FAILED',
      error: { code: 'MODEL_UNAVAILABLE', message: expect.stringContaining('in the middle') },
      assistantMessage: { status: 'FAILED', content: 'so far' },
    })
  })

  it('for too long on the whole is given up', async () => {
    const { ended, told } = await answered('/pace 20 /long 200')
    expect(told.length).toBeGreaterThan(0)
    expect(ended).toMatchObject({
      status: 'FAILED',
      error: { code: 'MODEL_UNAVAILABLE', message: expect.stringContaining('longer than a run may take') },
      assistantMessage: { content: told },
    })
  })

  it('but thinks, is waited for', async () => {
    const { ended } = await answered('hello', (call) => {
      call.tell({ type: 'thinking' })
      // Past the time for a first word, before that of a stall.
      setTimeout(() => call.tell(say('thought'), end), 600)
    })
    expect(ended).toMatchObject({ status: 'COMPLETED', assistantMessage: { content: 'thought' } })
  })
})

describe('what a model writes', () => {
  it('ends where a reply may be no longer', async () => {
    const { ended, told, call } = await answered('hello', (call) =>
      call.tell(...Array(300).fill(say('word '))),
    )
    expect(call?.signal.aborted).toBe(true)
    expect(Buffer.byteLength(told)).toBeLessThanOrEqual(1024)
    expect(told.length).toBeGreaterThan(1_000)
    expect(ended).toMatchObject({
      status: 'COMPLETED',
      error: null,
      assistantMessage: { status: 'COMPLETE', content: told, finishReason: 'LENGTH' },
    })
  })

  it('is told and stored without what cannot be stored', async () => {
    const { ended, told } = await answered('hello', (call) =>
      call.tell(say('a\0b'), say('\0'), say('lone \ud83d half'), say(' 😀 whole'), end),
    )
    expect(told).toBe('ablone \ufffd half 😀 whole')
    expect(ended.assistantMessage).toMatchObject({ status: 'COMPLETE', content: told })
  })

  it('may be a tool call: told piece by piece, stored as a whole', async () => {
    const { ended, watch } = await answered('/tool get_weather {"city": "Oslo", "days": [1, 2]} /tool ping')
    const call = { id: expect.any(String), name: 'get_weather', arguments: { city: 'Oslo', days: [1, 2] } }
    expect(ended).toMatchObject({
      status: 'COMPLETED',
      assistantMessage: {
        status: 'COMPLETE',
        finishReason: 'TOOL_CALLS',
        toolCalls: [call, { name: 'ping', arguments: {} }],
      },
    })
    const [{ id }] = ended.assistantMessage.toolCalls
    const told = watch.events.filter(({ toolCallId }) => toolCallId === id)
    expect(told[0]).toMatchObject({ __typename: 'ToolCallStarted', name: 'get_weather' })
    expect(told.at(-1)).toMatchObject({ __typename: 'ToolCallFinished', arguments: call.arguments })
    const pieces = told.filter(({ __typename }) => __typename === 'ToolCallDelta')
    expect(JSON.parse(pieces.map(({ text }) => text).join(''))).toEqual(call.arguments)
  })

  it('may be a tool call with what cannot be stored in it', async () => {
    const { ended } = await answered('hello', (call) =>
      call.tell({ type: 'tool-call', call: { id: 'a\0', name: 'x', arguments: { '\0k': ['\ud800'] } } }, end),
    )
    expect(ended.assistantMessage.toolCalls).toEqual([{ id: 'a', name: 'x', arguments: { k: ['\ufffd'] } }])
  })
})
