import { beforeAll, describe, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { cancelRun, readRun, runEnd, watchRuns } from '../support/runs.ts'
import { createRandom } from '../support/session-reader.ts'

const recording = createRecordingProvider()
const env = { RUN_COALESCE_MS: '0', RUNS_PER_USER: '100', MAX_SESSIONS_PER_AGENT: '100' }
let app: TestApp
beforeAll(async () => {
  // A checkpoint notices a wish to cancel, too: here none comes in time to help.
  app = await startTestApp({ env: { ...env, RUN_CHECKPOINT_MS: '60000' }, providers: [recording.provider] })
})

const nextCall = () => recording.call(recording.calls.length)

describe('cancelRun', () => {
  it('stops the call of the model at once and keeps the text so far', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const watch = await watchRuns(app, sessionId)
    const coming = nextCall()
    const { run } = await alice.sendMessage({ sessionId, content: 'hello', model })
    const call = await coming
    call.tell(say('Half of '), say('a sentence'))
    await watch.until(({ text }) => text?.endsWith('a sentence'))

    const device = app.api()
    const cancelled = await cancelRun(device, run.id)
    expect(call.signal.aborted).toBe(true)
    expect(cancelled).toMatchObject({
      status: 'CANCELLED',
      error: null,
      assistantMessage: { status: 'CANCELLED', content: 'Half of a sentence', finishReason: 'CANCELLED' },
    })
    expect(await cancelRun(alice, run.id)).toEqual(cancelled)
    await watch.until(runEnd(run.id))
  })

  it('takes a waiting run out of the line, and never has it answered', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const watch = await watchRuns(app, sessionId)
    const before = recording.calls.length
    const [first, second, third] = [
      await alice.sendMessage({ sessionId, content: 'one', model }),
      await alice.sendMessage({ sessionId, content: 'two', model }),
      await alice.sendMessage({ sessionId, content: 'three', model }),
    ]
    const call = await recording.call(before)
    expect(await cancelRun(alice, second.run.id)).toMatchObject({
      status: 'CANCELLED',
      startedAt: null,
      assistantMessage: { status: 'CANCELLED', content: '' },
    })
    await watch.until(runEnd(second.run.id))
    call.tell(end)
    const last = await recording.call(before + 1)
    expect(last.request.messages.at(-1)?.content).toBe('three')
    last.tell(end)
    await watch.until(runEnd(third.run.id))
    expect((await readRun(alice, first.run.id)).status).toBe('COMPLETED')
    expect(recording.calls.length).toBe(before + 2)
  })

  it('makes way for the next run in line', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const before = recording.calls.length
    const first = await alice.sendMessage({ sessionId, content: 'one', model })
    await alice.change('sendMessage', { sessionId, content: 'two', model })
    await recording.call(before)
    await cancelRun(alice, first.run.id)
    const next = await recording.call(before + 1)
    expect(next.request.messages.at(-1)?.content).toBe('two')
    next.tell(end)
  })

  it('gives a run that has ended, however soon after the send it comes', async () => {
    const alice = app.api()
    const sessionIds = await Promise.all(Array.from({ length: 10 }, () => alice.createSession()))
    for (let round = 0; round < 4; round += 1)
      await Promise.all(
        sessionIds.map(async (sessionId) => {
          const { run } = await alice.sendMessage({ sessionId, content: '/stall' })
          expect(await cancelRun(alice, run.id)).toMatchObject({ status: 'CANCELLED' })
        }),
      )
  })

  it('that races the end leaves one end and one status, 100 times', async () => {
    const alice = app.api()
    const random = createRandom(7)
    const sessionIds = await Promise.all(Array.from({ length: 10 }, () => alice.createSession()))
    const outcomes = await Promise.all(
      sessionIds.map(async (sessionId) => {
        const watch = await watchRuns(app, sessionId)
        const ended: string[] = []
        for (let round = 0; round < 10; round += 1) {
          const { run, assistantMessage } = await alice.sendMessage({
            sessionId,
            content: '/repeat one two three four five six',
          })
          const words = Math.floor(random() * 7)
          let told = 0
          // Words that come at once are told together.
          const isTime = ({ messageId, text }: { messageId?: string; text?: string }) => {
            if (messageId === assistantMessage.id) told += text?.trim().split(/\s+/).length ?? 0
            return told >= words
          }
          if (words > 0) await watch.until(isTime)
          const [one, other] = await Promise.all([cancelRun(alice, run.id), cancelRun(alice, run.id)])
          expect(one).toEqual(other)
          expect(['CANCELLED', 'COMPLETED']).toContain(one.status)
          const finished = await watch.until(runEnd(run.id))
          expect(finished.run.status).toBe(one.status)
          ended.push(one.status)
          const text = watch.events
            .filter(({ messageId }) => messageId === assistantMessage.id)
            .map((event) => event.text)
          expect(text.join('')).toBe(one.assistantMessage.content)
        }
        // One more reply, so that a late second end would have been told before it.
        const last = await alice.sendMessage({ sessionId, content: 'hello' })
        await watch.until(runEnd(last.run.id))
        const ends = watch.events.filter(({ __typename }) => __typename === 'RunFinished')
        expect(ends.length).toBe(11)
        expect(new Set(ends.map(({ run }) => run.id)).size).toBe(11)
        const updates = watch.events.filter(({ __typename }) => __typename === 'MessageUpdated')
        expect(updates.length).toBe(11)
        return ended
      }),
    )
    expect(new Set(outcomes.flat())).toEqual(new Set(['CANCELLED', 'COMPLETED']))
  })
})

