import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'

const sidebar = `subscription ($filter: SessionFilter) { sessionChanged(filter: $filter) {
  kind sessionId session { title } } }`

async function list(app: TestApp, who: Identity = {}, filter?: Record<string, unknown>) {
  const watch = app.socket(who).watch(sidebar, { filter })
  expect(await watch.at(0)).toMatchObject({ kind: 'RESET' })
  return watch
}

const rename = (app: TestApp, sessionId: string, title: string) =>
  app.api().change('updateSession', { sessionId, title })

describe('lists at two nodes with one Redis', () => {
  const isInstalled = requireRedis()
  let redis: TestRedis
  let one: TestApp
  let other: TestApp
  beforeAll(async () => {
    if (!isInstalled) return
    redis = await startRedis()
    one = await startTestApp({ env: { REDIS_URL: redis.url } })
    other = await startTestApp({ databaseUrl: one.databaseUrl, env: { REDIS_URL: redis.url } })
  })

  it('are told at once of what the other did', async () => {
    const watch = await list(other)
    const sessionId = await one.api().createSession({ title: 'here' })
    expect(await watch.at(1)).toMatchObject({ kind: 'CREATED', sessionId, session: { title: 'here' } })
    await one.api().change('purgeSession', { sessionId })
    expect(await watch.at(2)).toEqual({ kind: 'DELETED', sessionId, session: null })
  })

  it('are told, once Redis is back, what happened while it was away, or to read anew', async () => {
    const sessionId = await one.api().createSession()
    const watch = await list(other)
    await redis.kill()
    await rename(one, sessionId, 'while it was away')
    await watch.until(({ session }) => session?.title === 'while it was away')
    await redis.start()
    await watch.until((change) => change.kind === 'RESET' && watch.events.indexOf(change) > 0)
    await rename(one, sessionId, 'after')
    await watch.until(({ session }) => session?.title === 'after')
  })
})

describe('lists at two nodes that share no log', async () => {
  const one = await startTestApp()
  const other = await startTestApp({ databaseUrl: one.databaseUrl })

  it('are told within 5 s', async () => {
    const watch = await list(other)
    const filtered = await list(other, {}, { title: 'elsewhere' })
    const stranger = await list(other, { user: 'mallory' })
    const startedAtMs = performance.now()
    const sessionId = await one.api().createSession({ title: 'elsewhere' })
    expect(await watch.at(1)).toMatchObject({ kind: 'CREATED', sessionId })
    expect(await filtered.at(1)).toMatchObject({ kind: 'CREATED', sessionId })
    expect(performance.now() - startedAtMs).toBeLessThan(5_000)
    await rename(one, sessionId, 'other')
    expect(await watch.at(2)).toMatchObject({ kind: 'UPDATED', sessionId, session: { title: 'other' } })
    expect(await filtered.at(2)).toEqual({ kind: 'DELETED', sessionId, session: null })
    await one.api().change('deleteSession', { sessionId })
    expect(await watch.at(3)).toEqual({ kind: 'DELETED', sessionId, session: null })
    expect(stranger.events).toHaveLength(1)
  })

  it('are to be read anew, those of whom it is about, where no row tells what happened', async () => {
    const bob: Identity = { user: 'bob' }
    const [kept, erased] = [await one.api().createSession(), await one.api().createSession()]
    const watches = [await list(other), await list(other, bob), await list(other, { user: 'mallory' })]
    const areAnew = () => watches.map(({ events }) => events.slice(1).some(({ kind }) => kind === 'RESET'))
    const within5s = { timeout: 5_000 }

    await one.api().change('addParticipant', { sessionId: kept, externalUserId: 'bob', role: 'VIEWER' })
    await expect.poll(areAnew, within5s).toEqual([false, true, false])
    await one.api().change('purgeSession', { sessionId: erased })
    await expect.poll(areAnew, within5s).toEqual([true, true, true])
  })

  it('are told of a commit whose node died before it told it', async () => {
    const sessionId = await one.api().createSession()
    const watch = await list(one)
    const values = [decodeId(sessionId).uuid]
    const commit = `UPDATE sessions SET title = 'untold', revision = revision + 1, updated_at = now() WHERE id = $1`
    await query(one.databaseUrl, commit, { values })
    expect(await watch.at(1)).toMatchObject({ kind: 'UPDATED', sessionId, session: { title: 'untold' } })
  })

  it('are not told twice of what they were told', async () => {
    const sessionId = await one.api().createSession()
    const watch = await list(one)
    for (const title of ['a', 'b', 'c']) {
      await rename(one, sessionId, title)
      await watch.until(({ session }) => session?.title === title)
    }
    // Three looks later.
    const canary = await list(other)
    for (const title of ['one', 'two', 'three']) {
      const made = await one.api().createSession({ title })
      await canary.until((change) => change.sessionId === made)
    }
    const told = watch.events.filter((change) => change.sessionId === sessionId)
    expect(told.map(({ session }) => session.title)).toEqual(['a', 'b', 'c'])
  })
})
