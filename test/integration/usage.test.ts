import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import { createOpenAiProvider } from '../../src/llm/vendors.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { createModelServer, type ModelServer } from '../support/model-server.ts'
import { query as sql } from '../support/postgres.ts'

const hour = 3_600_000
const now = () => ({ from: new Date(Date.now() - hour), to: new Date(Date.now() + hour) })

const counting = `query ($from: DateTime!, $to: DateTime!, $interval: UsageInterval!, $groupBy: UsageGroup!, $filter: UsageFilter) {
  usage(from: $from, to: $to, interval: $interval, groupBy: $groupBy, filter: $filter) {
    start key sessions messages runs failures inputTokens outputTokens cachedInputTokens cost timeToFirstTokenP95Ms
  }
}`

const asked = (rest: object = {}) => ({ ...now(), interval: 'MONTH', groupBy: 'NONE', ...rest })
const usageOf = async (api: Api, rest: object = {}) => (await api.run(counting, asked(rest))).usage
/** All intervals together; an hour each way may lie in two months. */
async function totalOf(api: Api, rest: object = {}) {
  const total = { sessions: 0, messages: 0, runs: 0, failures: 0, inputTokens: 0, outputTokens: 0, cost: 0 }
  for (const bucket of await usageOf(api, rest))
    for (const field of Object.keys(total) as (keyof typeof total)[]) total[field] += Number(bucket[field])
  return total
}

let app: TestApp
let models: ModelServer
let count = 0
const newcomer = (role?: 'ADMIN', tenant = `tenant-${count++}`) =>
  app.api({ user: `user-${count++}`, tenant, ...(role && { role }) })
beforeAll(async () => {
  models = await createModelServer({ listsModels: true })
  app = await startTestApp({ providers: [createOpenAiProvider({ apiKey: 'sk-none', baseUrl: models.url })] })
  return () => models.close()
})

const session = `query ($id: ID!) { session(id: $id) {
  usage { inputTokens outputTokens cachedInputTokens cost runs }
  messages(last: 1) { nodes { cost inputTokens run { usage { inputTokens outputTokens cachedInputTokens cost } } } }
} }`

describe('the usage of a session', () => {
  it('is reckoned at the end of each run, to the last digit', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ model: 'openai:gpt-4o-mini' })
    const usage = { inputTokens: 1_001, outputTokens: 7, cachedInputTokens: 1_000 }
    models.answer({ speech: { text: ['One'], usage } }, { speech: { text: ['Two'], usage } })
    await api.change('sendMessage', { sessionId, content: 'First', wait: true })
    await api.change('sendMessage', { sessionId, content: 'Second', wait: true })
    const found = (await api.run(session, { id: sessionId })).session
    // 1 x 0.15 + 1,000 x 0.075 + 7 x 0.6 dollars for a million.
    expect(found.messages.nodes[0]).toEqual({
      cost: '0.00007935',
      inputTokens: 1_001,
      run: { usage: { ...usage, cost: '0.00007935' } },
    })
    expect(found.usage).toEqual({
      inputTokens: 2_002,
      outputTokens: 14,
      cachedInputTokens: 2_000,
      cost: '0.0001587',
      runs: 2,
    })
    expect(await totalOf(api)).toMatchObject({ runs: 2, messages: 4, inputTokens: 2_002, cost: 0.0001587 })
  })

  it('writes the smallest costs as plain decimals', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ model: 'openai:gpt-5-nano' })
    models.answer({
      speech: { text: ['Hi'], usage: { inputTokens: 1, outputTokens: 0, cachedInputTokens: 1 } },
    })
    await api.change('sendMessage', { sessionId, content: 'Hello', wait: true })
    expect((await api.run(session, { id: sessionId })).session.usage.cost).toBe('0.000000005')
    expect((await usageOf(api)).map(({ cost }: { cost: string }) => cost)).toContain('0.000000005')
  })

  it('has no cost for a reply whose price is not known, and nothing for one that is free', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ model: 'openai:home-made' })
    models.answer({
      speech: { text: ['Hi'], usage: { inputTokens: 9, outputTokens: 9, cachedInputTokens: 0 } },
    })
    await api.change('sendMessage', { sessionId, content: 'Hello', wait: true })
    const unknown = (await api.run(session, { id: sessionId })).session
    expect(unknown.messages.nodes[0].cost).toBeNull()
    expect(unknown.usage).toMatchObject({ cost: '0', inputTokens: 9, runs: 1 })
    await api.change('sendMessage', { sessionId, content: 'Hello', model: 'demo:chat', wait: true })
    expect((await api.run(session, { id: sessionId })).session.messages.nodes[0].cost).toBe('0')
  })
})

