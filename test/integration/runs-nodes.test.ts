import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Provider } from '../../src/llm/provider.ts'
import { createDatabase, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'
import { cancelRun, readRun, runEnd, watchRuns } from '../support/runs.ts'
import { complete, runEvents, user } from './stateless.harness.ts'

const isInstalled = requireRedis()
let redis: TestRedis
let nodes: [TestApp, TestApp]
let recordings: [ReturnType<typeof createRecordingProvider>, ReturnType<typeof createRecordingProvider>]

/** The questions that a model was asked which answers at once, on whatever node. */
const answered: string[] = []
const prompt: Provider = {
  name: 'prompt',
  list: async () => [],
  async *stream({ messages }) {
    answered.push(messages.at(-1)?.content ?? '')
    yield { type: 'start' }
    yield say('yes')
    yield end
  },
}

/** Heartbeats are too slow here to help: what is quick is quick by a hint. */
const slowBeats = { RUN_CHECKPOINT_MS: '60000', RUN_LEASE_MS: '60000' }
const plenty = { RUNS_PER_USER: '1000', RUNS_PER_TENANT: '3000', MAX_SESSIONS_PER_AGENT: '1000' }

async function startTwo(env: Record<string, string>) {
  const databaseUrl = await createDatabase()
  // What waits for each other is not helped out: it fails by the time that a statement has.
  await query(
    databaseUrl,
    `ALTER DATABASE "${new URL(databaseUrl).pathname.slice(1)}" SET deadlock_timeout = '20s'`,
  )
  const both = { ...plenty, DATABASE_POOL_WAIT_MS: '20000', ...env }
  recordings = [createRecordingProvider(), createRecordingProvider()]
  const one = await startTestApp({ env: both, databaseUrl, providers: [recordings[0].provider, prompt] })
  const other = await startTestApp({
    env: both,
    providers: [recordings[1].provider, prompt],
    databaseUrl,
  })
  nodes = [one, other]
}

async function startRun() {
  const sessionId = await nodes[0].api().createSession()
  const watch = await watchRuns(nodes[0], sessionId)
  const coming = recordings[0].call(recordings[0].calls.length)
  const { run } = await nodes[0].api().sendMessage({ sessionId, content: 'hello', model })
  const call = await coming
  call.tell(say('Half'))
  await watch.until(({ text }) => text === 'Half')
  return { sessionId, run, call, watch }
}

describe('two nodes with one Redis', () => {
  beforeAll(async () => {
    if (!isInstalled) return
    redis = await startRedis()
    const prefix = `test-${randomBytes(6).toString('hex')}:`
    await startTwo({ ...slowBeats, REDIS_URL: redis.url, REDIS_KEY_PREFIX: prefix })
  })

  it('cancel each other’s runs at once, 30 times', async () => {
    for (let round = 0; round < 30; round += 1) {
      const { run, call, watch } = await startRun()
      const askedAtMs = performance.now()
      const cancelled = await cancelRun(nodes[1].api(), run.id)
      expect(performance.now() - askedAtMs).toBeLessThan(2_000)
      expect(call.signal.aborted).toBe(true)
      expect(cancelled).toMatchObject({ status: 'CANCELLED', assistantMessage: { content: 'Half' } })
      await watch.until(runEnd(run.id))
    }
  })

  it('follow on one, and cancel there, what is answered outside of sessions on the other', async () => {
    const coming = recordings[0].call(recordings[0].calls.length)
    const asked = { model, clientId: 'outside', messages: [user('hello')] }
    const { run } = await complete(nodes[0].api(), asked)
    const watch = nodes[1].socket().watch(runEvents, { id: run.id })
    await watch.at(0)
    const call = await coming
    call.tell(say('Half'))
    await watch.until(({ text }) => text === 'Half')
    expect((await complete(nodes[1].api(), asked)).run.id).toBe(run.id)
    expect(await cancelRun(nodes[1].api(), run.id)).toMatchObject({
      status: 'CANCELLED',
      assistantMessage: { content: 'Half' },
    })
    expect(call.signal.aborted).toBe(true)
    await watch.ended
    expect(watch.events.at(-1)).toMatchObject({ __typename: 'RunFinished', run: { status: 'CANCELLED' } })
  })

  it('stop for a message that is regenerated, edited or deleted on the other', async () => {
    for (const [name, content] of [
      ['regenerateMessage', {}],
      ['editMessage', { content: '/repeat again' }],
      ['deleteMessage', {}],
    ] as const) {
      const { sessionId, run, call } = await startRun()
      const { session } = await nodes[1]
        .api()
        .run('query ($id: ID!) { session(id: $id) { messages { nodes { id } } } }', { id: sessionId })
      const [question, reply] = session.messages.nodes
      const messageId = name === 'regenerateMessage' ? reply.id : question.id
      const changed = await nodes[1].api().mutate(name, { messageId, ...content })
      expect(changed).toEqual({ __typename: expect.stringMatching(/Payload$/) })
      expect(call.signal.aborted).toBe(true)
      const { run: left } = await nodes[1]
        .api()
        .run('query ($id: ID!) { run(id: $id) { status } }', { id: run.id })
      expect(left?.status ?? 'gone').toBe(name === 'deleteMessage' ? 'gone' : 'CANCELLED')
    }
  })

  it('agree where a cancel on one races the turn that comes on the other, 100 times', async () => {
    const race = async () => {
      const sessionId = await nodes[0].api().createSession()
      const waiting = []
      for (let place = 0; place < 5; place += 1)
        waiting.push(await nodes[0].api().sendMessage({ sessionId, content: '/repeat hi' }))
      const over = await Promise.all(
        waiting.map(({ run }, place) => cancelRun(nodes[place % 2 === 0 ? 1 : 0].api(), run.id)),
      )
      for (const { status } of over) expect(['CANCELLED', 'COMPLETED']).toContain(status)
    }
    for (let round = 0; round < 5; round += 1) await Promise.all(Array.from({ length: 4 }, race))
  })

  it('erase on one what ends on the other, and do not lock each other out', async () => {
    const { sessionId, run, call } = await startRun()
    const holder = new Client({ connectionString: nodes[0].databaseUrl })
    await holder.connect()
    onTestFinished(() => holder.end())
    await holder.query('BEGIN')
    await holder.query('SELECT FROM runs WHERE id = $1 FOR UPDATE', [decodeId(run.id).uuid])
    const waiting = async () => {
      const sql = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
      return (await query(nodes[0].databaseUrl, sql)).length
    }
    const erased = nodes[1].api().mutate('purgeSession', { sessionId })
    await expect.poll(waiting).toBe(1)
    call.tell(end)
    await expect.poll(waiting).toBe(2)
    await holder.query('COMMIT')
    const goesOnAtMs = performance.now()
    expect(await erased).toEqual({ __typename: 'PurgeSessionPayload' })
    expect(performance.now() - goesOnAtMs).toBeLessThan(3_000)
  })

  it('take what a stopping one leaves, at once', async () => {
    const env = { ...plenty, ...slowBeats, RUN_LEASE_MS: '600000', REDIS_URL: redis.url }
    const prefix = `test-${randomBytes(6).toString('hex')}:`
    const recording = createRecordingProvider()
    const stays = await startTestApp({
      env: { ...env, REDIS_KEY_PREFIX: prefix },
      providers: [recording.provider],
    })
    const leaving = createRecordingProvider()
    const goes = await startTestApp({
      env: { ...env, REDIS_KEY_PREFIX: prefix },
      providers: [leaving.provider],
      databaseUrl: stays.databaseUrl,
    })
    const sessionId = await goes.api().createSession()
    const first = await goes.api().sendMessage({ sessionId, content: 'one', model })
    const call = await leaving.call(0)
    call.tell(say('Half'))
    await goes.api().change('sendMessage', { sessionId, content: 'two', model })
    // Of this one nothing was told yet.
    const silent = await goes.api().createSession()
    const third = await goes.api().sendMessage({ sessionId: silent, content: 'three', model })
    await leaving.call(1)
    await goes.stop(0)
    const next = [await recording.call(0), await recording.call(1)]
    expect(next.map(({ request }) => request.messages.at(-1)?.content).sort()).toEqual(['three', 'two'])
    for (const each of next) each.tell(say('done'), end)
    const read = async () => readRun(stays.api(), third.run.id)
    await expect.poll(async () => (await read()).status, { interval: 20 }).toBe('COMPLETED')
    expect((await read()).assistantMessage.content).toBe('done')
    expect(await readRun(stays.api(), first.run.id)).toMatchObject({ status: 'INTERRUPTED' })
    expect(leaving.calls.length).toBe(2)
  })

  it('send once, however many copies race over both: 200 keys', async () => {
    const keys = 200
    const copies = 5
    const before = answered.length
    const sessionIds = await Promise.all(Array.from({ length: 20 }, () => nodes[0].api().createSession()))
    const sendCopies = (key: number) =>
      Promise.all(
        Array.from({ length: copies }, (_, copy) =>
          nodes[copy % 2 === 0 ? 0 : 1].api().sendMessage({
            sessionId: sessionIds[key % sessionIds.length],
            content: `question ${key}`,
            clientId: `key ${key}`,
            model: 'prompt:model',
            wait: copy === 0,
          }),
        ),
      )
    const answers = []
    // In waves: a thousand requests at one moment would try the machine rather than the keys.
    for (let first = 0; first < keys; first += 50)
      answers.push(
        ...(await Promise.all(Array.from({ length: 50 }, (_, index) => sendCopies(first + index)))),
      )
    for (const sent of answers) {
      const ids = sent.map(({ userMessage, run }) => `${userMessage?.id} ${run?.id}`)
      expect(new Set(ids).size).toBe(1)
    }
    expect(answered.slice(before).sort()).toEqual(
      Array.from({ length: keys }, (_, key) => `question ${key}`).sort(),
    )
    const [stored] = await query<{ questions: number; runs: number }>(
      nodes[0].databaseUrl,
      `SELECT count(*)::int AS questions, count(r.id) FILTER (WHERE r.status = 'COMPLETED')::int AS runs
       FROM messages m LEFT JOIN runs r ON r.user_message_id = m.id WHERE m.content LIKE 'question %'`,
    )
    expect(stored).toEqual({ questions: keys, runs: keys })
  })
})

describe('two nodes that know nothing of each other', () => {
  beforeAll(() => startTwo({ RUN_CHECKPOINT_MS: '300' }))

  it('cancel each other’s runs by the heartbeat', async () => {
    const { run, call, watch } = await startRun()
    const askedAtMs = performance.now()
    const asked = cancelRun(nodes[1].api(), run.id)
    await call.aborted
    expect(performance.now() - askedAtMs).toBeLessThan(2_000)
    await watch.until(runEnd(run.id))
    expect(await asked).toMatchObject({ status: 'CANCELLED', assistantMessage: { content: 'Half' } })
  })

  it('let one run of a session begin at a time, whoever was sent what', async () => {
    const api = nodes.map((node) => node.api())
    const sessionId = await nodes[0].api().createSession()
    const before = recordings.map(({ calls }) => calls.length)
    const sent = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        api[index % 2]?.sendMessage({ sessionId, content: `message ${index}`, model }),
      ),
    )
    const inOrder = sent.sort((a, b) => a.userMessage.seq - b.userMessage.seq)
    const callsNow = () => recordings.flatMap(({ calls }, node) => calls.slice(before[node]))
    for (const [place, { userMessage }] of inOrder.entries()) {
      await expect.poll(() => callsNow().length, { interval: 5 }).toBe(place + 1)
      const call = callsNow().find(({ request }) => request.messages.at(-1)?.content === userMessage.content)
      call?.tell(say('hi'), end)
    }
  })
})
