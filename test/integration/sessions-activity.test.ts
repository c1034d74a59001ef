import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { CHAT_DEFAULT_PAGE_SIZE: '2', CHAT_MAX_PAGE_SIZE: '4' } })
})

const list = `query ($first: Int) { sessions(first: $first) { totalCount pageInfo { hasNextPage }
  nodes { id lastMessageAt messageCount updatedAt agent { name } } } }`

it('puts the session of the latest message on top, with the stamp and the count of that message', async () => {
  const api = app.api()
  const [older, newer] = [await api.createSession({}), await api.createSession({})]
  const top = async () => (await api.run(list)).sessions.nodes[0]
  expect(await top()).toMatchObject({ id: newer, lastMessageAt: null, messageCount: 0 })
  const messages = [{ role: 'USER', content: 'Hello' }]
  const added = await api.mutate('addMessages', { sessionId: older, messages }, 'messages { createdAt }')
  const [{ createdAt }] = added.messages
  const { lastMessageAt, updatedAt, ...session } = await top()
  expect(session).toMatchObject({ id: older, messageCount: 1 })
  // Both are the database's clock within the one statement.
  for (const stamp of [lastMessageAt, updatedAt])
    expect(Math.abs(Date.parse(stamp) - Date.parse(createdAt))).toBeLessThan(100)
})

it('gives pages of the configured size, and none above the configured cap', async () => {
  const api = app.api({ user: 'pages' })
  for (let count = 0; count < 5; count += 1) await api.createSession({})
  const sizeOf = async (first?: number) => (await api.run(list, { first })).sessions.nodes.length
  expect([await sizeOf(), await sizeOf(4)]).toEqual([2, 4])
  const { errors } = await api.send(list, { first: 5 })
  expect(errors?.map(({ message }) => message)).toEqual(['first: 5 is out of range; allowed is 1 to 4'])
})

it('lists the latest of a thousand sessions within 100 ms', async () => {
  const api = app.api({ user: 'busy' })
  await api.run('{ viewer { user { id } } }')
  await query(
    app.databaseUrl,
    `INSERT INTO sessions (tenant_id, id, user_id, title, last_message_at)
     SELECT tenant_id, gen_random_uuid(), id, 'Session ' || n, now() - n * interval '1 hour'
     FROM users, generate_series(1, 1000) n WHERE external_id = 'busy'`,
  )
  let bestMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < 10; round += 1) {
    const startedAt = performance.now()
    const { sessions } = await api.run(list)
    bestMs = Math.min(bestMs, performance.now() - startedAt)
    expect(sessions).toMatchObject({ totalCount: 1_000, pageInfo: { hasNextPage: true } })
  }
  // The best of ten: the machine of a test has more to do than this.
  expect(bestMs).toBeLessThan(100)
})