describe('deleteSession', () => {
  beforeAll(async () => {
    app = await startTestApp({ env: { ...env, RUN_CHECKPOINT_MS: '200' }, providers: [recording.provider] })
  })

  it('ends the feed, the call of the model and all runs', async () => {
    const alice = app.api()
    const sessionId = await alice.createSession()
    const watch = await watchRuns(app, sessionId)
    const before = recording.calls.length
    const { run } = await alice.sendMessage({ sessionId, content: 'one', model })
    await alice.change('sendMessage', { sessionId, content: 'two', model })
    await alice.change('sendMessage', { sessionId, content: 'three', model })
    const call = await recording.call(before)
    call.tell(say('Half'))
    await watch.until(({ text }) => text === 'Half')

    const { deleteSession } = await alice.run(
      'mutation ($id: ID!) { deleteSession(input: { sessionId: $id }) { __typename } }',
      { id: sessionId },
    )
    expect(deleteSession.__typename).toBe('DeleteSessionPayload')
    await watch.ended
    expect(watch.events.at(-1)).toMatchObject({ __typename: 'SessionDeleted', sessionId })
    await call.aborted
    await expect.poll(() => statuses(sessionId), { interval: 20 }).toEqual(Array(3).fill('CANCELLED'))
    expect(recording.calls.length).toBe(before + 1)
    expect(await alice.run('query ($id: ID!) { run(id: $id) { id } }', { id: run.id })).toEqual({ run: null })
  })

  const statuses = async (sessionId: string) => {
    const values = [decodeIdOf('Session', sessionId)]
    const rows = await query<{ status: string }>(
      app.databaseUrl,
      'SELECT status FROM runs WHERE session_id = $1 ORDER BY id',
      { values },
    )
    return rows.map(({ status }) => status)
  }
})

describe('a wish to cancel that another node has stored', () => {
  const recording = createRecordingProvider()
  // Heartbeats are too slow to find it; sweeps are not.
  const env = { RUN_CHECKPOINT_MS: '60000', RUN_LEASE_MS: '15000' }
  const providers = [recording.provider]
  const statusOf = async ({ databaseUrl }: TestApp, runId: string) => {
    const values = [decodeIdOf('Run', runId)]
    return (await query(databaseUrl, 'SELECT status FROM runs WHERE id = $1', { values }))[0]?.status
  }
  const wish = ({ databaseUrl }: TestApp, runId: string) => {
    const values = [decodeIdOf('Run', runId)]
    return query(databaseUrl, 'UPDATE runs SET cancel_requested_at = now() WHERE id = $1', { values })
  }

  it('ends the run whose node stops before its first word', async () => {
    const leaving = await startTestApp({ env, providers })
    const coming = recording.call(recording.calls.length)
    const sessionId = await leaving.api().createSession()
    const { run } = await leaving.api().sendMessage({ sessionId, content: 'hello', model })
    await coming
    await wish(leaving, run.id)
    await leaving.stop(0)
    expect(await statusOf(leaving, run.id)).toBe('CANCELLED')
  })

  it('ends a run that waits, and the model is not asked', async () => {
    const node = await startTestApp({ env, providers })
    const before = recording.calls.length
    const sessionId = await node.api().createSession()
    await node.api().change('sendMessage', { sessionId, content: 'first', model })
    const { run } = await node.api().sendMessage({ sessionId, content: 'second', model })
    const first = await recording.call(before)
    await wish(node, run.id)
    first.tell(end)
    await expect.poll(() => statusOf(node, run.id), { interval: 100 }).toBe('CANCELLED')
    expect(recording.calls.length).toBe(before + 1)
  })
})