it('of a session goes beyond what an integer holds', async () => {
  const api = newcomer()
  const sessionId = await api.createSession({ model: 'openai:gpt-4o-mini' })
  const most = 2 ** 31 - 1
  await sql(
    app.databaseUrl,
    'UPDATE sessions SET input_tokens = $2, output_tokens = $2, cached_input_tokens = $2 WHERE id = $1',
    { values: [decodeId(sessionId).uuid, most] },
  )
  models.answer({
    speech: { text: ['One'], usage: { inputTokens: 3, outputTokens: 2, cachedInputTokens: 1 } },
  })
  const { run } = await api.sendMessage({ sessionId, content: 'First', wait: true })
  expect(run.status).toBe('COMPLETED')
  expect((await api.run(session, { id: sessionId })).session.usage).toMatchObject({
    inputTokens: most + 3,
    outputTokens: most + 2,
    cachedInputTokens: most + 1,
    runs: 1,
  })
})

describe('the ledger', () => {
  it('has every run that ended, however it ended', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ model: 'openai:gpt-4o-mini' })
    models.answer({ status: 400, body: { error: { message: 'No' } } })
    const failed = await api.sendMessage({ sessionId, content: 'Fail', wait: true })
    expect(failed.run.status).toBe('FAILED')
    models.answer({ speech: { text: ['Wait'] }, afterwards: 'hang' })
    const hanging = await api.sendMessage({ sessionId, content: 'Hang' })
    const queued = await api.sendMessage({ sessionId, content: 'Queue' })
    const cancel = 'mutation ($input: CancelRunInput!) { cancelRun(input: $input) { __typename } }'
    for (const { run } of [queued, hanging]) await api.run(cancel, { input: { runId: run.id } })
    expect(await totalOf(api)).toMatchObject({ runs: 3, failures: 1, messages: 6, sessions: 1 })
  })

  it('outlives the session, its messages and its runs', async () => {
    const api = newcomer()
    const sessionId = await api.createSession({ agent: 'research' })
    await api.change('sendMessage', { sessionId, content: 'Remember me', wait: true })
    const before = await totalOf(api)
    expect(before).toMatchObject({ runs: 1, messages: 2, sessions: 1 })
    await sql(app.databaseUrl, 'DELETE FROM sessions WHERE id = $1', { values: [decodeId(sessionId).uuid] })
    expect(await totalOf(api)).toEqual({ ...before, messages: 0 })
    const [bySession] = await usageOf(api, { groupBy: 'SESSION' })
    expect(bySession).toMatchObject({ key: sessionId, runs: 1 })
    expect(await totalOf(api, { filter: { agent: 'research' } })).toMatchObject({ runs: 1 })
    expect(await totalOf(api, { filter: { agent: 'primary' } })).toMatchObject({ runs: 0 })
    expect(await totalOf(api, { filter: { agent: 'nobody' } })).toMatchObject({ runs: 0 })
  })
})

describe('who asks for usage', () => {
  it('gets its own; admins get the tenant’s and may name a user', async () => {
    const tenant = 'shared'
    const [alice, bob, admin] = [
      newcomer(undefined, tenant),
      newcomer(undefined, tenant),
      newcomer('ADMIN', tenant),
    ]
    const stranger = newcomer('ADMIN')
    const me = async (api: Api) => (await api.run('{ viewer { user { id } } }')).viewer.user.id as string
    const [alicesId, bobsId] = [await me(alice), await me(bob)]
    const sessionId = await alice.createSession()
    await alice.change('sendMessage', { sessionId, content: 'Mine', wait: true })
    await sql(
      app.databaseUrl,
      `INSERT INTO participants (tenant_id, session_id, user_id, role) SELECT tenant_id, id, $2, 'EDITOR' FROM sessions WHERE id = $1`,
      { values: [decodeId(sessionId).uuid, decodeId(bobsId).uuid] },
    )
    await bob.change('sendMessage', { sessionId, content: 'And mine', wait: true })

    expect(await totalOf(alice)).toMatchObject({ runs: 1, messages: 4 })
    expect(await totalOf(bob)).toMatchObject({ runs: 1, messages: 0 })
    expect(await totalOf(admin)).toMatchObject({ runs: 2, messages: 4 })
    expect(await totalOf(admin, { filter: { userId: bobsId } })).toMatchObject({ runs: 1 })
    const byUser = await usageOf(admin, { groupBy: 'USER' })
    expect(new Set(byUser.map(({ key }: { key: string }) => key))).toEqual(new Set([alicesId, bobsId]))
    expect(await totalOf(stranger)).toMatchObject({ runs: 0, messages: 0 })
    expect(await totalOf(stranger, { filter: { userId: bobsId } })).toMatchObject({ runs: 0, messages: 0 })

    const { errors } = await alice.send(counting, asked({ filter: { userId: bobsId } }))
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN')
    expect(await totalOf(alice, { filter: { userId: alicesId } })).toMatchObject({ runs: 1 })
  })
})

