import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { cancelRun, readRun, runEnd, watchRuns } from '../support/runs.ts'
import type { Watch } from '../support/watch.ts'

const recording = createRecordingProvider()
let app: TestApp
beforeAll(async () => {
  const env = { RUNS_PER_USER: '100', MAX_SESSIONS_PER_AGENT: '100' }
  app = await startTestApp({ env, providers: [recording.provider] })
})

let alice: Api
let sessionId: string
let watch: Watch
let before: number
beforeEach(async () => {
  alice = app.api()
  sessionId = await alice.createSession()
  watch = await watchRuns(app, sessionId)
  before = recording.calls.length
})

/** A reply that is being written, and these that wait behind it. */
async function fillLine(...contents: string[]) {
  const first = await alice.sendMessage({ sessionId, content: 'first', model })
  const call = await recording.call(before)
  const waiting = []
  for (const content of contents) waiting.push(await alice.sendMessage({ sessionId, content, model }))
  return { first: first.run.id as string, call, ids: waiting.map(({ run }) => run.id as string) }
}

const move = (runId: string | undefined, position: number) =>
  alice.mutate(
    'moveQueuedRun',
    { runId, position },
    'run { id queuePosition } queuedRuns { id queuePosition } session { id }',
  )

async function line() {
  const { session } = await alice.run(
    'query ($id: ID!) { session(id: $id) { activeRun { id queuePosition } queuedRuns { id queuePosition } } }',
    { id: sessionId },
  )
  return session
}
const inLine = (ids: (string | undefined)[]) => ids.map((id, queuePosition) => ({ id, queuePosition }))

describe('the line of a session', () => {
  it('tells each run its place, and none to one that does not wait', async () => {
    const { first, ids } = await fillLine('a', 'b', 'c')
    expect(await line()).toEqual({ activeRun: { id: first, queuePosition: null }, queuedRuns: inLine(ids) })
    await cancelRun(alice, ids[0] ?? '')
    expect((await line()).queuedRuns).toEqual(inLine(ids.slice(1)))
    const { run } = await alice.run('query ($id: ID!) { run(id: $id) { queuePosition } }', { id: ids[0] })
    expect(run.queuePosition).toBeNull()
  })

  it('can be put in another order, which every reader is told and every answer follows', async () => {
    const { call, ids } = await fillLine('a', 'b', 'c', 'd')
    const [a, b, c, d] = ids
    await watch.until(({ __typename, run }) => __typename === 'RunQueued' && run.id === d)
    const seen = watch.events.length
    const moved = await move(d, 1)
    expect(moved).toMatchObject({ run: { id: d, queuePosition: 1 }, queuedRuns: inLine([a, d, b, c]) })
    await watch.until(
      (event) =>
        watch.events.indexOf(event) >= seen && event.__typename === 'RunQueued' && event.run.id === c,
    )
    const told = watch.events.slice(seen).filter(({ __typename }) => __typename === 'RunQueued')
    expect(told.map(({ run }) => run.id)).toEqual([d, b, c])
    expect((await move(a, 99)).queuedRuns).toEqual(inLine([d, b, c, a]))
    expect((await move(c, 0)).queuedRuns).toEqual(inLine([c, d, b, a]))
    // One that comes now comes last.
    const e = await alice.sendMessage({ sessionId, content: 'e', model })
    expect((await line()).queuedRuns).toEqual(inLine([c, d, b, a, e.run.id]))
    call.tell(end)
    for (let place = 1; place <= 5; place += 1) (await recording.call(before + place)).tell(end)
    await watch.until(runEnd(e.run.id))
    const asked = recording.calls.slice(before).map(({ request }) => request.messages.at(-1)?.content)
    expect(asked).toEqual(['first', 'c', 'd', 'b', 'a', 'e'])
  })

  it('stays whole when many move at once, while it is answered', async () => {
    const { call, ids } = await fillLine('a', 'b', 'c', 'd', 'e', 'f')
    call.tell(end)
    let next = before + 1
    const answering = (async () => {
      for (; next <= before + 6; next += 1) (await recording.call(next)).tell(say('hi'), end)
    })()
    const results = await Promise.all(
      Array.from({ length: 24 }, (_, index) => move(ids[index % ids.length], (index * 5) % 7)),
    )
    for (const result of results)
      if (result.code) expect(result.message).toMatch(/does not wait for its turn/)
      else
        expect(result.queuedRuns.map(({ id }: { id: string }) => id).length).toBe(
          new Set(result.queuedRuns.map(({ id }: { id: string }) => id)).size,
        )
    await answering
    for (const id of ids) await watch.until(runEnd(id))
    expect(recording.calls.length).toBe(before + 7)
    for (const id of ids) expect((await readRun(alice, id)).status).toBe('COMPLETED')
  })

  it('refuses what cannot be moved', async () => {
    const { first, call, ids } = await fillLine('a')
    expect(await move(first, 0)).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringMatching(/^runId: does not wait/),
    })
    expect(await move(ids[0], -1)).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringMatching(/^position: is below 0/),
    })
    call.tell(end)
    ;(await recording.call(before + 1)).tell(end)
    await watch.until(runEnd(ids[0] ?? ''))
  })
})

describe('cancelSessionRuns', () => {
  it('stops all runs of the session, the last first, and starts none', async () => {
    const { first, call, ids } = await fillLine('a', 'b', 'c')
    call.tell(say('Half'))
    await watch.until(({ text }) => text === 'Half')
    const { runs } = await alice.mutate(
      'cancelSessionRuns',
      { sessionId },
      'runs { id status assistantMessage { content } }',
    )
    const cancelled = (id: string, content: string) => ({
      id,
      status: 'CANCELLED',
      assistantMessage: { content },
    })
    expect(runs).toEqual([...ids.toReversed().map((id) => cancelled(id, '')), cancelled(first, 'Half')])
    expect(call.signal.aborted).toBe(true)
    expect(await line()).toEqual({ activeRun: null, queuedRuns: [] })
    expect(await alice.mutate('cancelSessionRuns', { sessionId }, 'runs { id }')).toEqual({ runs: [] })
    expect(recording.calls.length).toBe(before + 1)
  })
})
