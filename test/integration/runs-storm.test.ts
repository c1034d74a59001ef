import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { watchRuns } from '../support/runs.ts'
import { createRandom } from '../support/session-reader.ts'

const isInstalled = requireRedis()
let nodes: [TestApp, TestApp]
beforeAll(async () => {
  if (!isInstalled) return
  const redis = await startRedis()
  const env = {
    REDIS_URL: redis.url,
    RUNS_PER_USER: '3',
    RUNS_PER_TENANT: '6',
    MAX_SESSIONS_PER_AGENT: '100',
    RUN_CHECKPOINT_MS: '200',
    RUN_RETRIES: '0',
    DATABASE_POOL_WAIT_MS: '20000',
  }
  const one = await startTestApp({ env })
  nodes = [one, await startTestApp({ env, databaseUrl: one.databaseUrl })]
})

const contents = [
  '/repeat one two three',
  '/pace 50 /long 20',
  '/fail after 2',
  '/stall after 2',
  '/tool ping',
]
const policies = ['ENQUEUE', 'REJECT', 'INTERRUPT', 'ROLLBACK']

it('everything that can be done to runs at once, on two nodes, leaves them whole', async () => {
  const random = createRandom(11)
  const oneOf = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)] as T
  const users = ['alice', 'bob', 'carol']
  const admin = nodes[0].api({ user: 'root', role: 'ADMIN' })
  const tools = [{ name: 'ping', description: 'Answers.', parameters: { type: 'object' } }]
  await admin.change('createAgent', { key: 'pinger', name: 'Pinger', tools })
  const sessions = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const user = users[index % users.length] as string
      const sessionId = await nodes[0].api({ user }).createSession({ agent: 'pinger' })
      return { user, sessionId, runIds: [] as string[] }
    }),
  )
  const alices = sessions.filter(({ user }) => user === 'alice')
  const watches = await Promise.all(alices.map(({ sessionId }) => watchRuns(nodes[1], sessionId)))

  const internal: string[] = []
  async function act(step: number) {
    const session = oneOf(sessions)
    const api = oneOf(nodes).api({ user: session.user })
    const runId = session.runIds.at(-1 - Math.floor(random() * 4))
    const mutation = async (name: string, input: Record<string, unknown>) => {
      const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}`
      const { data, errors } = await api.send(
        `mutation ($input: ${type}Input!) { ${name}(input: $input) {
          ${name === 'sendMessage' ? '... on SendMessagePayload { run { id } }' : ''} ... on Error { code } } }`,
        { input },
      )
      for (const error of errors ?? []) internal.push(`${name}: ${JSON.stringify(error)}`)
      return data?.[name]
    }
    const kind = random()
    if (kind < 0.5 || !runId) {
      const { sessionId } = session
      const content = oneOf(contents)
      const sent = await mutation('sendMessage', {
        sessionId,
        content,
        onBusy: oneOf(policies),
        clientId: `${step}`,
      })
      if (sent?.run) session.runIds.push(sent.run.id)
    } else if (kind < 0.65) await mutation('cancelRun', { runId })
    else if (kind < 0.8) await mutation('moveQueuedRun', { runId, position: Math.floor(random() * 4) })
    else if (kind < 0.95) {
      const { data } = await api.send(
        'query ($id: ID!) { run(id: $id) { pendingToolCalls { toolCallId } } }',
        {
          id: runId,
        },
      )
      const results = (data?.run?.pendingToolCalls ?? []).map(({ toolCallId }: { toolCallId: string }) => ({
        toolCallId,
        content: 'pong',
      }))
      if (results.length > 0) await mutation('submitToolResults', { runId, results })
    } else await mutation('cancelSessionRuns', { sessionId: session.sessionId })
  }

  for (let wave = 0; wave < 25; wave += 1)
    await Promise.all(Array.from({ length: 12 }, (_, index) => act(wave * 12 + index)))
  for (const { user, sessionId } of sessions)
    await nodes[0].api({ user }).change('cancelSessionRuns', { sessionId })
  expect(internal).toEqual([])

  const rows = async (sql: string) =>
    (await query<{ found: string }>(nodes[0].databaseUrl, sql)).map(({ found }) => found)
  const open = () =>
    rows(`SELECT id::text AS found FROM runs WHERE status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')`)
  await expect.poll(open, { interval: 100 }).toEqual([])
  expect(await rows(`SELECT id::text AS found FROM messages WHERE status = 'STREAMING'`)).toEqual([])
  // One end in the ledger for each run, also of those that were taken back.
  const [counted] = await rows(
    `SELECT (sum(s.run_count) - (SELECT count(*) FROM usage_records))::text AS found FROM sessions s`,
  )
  expect(counted).toBe('0')
  // The numbers of the session are those of its messages.
  expect(
    await rows(`SELECT s.id::text AS found FROM sessions s WHERE s.message_count <>
      (SELECT count(*) FROM messages m WHERE m.session_id = s.id AND m.replaced_at IS NULL)`),
  ).toEqual([])
  for (const watch of watches) {
    const names = watch.events.map(({ __typename }) => __typename)
    expect(names.filter((name) => name === 'SessionSnapshot').length).toBe(1)
    const ends = watch.events
      .filter(({ __typename }) => __typename === 'RunFinished')
      .map(({ run }) => run.id)
    expect(new Set(ends).size).toBe(ends.length)
    expect(ends.length).toBeGreaterThan(5)
    let active: string | null = null
    for (const { __typename, run } of watch.events)
      if (__typename === 'RunStarted') {
        expect([null, run.id]).toContain(active)
        active = run.id
      } else if (__typename === 'RunFinished' && run.id === active) active = null
  }
})
