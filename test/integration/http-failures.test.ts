import { beforeAll, describe, expect, it } from 'vitest'
import { createLog } from '../../src/telemetry/log.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { openFrames } from '../support/frames.ts'
import { query, startFreshPostgres } from '../support/postgres.ts'

type Line = { msg: string; requestId?: string; err?: { message: string; stack: string } }

/** A log that keeps its lines. */
function createMemoryLog() {
  const lines: Line[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  const log = createLog({ level: 'error' }, false, { write })
  return { log, lines }
}

const { log, lines } = createMemoryLog()
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ log })
})

describe.each(doorNames)('over %s', (door) => {
  it.each([
    ['Prisma', '{ sessions { nodes { tags } } }', undefined],
    [
      'a statement',
      'mutation ($input: CreateSessionInput!) { createSession(input: $input) { __typename } }',
      { input: { title: 'canary-title' } },
    ],
  ])(
    'a failing statement of %s is masked, and the log has it under the id',
    async (_what, operation, variables) => {
      const doors = await openDoors(app.url, app.token())
      await doors[door]('{ viewer { role } }')
      await query(app.databaseUrl, 'REVOKE ALL ON sessions FROM parley_app')
      const answer = await doors[door](operation, variables).finally(() =>
        query(app.databaseUrl, 'GRANT ALL ON sessions TO parley_app'),
      )
      const requestId = answer?.errors?.[0]?.extensions.requestId
      expect(answer?.errors).toEqual([
        expect.objectContaining({
          message: 'Internal server error. The log has the details under this request id.',
          extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
        }),
      ])
      expect(JSON.stringify(answer)).not.toMatch(/denied|SELECT|INSERT|canary|\.ts|node_modules/)
      const line = lines.find((each) => each.requestId === requestId)
      expect(line?.err?.stack).toMatch(/permission denied/)
      doors.close()
    },
  )
})

it.each([
  ['sessions', 'createSession', { title: 'canary-text' }],
  ['agents', 'createAgent', { key: 'canary', name: 'canary-text', systemPrompt: 'canary-text' }],
])('a row of %s that does not fit is not in the log', async (table, mutation, input) => {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`
  await query(
    app.databaseUrl,
    `ALTER TABLE ${table} ADD CONSTRAINT no_canary CHECK (${table}::text NOT LIKE '%canary-text%')`,
  )
  const { errors } = await app
    .api({ user: 'root', role: 'ADMIN' })
    .send(`mutation ($input: ${type}!) { ${mutation}(input: $input) { __typename } }`, { input })
  expect(errors).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }])
  const line = lines.find(({ requestId }) => requestId === errors?.[0]?.extensions.requestId)
  expect(line?.err?.message).toContain('no_canary')
  expect(JSON.stringify(lines)).not.toContain('canary-text')
})

it('the id of a masked error is that of the response', async () => {
  await query(app.databaseUrl, 'REVOKE ALL ON sessions FROM parley_app')
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${app.token()}`,
      'x-request-id': 'from-the-edge',
    },
    body: JSON.stringify({ query: '{ sessions { nodes { tags } } }' }),
  }).finally(() => query(app.databaseUrl, 'GRANT ALL ON sessions TO parley_app'))
  expect(response.headers.get('x-request-id')).toBe('from-the-edge')
  const { errors } = (await response.json()) as { errors: [{ extensions: { requestId: string } }] }
  expect(errors[0].extensions.requestId).toBe('from-the-edge')
  expect(lines.some(({ requestId }) => requestId === 'from-the-edge')).toBe(true)
})

it('without its database it says so within five seconds, and lives', async () => {
  const server = await startFreshPostgres()
  const memory = createMemoryLog()
  const lonely = await startTestApp({ databaseUrl: await server.createDatabase(), log: memory.log })
  const sessionId = await lonely.api().createSession()
  const frames = await openFrames(lonely.url, { params: { token: lonely.token() } })
  frames.subscribe('live', 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }', {
    id: sessionId,
  })
  await frames.until(({ id }) => id === 'live')
  const doors = await openDoors(lonely.url, lonely.token())
  await server.stop()

  const startedAt = performance.now()
  for (const door of doorNames)
    for (const operation of [
      '{ sessions { totalCount } }',
      'mutation { createSession(input: {}) { __typename } }',
    ]) {
      const answer = await doors[door](operation)
      expect(answer?.errors).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }])
      expect(JSON.stringify(answer)).not.toMatch(/ECONNREFUSED|127\.0\.0\.1|postgres|\.ts/i)
    }
  // Somebody whom this server has not seen yet must be looked up.
  const stranger = await lonely.api({ user: 'stranger' }).send('{ viewer { role } }')
  expect(stranger.errors).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }])
  const unknown = await openFrames(lonely.url)
  unknown.send({ type: 'connection_init', payload: { token: lonely.token({ user: 'stranger' }) } })
  // A code that stock clients come back from.
  expect((await unknown.closed).code).toBe(1013)
  expect(performance.now() - startedAt).toBeLessThan(5_000)

  const [health, ready] = await Promise.all(
    ['/health', '/ready'].map((path) => fetch(`${lonely.url}${path}`)),
  )
  expect([health?.status, ready?.status]).toEqual([200, 503])
  frames.send({ type: 'ping' })
  await frames.until(({ type }) => type === 'pong')
  expect(memory.lines.map(({ msg }) => msg)).toContain('an operation failed')
  doors.close()
})

it('a reader that stops is cut, and hurts nobody', async () => {
  const sessionId = await app.api().createSession()
  const messages = Array.from({ length: 50 }, () => ({ role: 'USER', content: 'x'.repeat(9_000) }))
  await app.api().run(`mutation ($input: AddMessagesInput!) { addMessages(input: $input) { __typename } }`, {
    input: { sessionId, messages },
  })
  const params = { token: app.token() }
  const healthy = await openFrames(app.url, { params })
  const stopped = await openFrames(app.url, { params })
  const before = process.memoryUsage().rss
  stopped.socket.pause()
  // Each opens with a snapshot of half a megabyte, which nobody takes.
  for (let index = 0; index < 40; index += 1)
    stopped.subscribe(
      String(index),
      'subscription ($id: ID!) { sessionEvents(sessionId: $id) { ... on SessionSnapshot { messages { content } } } }',
      { id: sessionId },
    )
  const startedAt = performance.now()
  const add = `mutation ($id: ID!) { addMessages(input: { sessionId: $id, messages: [{ role: USER, content: "Hi" }] }) { __typename } }`
  healthy.subscribe('live', 'subscription ($id: ID!) { messageAdded(sessionId: $id) { content } }', {
    id: sessionId,
  })
  while (stopped.socket.readyState === stopped.socket.OPEN) {
    expect(performance.now() - startedAt).toBeLessThan(12_000)
    await app.api().run(add, { id: sessionId })
    // Writing is how one learns that the other end is gone; this is answered with nothing.
    stopped.send({ id: 'unheard', type: 'complete' })
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1_048_576)
  await healthy.until(({ id }) => id === 'live')
  healthy.socket.close()
})
