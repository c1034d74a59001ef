import { describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { watchSession } from '../support/session-reader.ts'

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
