import { beforeAll, describe, expect, it } from 'vitest'
import { type ModelPart, ProviderError, type ProviderErrorKind } from '../../src/llm/provider.ts'
import { createNode, type Node } from '../faults/nodes.ts'
import { createApi } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createModelServer, type ModelServer } from '../support/model-server.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { cancelRun, readRun, runEnd, watchRuns } from '../support/runs.ts'
import { openSocket } from '../support/socket.ts'

const failure = (kind: ProviderErrorKind, retryAfterMs?: number): ModelPart => ({
  type: 'error',
  error: new ProviderError(kind, `It is ${kind}.`, { retryAfterMs }),
})

describe('a provider that fails', () => {
  const recording = createRecordingProvider()
  let app: TestApp
  beforeAll(async () => {
    app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '100' }, providers: [recording.provider] })
  })

  /** Sends, answers each call as told in turn, and gives the run as it ended with the number of calls. */
  async function answered(...answers: ModelPart[][]) {
    const api = app.api()
    const sessionId = await api.createSession()
    const watch = await watchRuns(app, sessionId)
    const before = recording.calls.length
    const { run } = await api.sendMessage({ sessionId, content: 'hello', model })
    for (const [index, parts] of answers.entries()) (await recording.call(before + index)).tell(...parts)
    await watch.until(runEnd(run.id))
    return { run: await readRun(api, run.id), calls: recording.calls.length - before }
  }

  it.each(['overloaded', 'connection'] as const)(
    'before its first word (%s) is asked again',
    async (kind) => {
      const { run, calls } = await answered([failure(kind)], [failure(kind)], [say('at last'), end])
      expect(run).toMatchObject({
        status: 'COMPLETED',
        error: null,
        assistantMessage: { content: 'at last' },
      })
      expect(calls).toBe(3)
    },
  )

  it('again and again is given up after the second retry', async () => {
    const fails = [failure('overloaded')]
    const { run, calls } = await answered(fails, fails, fails)
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'MODEL_UNAVAILABLE' } })
    expect(calls).toBe(3)
  })

  it('after a word is not asked again, nor after a tool call or a thought', async () => {
    const begun: ModelPart[] = [
      say('so far'),
      { type: 'tool-call-start', id: 'call', name: 'ping' },
      { type: 'thinking' },
    ]
    for (const part of begun) {
      const { run, calls } = await answered([part, failure('overloaded')])
      expect(run.status).toBe('FAILED')
      expect(calls).toBe(1)
    }
  })

  it.each(['invalid', 'unauthorized', 'rate-limited'] as const)(
    'for a reason that stays (%s) is not asked again',
    async (kind) => {
      const { run, calls } = await answered([failure(kind)])
      expect(run.status).toBe('FAILED')
      expect(calls).toBe(1)
    },
  )

  it('is asked again when it said, if that is soon', async () => {
    const startedAtMs = performance.now()
    const soon = await answered([failure('rate-limited', 700)], [say('hi'), end])
    expect(soon).toMatchObject({ run: { status: 'COMPLETED' }, calls: 2 })
    expect(performance.now() - startedAtMs).toBeGreaterThan(690)
    const late = await answered([failure('rate-limited', 60_000)])
    expect(late).toMatchObject({ run: { status: 'FAILED', error: { code: 'RATE_LIMITED' } }, calls: 1 })
  })

  it('is not asked again by a run that was cancelled meanwhile', async () => {
    const api = app.api()
    const sessionId = await api.createSession()
    const before = recording.calls.length
    const { run } = await api.sendMessage({ sessionId, content: 'hello', model })
    const call = await recording.call(before)
    call.tell(failure('overloaded'))
    expect(await cancelRun(api, run.id)).toMatchObject({ status: 'CANCELLED' })
    expect(recording.calls.length).toBe(before + 1)
  })
})

describe('a node that dies', () => {
  const leaseMs = 1_500
  let server: ModelServer
  let survivor: TestApp
  let dying: Node
  let env: Record<string, string>
  beforeAll(async () => {
    server = await createModelServer({ listsModels: true })
    env = {
      COMPATIBLE_BASE_URL: server.url,
      RUN_LEASE_MS: String(leaseMs),
      RUNS_PER_USER: '100',
      MAX_SESSIONS_PER_AGENT: '100',
      OLLAMA_BASE_URL: 'http://127.0.0.1:9',
    }
    survivor = await startTestApp({ env })
    dying = await createNode(process.cwd(), { ...env, DATABASE_URL: survivor.databaseUrl })
    return async () => {
      await dying.kill()
      await survivor.stop()
      await server.close()
    }
  })

  /** Kills the node in the middle of a reply of which this much was told, and gives the run as it ended. */
  async function killAfter(text: string, next: string) {
    await dying.start()
    const there = createApi(`http://127.0.0.1:${dying.port}`, survivor.token())
    const sessionId = await there.createSession()
    const before = server.requests.length
    server.answer({ speech: { text: text ? [text] : [] }, afterwards: 'hang' }, { speech: { text: [next] } })
    const coming = server.nextRequest()
    const socket = openSocket(`http://127.0.0.1:${dying.port}`, survivor.token())
    const watch = socket.watch(
      'subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename ... on TextDelta { text } } }',
      { id: sessionId },
    )
    await watch.at(0)
    const { run } = await there.sendMessage({ sessionId, content: 'hello', model: 'compatible:test-model' })
    const { isAborted } = await coming
    // No checkpoint comes so soon after the first word.
    if (text) await watch.until((event) => event.text)
    await dying.kill()
    await socket.dispose()
    await isAborted
    const diedAtMs = performance.now()
    const over = async () => (await readRun(survivor.api(), run.id)).finishedAt
    await expect.poll(over, { interval: 50 }).not.toBeNull()
    // The lease and a sweep, with room for a slow machine; with the defaults these are 15 s and 5 s.
    expect(performance.now() - diedAtMs).toBeLessThan(4 * leaseMs)
    const ended = await readRun(survivor.api(), run.id)
    const [row] = await query<{ attempt: number }>(
      survivor.databaseUrl,
      `SELECT attempt FROM runs ORDER BY id DESC LIMIT 1`,
    )
    return { run: ended, calls: server.requests.length - before, attempt: row?.attempt }
  }

  it('before the first word leaves a run that another one begins anew', async () => {
    const { run, calls, attempt } = await killAfter('', 'from the other')
    expect(run).toMatchObject({
      status: 'COMPLETED',
      error: null,
      assistantMessage: { status: 'COMPLETE', content: 'from the other' },
    })
    expect({ calls, attempt }).toEqual({ calls: 2, attempt: 2 })
  })

  it('after it leaves its words, and nobody asks the model again', async () => {
    const { run, calls, attempt } = await killAfter('so far', 'never said')
    expect(run).toMatchObject({
      status: 'INTERRUPTED',
      error: { code: 'INTERNAL_SERVER_ERROR' },
      assistantMessage: { status: 'INTERRUPTED' },
    })
    expect('so far'.startsWith(run.assistantMessage.content)).toBe(true)
    expect({ calls, attempt }).toEqual({ calls: 1, attempt: 1 })
  })
})
