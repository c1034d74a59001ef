import { describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { watchSession } from '../support/session-reader.ts'
import { runEvents } from './stateless.harness.ts'

/** As a node that dies between the commit and its announcement leaves it. */
const commitUntold = (app: TestApp, sessionId: string, assignment: string) =>
  query(app.databaseUrl, `UPDATE sessions SET ${assignment}, revision = revision + 1 WHERE id = $1`, {
    values: [decodeId(sessionId).uuid],
  })

const rename = (app: TestApp, sessionId: string, title: string) =>
  app.api().run(
    `mutation ($sessionId: ID!, $title: String) { updateSession(input: { sessionId: $sessionId, title: $title }) {
      ... on Error { message } } }`,
    { sessionId, title },
  )

const isGap = (event: { reason?: string }) => event.reason === 'GAP'

describe('a change that was committed and never announced', async () => {
  const app = await startTestApp()
  const watching = async (sessionId: string, after?: string) => {
    const watch = app.socket().watch(watchSession, { sessionId, after })
    if (after === undefined) await watch.at(0)
    return watch
  }

  it('reaches every subscriber as a snapshot within 5 s', async () => {
    const sessionId = await app.api().createSession()
    const watches = [await watching(sessionId), await watching(sessionId)]
    const { session } = await app
      .api()
      .run('query ($id: ID!) { session(id: $id) { cursor } }', { id: sessionId })
    watches.push(await watching(sessionId, session.cursor))
    const startedAtMs = performance.now()
    await commitUntold(app, sessionId, "title = 'untold'")
    for (const watch of watches)
      expect(await watch.until(isGap)).toMatchObject({ session: { title: 'untold' } })
    expect(performance.now() - startedAtMs).toBeLessThan(5_000)
  })

  it('is told at once where another change shows that it is missing', async () => {
    const sessionId = await app.api().createSession()
    const watch = await watching(sessionId)
    await rename(app, sessionId, 'first')
    await commitUntold(app, sessionId, "title = 'untold'")
    await rename(app, sessionId, 'last')
    expect(await watch.until(isGap)).toMatchObject({ session: { title: 'last' } })
    await rename(app, sessionId, 'after')
    const told = await watch.until(
      (event) => event.__typename === 'SessionUpdated' && event.session.title === 'after',
    )
    // Whoever comes back with any cursor of before meets the hole, too.
    const later = await watching(sessionId, watch.events[1].cursor)
    expect(await later.until(isGap)).toMatchObject({ session: { title: 'after' } })
    const latest = await watching(sessionId, told.cursor)
    await rename(app, sessionId, 'end')
    expect(await latest.at(0)).toMatchObject({ session: { title: 'end' } })
  })

  it('ends the feed where it was the deletion', async () => {
    const sessionId = await app.api().createSession()
    const watch = await watching(sessionId)
    await commitUntold(app, sessionId, 'deleted_at = now()')
    expect(await watch.until(({ __typename }) => __typename === 'SessionDeleted')).toMatchObject({
      sessionId,
    })
    await watch.ended
  })

  it('is not suspected where nothing is missing', async () => {
    const sessionId = await app.api().createSession()
    const watch = await watching(sessionId)
    const titles = Array.from({ length: 60 }, (_, index) => `title ${index}`)
    await Promise.all(titles.map((title) => rename(app, sessionId, title)))
    await rename(app, sessionId, 'end')
    await watch.until((event) => event.session?.title === 'end')
    expect(watch.events.filter(isGap)).toEqual([])
    expect(watch.events).toHaveLength(1 + titles.length + 1)
  })
})

describe('the feed of a run', async () => {
  const recording = createRecordingProvider()
  // The node that has the run is not to notice what happens to it.
  const env = { RUN_CHECKPOINT_MS: '60000', RUN_LEASE_MS: '600000' }
  const app = await startTestApp({ env, providers: [recording.provider] })
  const begun = async () => {
    const sessionId = await app.api().createSession()
    const coming = recording.call(recording.calls.length)
    const { run } = await app.api().sendMessage({ sessionId, content: 'hello', model })
    const call = await coming
    call.tell(say('Half'))
    const watch = app.socket().watch(runEvents, { id: run.id })
    const isHalf = ({ text, messages }: { text?: string; messages?: { content: string }[] }) =>
      text === 'Half' || messages?.at(-1)?.content === 'Half'
    const { cursor } = await watch.until(isHalf)
    return { sessionId, run, call, watch, cursor }
  }

  it('tells an end that was committed and is not announced to whoever comes back', async () => {
    const { sessionId, run, watch, cursor } = await begun()
    watch.stop()
    await query(
      app.databaseUrl,
      `WITH r AS (UPDATE runs SET status = 'INTERRUPTED', finished_at = now(), attempt = attempt + 1
        WHERE session_id = $1) UPDATE sessions SET revision = revision + 1 WHERE id = $1`,
      { values: [decodeId(sessionId).uuid] },
    )
    const back = app.socket().watch(runEvents, { id: run.id, after: cursor })
    await back.ended
    expect(back.events).toMatchObject([{ reason: 'GAP', run: { status: 'INTERRUPTED' } }])
  })

  it('ends for who has the end, whatever came after it', async () => {
    const { sessionId, run, call, watch } = await begun()
    call.tell(end)
    await watch.ended
    const { cursor } = watch.events.at(-1)
    await rename(app, sessionId, 'told')
    await commitUntold(app, sessionId, "title = 'untold'")
    const back = app.socket().watch(runEvents, { id: run.id, after: cursor })
    await rename(app, sessionId, 'told again')
    await back.ended
    expect(back.events.filter((event) => event.__typename === 'RunFinished')).toEqual([])
  })
})

describe('two nodes that share a database and no log', async () => {
  const one = await startTestApp()
  const other = await startTestApp({ databaseUrl: one.databaseUrl })

  it('still tell each other what changed, within 5 s', async () => {
    const sessionId = await one.api().createSession()
    const watch = one.socket().watch(watchSession, { sessionId })
    await watch.at(0)
    await rename(other, sessionId, 'from elsewhere')
    expect(await watch.until(isGap)).toMatchObject({ session: { title: 'from elsewhere' } })
  })
})
