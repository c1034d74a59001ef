import { describe, expect, it } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { addMessages, follow, runEnd } from './messages.harness.ts'

const send = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  ... on SendMessagePayload { run { id status startedAt } } ... on Error { code message } } }`

describe('a run', () => {
  it('begins in the send where nothing is before it, else it waits', async () => {
    const app = await startTestApp()
    const alice = app.api()
    const sessionId = await alice.createSession()
    await addMessages(alice, sessionId, [{ role: 'USER', content: 'Hello' }])
    const feed = await follow(app, sessionId)
    const statuses: string[] = []
    const ids: string[] = []
    for (const content of ['/stall after 1', 'Next']) {
      const { sendMessage } = await alice.run(send, { input: { sessionId, content } })
      statuses.push(sendMessage.run.status)
      ids.push(sendMessage.run.id)
      expect(sendMessage.run.startedAt === null).toBe(sendMessage.run.status === 'QUEUED')
    }
    expect(statuses).toEqual(['RUNNING', 'QUEUED'])
    await alice.change('cancelRun', { runId: ids[0] })
    await runEnd(feed, ids[1] as string)
    const told = feed.events
      .filter(({ run }) => run)
      .map(({ __typename, run }) => [__typename, run.id, run.status])
    expect(told).toEqual([
      ['RunQueued', ids[0], 'QUEUED'],
      ['RunStarted', ids[0], 'RUNNING'],
      ['RunQueued', ids[1], 'QUEUED'],
      ['RunFinished', ids[0], 'CANCELLED'],
      ['RunStarted', ids[1], 'RUNNING'],
      ['RunFinished', ids[1], 'COMPLETED'],
    ])
  })

  it('waits where its user has as many as are allowed', async () => {
    const app = await startTestApp({ env: { RUNS_PER_USER: '2' } })
    const alice = app.api()
    const statuses: string[] = []
    for (let count = 0; count < 3; count += 1) {
      const sessionId = await alice.createSession()
      const { sendMessage } = await alice.run(send, { input: { sessionId, content: '/stall after 1' } })
      statuses.push(sendMessage.run.status)
    }
    expect(statuses).toEqual(['RUNNING', 'RUNNING', 'QUEUED'])
  })

  it('is not left behind by a server that stops in the midst of the send', async () => {
    const app = await startTestApp()
    const alice = app.api()
    const sessions = await Promise.all(Array.from({ length: 12 }, () => alice.createSession()))
    const sends = sessions.map((sessionId) =>
      alice.send(send, { input: { sessionId, content: 'Hello' } }).catch(() => null),
    )
    await Promise.any(sends)
    await app.stop()
    const accepted = (await Promise.all(sends)).flatMap((answer) => answer?.data?.sendMessage?.run?.id ?? [])
    expect(accepted.length).toBeGreaterThan(0)
    const left = 'SELECT DISTINCT status FROM runs WHERE finished_at IS NULL'
    expect(await query(app.databaseUrl, left)).not.toContainEqual({ status: 'RUNNING' })

    const again = await startTestApp({ databaseUrl: app.databaseUrl })
    for (const sessionId of sessions) {
      const feed = again.socket().watch(
        `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
          ... on SessionSnapshot { session { activeRun { id } queuedRuns { id } } }
          ... on RunFinished { run { id } } } }`,
        { sessionId },
      )
      await feed.until(
        ({ run, session }) => run || (session && !session.activeRun && session.queuedRuns.length === 0),
      )
    }
    expect(await query(again.databaseUrl, left)).toEqual([])
  })
})
