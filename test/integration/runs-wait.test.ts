import { beforeAll, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { Deliveries } from '../../src/realtime/feed-deliveries.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, recordedModel as model } from '../support/recording-provider.ts'

const recording = createRecordingProvider()
// The node that has a run is not to notice that it ended.
const env = { RUN_CHECKPOINT_MS: '60000', RUN_LEASE_MS: '600000', DATABASE_POOL_WAIT_MS: '20000' }
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env, providers: [recording.provider] })
})

const polled = vi.spyOn(Deliveries.prototype, 'poll')
const closed = vi.spyOn(Deliveries.prototype, 'close')
/** Who follows a feed and has read its beginning. */
const followers = () => new Set(polled.mock.contexts).difference(new Set(closed.mock.contexts)).size
const untilFollowing = (count: number) => expect.poll(followers, { interval: 50 }).toBe(count)

it('ends where the end of the run was committed and never announced', async () => {
  const sessionId = await app.api().createSession()
  const answer = app.api().sendMessage({ sessionId, content: 'hello', model, wait: true })
  await untilFollowing(1)
  await query(
    app.databaseUrl,
    `WITH r AS (UPDATE runs SET status = 'INTERRUPTED', finished_at = now(), attempt = attempt + 1
      WHERE session_id = $1) UPDATE sessions SET revision = revision + 1 WHERE id = $1`,
    { values: [decodeId(sessionId).uuid] },
  )
  expect((await answer).run).toMatchObject({ status: 'INTERRUPTED' })
  await untilFollowing(0)
})

it('ends when the caller is gone, by HTTP, or by a socket that stays or does not', async () => {
  const sessionIds = await Promise.all(Array.from({ length: 6 }, () => app.api().createSession()))
  const query = `mutation ($id: ID!, $model: String!) {
    sendMessage(input: { sessionId: $id, content: "hello", model: $model, wait: true }) { __typename } }`
  const params = { authorization: `Bearer ${app.token()}` }
  const [stays, goes] = [await openFrames(app.url, { params }), await openFrames(app.url, { params })]
  for (const { until } of [stays, goes]) await until(({ type }) => type === 'connection_ack')
  const leaving = new AbortController()
  const headers = { 'content-type': 'application/json', ...params }
  const answers = sessionIds.map((id, index) => {
    const variables = { id, model }
    if (index % 3 > 0) return (index % 3 === 1 ? stays : goes).subscribe(`${index}`, query, variables)
    const body = JSON.stringify({ query, variables })
    return fetch(`${app.url}/graphql`, { method: 'POST', headers, body, signal: leaving.signal }).catch(
      () => {},
    )
  })
  await untilFollowing(6)
  for (const id of ['1', '4']) stays.send({ id, type: 'complete' })
  goes.socket.terminate()
  leaving.abort()
  await Promise.all(answers)
  await untilFollowing(0)
  stays.socket.terminate()
})

it('what waits for a reply to stop lets go when the caller is gone, and changes nothing', async () => {
  // Without a log in common: the node of the runs does not hear that they are to stop.
  const other = await startTestApp({ databaseUrl: app.databaseUrl, env, providers: [recording.provider] })
  const bob = app.api({ user: 'bob' })
  const waiting = {
    editMessage: (sent: Sent) => `messageId: "${sent.userMessage.id}", content: "again"`,
    regenerateMessage: (sent: Sent) => `messageId: "${sent.assistantMessage.id}"`,
    deleteMessage: (sent: Sent) => `messageId: "${sent.assistantMessage.id}"`,
  }
  const leaving = new AbortController()
  const sessionIds: string[] = []
  const answers: Promise<unknown>[] = []
  for (const [name, inputOf] of Object.entries(waiting)) {
    const sessionId = await bob.createSession()
    sessionIds.push(sessionId)
    const input = inputOf(await bob.sendMessage({ sessionId, content: 'hello', model }))
    const body = JSON.stringify({ query: `mutation { ${name}(input: { ${input} }) { __typename } }` })
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${other.token({ user: 'bob' })}`,
    }
    const options = { method: 'POST', headers, body, signal: leaving.signal }
    answers.push(fetch(`${other.url}/graphql`, options).catch(() => {}))
  }
  await untilFollowing(3)
  leaving.abort()
  await Promise.all(answers)
  await untilFollowing(0)
  const query = 'query ($id: ID!) { session(id: $id) { messages { nodes { content status } } } }'
  for (const id of sessionIds) {
    const { session } = await bob.run(query, { id })
    expect(session.messages.nodes).toMatchObject([{ content: 'hello' }, { status: 'STREAMING' }])
  }
  expect(followers()).toBe(0)
})

type Sent = { userMessage: { id: string }; assistantMessage: { id: string } }
