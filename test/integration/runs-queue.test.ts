import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun, runEnd, watchRuns } from '../support/runs.ts'

const recording = createRecordingProvider()
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    env: { RUNS_PER_USER: '2', RUN_CHECKPOINT_MS: '200', MAX_SESSIONS_PER_AGENT: '100' },
    providers: [recording.provider],
  })
})

describe('runs of one session', () => {
  it('are answered one by one, in the order in which they were sent', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const watch = await watchRuns(app, sessionId)
    const contents = ['one', 'two', 'three', 'four', 'five']
    const sent = await Promise.all(contents.map((content) => alice.sendMessage({ sessionId, content })))
    const bySeq = sent.sort((a, b) => a.userMessage.seq - b.userMessage.seq)
    expect(bySeq.map(({ userMessage }) => userMessage.seq)).toEqual([1, 3, 5, 7, 9])
    expect(bySeq.map(({ assistantMessage }) => assistantMessage.seq)).toEqual([2, 4, 6, 8, 10])
    await watch.until(runEnd(bySeq.at(-1).run.id))
    const told = watch.events
      .filter(({ __typename }) => __typename === 'RunStarted' || __typename === 'RunFinished')
      .map(({ __typename, run }) => `${__typename} ${run.id} ${run.status}`)
    expect(told).toEqual(
      bySeq.flatMap(({ run }) => [`RunStarted ${run.id} RUNNING`, `RunFinished ${run.id} COMPLETED`]),
    )
  })

  it('wait for the one before them, whose words are their context', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const before = recording.calls.length
    const first = await alice.sendMessage({ sessionId, content: 'first', model })
    const second = await alice.sendMessage({ sessionId, content: 'second', model })
    const call = await recording.call(before)
    expect((await readRun(alice, second.run.id)).status).toBe('QUEUED')
    expect(recording.calls.length).toBe(before + 1)
    call.tell(say('answer'), end)
    const next = await recording.call(before + 1)
    expect(next.request.messages.map(({ content }) => content).slice(-3)).toEqual([
      'first',
      'answer',
      'second',
    ])
    expect((await readRun(alice, first.run.id)).status).toBe('COMPLETED')
    next.tell(end)
  })
})

describe('the runs of one user', () => {
  it.each(['bob', 'carol', 'dave', 'erin', 'frank'])('are as many at once as allowed: %s', async (user) => {
    const api = app.api({ user })
    const before = recording.calls.length
    const sessionIds = await Promise.all(Array.from({ length: 8 }, () => api.createSession()))
    const sent = await Promise.all(
      sessionIds.map((sessionId) => api.sendMessage({ sessionId, content: 'hello', model })),
    )
    for (let answered = 0; answered < 8; answered += 1) {
      const call = await recording.call(before + answered)
      expect(await runningOf(user)).toBeLessThanOrEqual(2)
      call.tell(say('hi'), end)
    }
    for (const { run } of sent)
      await expect.poll(async () => (await readRun(api, run.id)).status, { interval: 20 }).toBe('COMPLETED')
  })

  async function runningOf(user: string) {
    const rows = await query<{ running: number }>(
      app.databaseUrl,
      `SELECT count(*)::int AS running FROM runs r JOIN users u ON u.id = r.user_id
       WHERE u.external_id = $1 AND r.status = 'RUNNING'`,
      { values: [user] },
    )
    return rows[0]?.running
  }
})

describe('a run', () => {
  it('stores its text while it writes, and its usage when it ends', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const watch = await watchRuns(app, sessionId)
    const before = recording.calls.length
    const { run, assistantMessage } = await alice.sendMessage({ sessionId, content: 'hello', model })
    const call = await recording.call(before)
    const startedAtMs = performance.now()
    call.tell(say('so far'))
    const read = async () =>
      (
        await alice.run('query ($id: ID!) { message(id: $id) { content status } }', {
          id: assistantMessage.id,
        })
      ).message
    await expect
      .poll(read, { interval: 20, timeout: 2_000 })
      .toEqual({ content: 'so far', status: 'STREAMING' })
    expect(performance.now() - startedAtMs).toBeLessThan(1_000)

    const usage = { inputTokens: 11, outputTokens: 7, cachedInputTokens: 3 }
    call.tell(say(', and so on'), { type: 'usage', usage }, end)
    await watch.until(runEnd(run.id))
    const ended = await readRun(alice, run.id)
    expect(ended).toMatchObject({
      status: 'COMPLETED',
      error: null,
      usage,
      assistantMessage: {
        status: 'COMPLETE',
        content: 'so far, and so on',
        inputTokens: 11,
        outputTokens: 7,
      },
    })
    expect(ended.timeToFirstTokenMs).toBeGreaterThanOrEqual(0)
    const stamps = [ended.queuedAt, ended.startedAt, ended.firstTokenAt, ended.finishedAt]
    expect(stamps).toEqual([...stamps].sort())
    const { session } = await alice.run(
      'query ($id: ID!) { session(id: $id) { usage { inputTokens outputTokens } } }',
      { id: sessionId },
    )
    expect(session.usage).toEqual({ inputTokens: 11, outputTokens: 7 })
  })

  it('is waited for where the send asks for it', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const before = recording.calls.length
    const waiting = alice.sendMessage({ sessionId, content: 'hello', model, wait: true })
    const call = await recording.call(before)
    call.tell(say('hi'), end)
    expect(await waiting).toMatchObject({
      run: { status: 'COMPLETED' },
      assistantMessage: { status: 'COMPLETE', content: 'hi', finishReason: 'STOP' },
    })
    const failed = await alice.sendMessage({ sessionId, content: '/fail', wait: true })
    expect(failed).toMatchObject({ run: { status: 'FAILED' }, assistantMessage: { status: 'FAILED' } })
  })
})