describe('the buckets of usage', () => {
  it('are there for every interval in UTC, empty ones as well', async () => {
    const range = { from: '2024-02-28T22:30:00Z', to: '2024-03-01T00:00:00.001Z' }
    const starts = async (interval: string) =>
      (await usageOf(newcomer(), { ...range, interval })).map(({ start }: { start: string }) => start)
    expect(await starts('DAY')).toEqual([
      '2024-02-28T00:00:00.000Z',
      '2024-02-29T00:00:00.000Z',
      '2024-03-01T00:00:00.000Z',
    ])
    expect(await starts('MONTH')).toEqual(['2024-02-01T00:00:00.000Z', '2024-03-01T00:00:00.000Z'])
    expect(await starts('HOUR')).toHaveLength(27)
    expect((await usageOf(newcomer(), range))[0]).toMatchObject({
      key: null,
      runs: 0,
      cost: '0',
      timeToFirstTokenP95Ms: null,
    })
    expect(await usageOf(newcomer(), { ...range, groupBy: 'MODEL' })).toEqual([])
  })

  it('are refused where they would be too many, or the range is none', async () => {
    const api = newcomer()
    const refusal = async (rest: object) => {
      const { errors } = await api.send(counting, asked(rest))
      expect(errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
      return errors?.[0]?.message
    }
    const from = '2024-01-01T00:00:00Z'
    expect(await usageOf(api, { from, to: '2024-02-11T16:00:00Z', interval: 'HOUR' })).toHaveLength(1_000)
    expect(await refusal({ from, to: '2024-02-11T16:00:00.001Z', interval: 'HOUR' })).toContain(
      'more than 1000',
    )
    expect(await refusal({ from, to: '9999-12-31T00:00:00Z', interval: 'MONTH' })).toContain('more than 1000')
    expect(await refusal({ from, to: from })).toContain('not after')
    expect(await refusal({ from, to: '2023-12-31T00:00:00Z' })).toContain('not after')
    expect(await refusal({ filter: { userId: 'user_x' } })).toContain('filter.userId')
    expect(await refusal({ filter: { sessionId: encodeId('User', crypto.randomUUID()) } })).toContain(
      'filter.sessionId',
    )
    expect(await refusal({ filter: { agent: 'agent_x' } })).toContain('filter.agent')
    expect(await refusal({ filter: { agent: '\0' } })).toContain('NUL')
    expect(await refusal({ filter: { model: '\0' } })).toContain('NUL')
  })

  it('are refused where groups make too many of them', async () => {
    const api = newcomer('ADMIN')
    const { viewer } = await api.run('{ viewer { tenant { id } } }')
    await sql(
      app.databaseUrl,
      `INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, model, status, input_tokens, output_tokens,
         cached_input_tokens, cost)
       SELECT $1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'demo:chat', 'COMPLETED', 1, 1, 0, 0
       FROM generate_series(1, 5001)`,
      { values: [decodeId(viewer.tenant.id).uuid] },
    )
    const { errors } = await api.send(counting, asked({ groupBy: 'SESSION' }))
    expect(errors?.[0]).toMatchObject({
      message: expect.stringContaining('more than 5000 buckets'),
      extensions: { code: 'BAD_USER_INPUT' },
    })
    expect(await totalOf(api)).toMatchObject({ runs: 5_001, sessions: 5_001 })
  })
})

it('shows what models cost', async () => {
  const { models: listed } = await newcomer().run('{ models { id pricing { input output cachedInput } } }')
  expect(listed.find(({ id }: { id: string }) => id === 'demo:chat').pricing).toEqual({
    input: '0',
    output: '0',
    cachedInput: '0',
  })
})
