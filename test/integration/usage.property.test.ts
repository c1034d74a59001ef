import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query as sql } from '../support/postgres.ts'

const usage = `query ($from: DateTime!, $to: DateTime!, $interval: UsageInterval!, $groupBy: UsageGroup!, $filter: UsageFilter) {
  usage(from: $from, to: $to, interval: $interval, groupBy: $groupBy, filter: $filter) {
    start key sessions messages runs failures inputTokens outputTokens cachedInputTokens cost
    timeToFirstTokenP50Ms timeToFirstTokenP95Ms
  }
}`

const tenant = 'ledger'
let app: TestApp
let world: { tenantId: string; users: string[]; agents: string[]; sessions: Session[] }
type Session = { id: string; user: string; agent: string | null }

beforeAll(async () => {
  app = await startTestApp()
  const [alice, bob] = [app.api({ user: 'alice', tenant }), app.api({ user: 'bob', tenant })]
  const me = '{ viewer { user { id } tenant { id } } agents { id } }'
  const [a, b] = [await alice.run(me), await bob.run(me)]
  const uuid = (id: string) => decodeId(id).uuid
  const users = [uuid(a.viewer.user.id), uuid(b.viewer.user.id)] as const
  const agents: string[] = a.agents.slice(0, 2).map(({ id }: { id: string }) => uuid(id))
  const [first = '', second = ''] = agents
  const make = async (owner: 0 | 1, agent: string | null): Promise<Session> => ({
    id: uuid(
      await (owner === 0 ? alice : bob).createSession(agent ? { agent: encodeId('Agent', agent) } : {}),
    ),
    user: users[owner],
    agent,
  })
  const stored = [await make(0, null), await make(0, first), await make(1, second)]
  const gone = { id: randomUUID(), user: users[0], agent: first }
  world = { tenantId: uuid(a.viewer.tenant.id), users: [...users], agents, sessions: [...stored, gone] }
})

const edges = [
  '2024-02-29T00:00:00Z',
  '2024-03-01T00:00:00Z',
  '2024-03-31T02:00:00Z',
  '2024-12-31T23:00:00Z',
  '2025-01-01T00:00:00Z',
]
/** Often a millisecond from where an hour, a day or a month ends, also those of a change of clocks or a leap year. */
const moment = fc.oneof(
  fc
    .tuple(fc.constantFrom(...edges), fc.integer({ min: -2, max: 2 }))
    .map(([edge, ms]) => Date.parse(edge) + ms),
  fc
    .integer({ min: Date.parse('2024-02-27') / 1_000, max: Date.parse('2025-01-03') / 1_000 })
    .map((at) => at * 1_000),
)
const which = (max: number) => fc.integer({ min: 0, max })
const model = fc.constantFrom('demo:chat', 'openai:gpt-5')
const tokens = fc.oneof(which(100), which(2 ** 31 - 1))

const run = fc.record({
  at: moment,
  session: which(3),
  user: which(1),
  agent: fc.option(which(1)),
  model,
  status: fc.constantFrom('COMPLETED', 'FAILED', 'CANCELLED', 'INTERRUPTED'),
  input: tokens,
  output: tokens,
  cached: tokens,
  nanodollars: fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n }),
  firstTokenMs: fc.option(which(20)),
})
const message = fc.record({
  at: moment,
  session: which(2),
  agent: fc.option(which(1)),
  model: fc.option(model),
})
/** At times longer than hours can tell. */
const between = fc
  .oneof(
    fc.tuple(moment, moment),
    fc.tuple(moment, which(40 * 86_400_000)).map(([at, ms]) => [at, at + ms]),
  )
  .filter(([a, b]) => a !== b)
/** Each condition leaves less to count. */
const seldom = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value })
const asked = fc.record({
  between,
  interval: fc.constantFrom('HOUR', 'DAY', 'MONTH'),
  groupBy: fc.constantFrom('NONE', 'MODEL', 'AGENT', 'SESSION', 'USER'),
  isAdmin: fc.boolean(),
  userId: seldom(which(1)),
  sessionId: seldom(which(3)),
  agent: seldom(which(1)),
  model: seldom(model),
})
type Run = typeof run extends fc.Arbitrary<infer T> ? T : never
type Message = typeof message extends fc.Arbitrary<infer T> ? T : never
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never

it('counts what a count by hand counts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(run, { maxLength: 30 }),
      fc.array(message, { maxLength: 30 }),
      asked,
      async (runs, messages, question) => {
        await store(runs, messages)
        expect(await ask(question)).toEqual(countByHand(runs, messages, question))
      },
    ),
    { numRuns: 100 },
  )
})

async function store(runs: readonly Run[], messages: readonly Message[]): Promise<void> {
  const { tenantId, users, agents, sessions } = world
  const agentOf = (index: number | null) => (index === null ? null : agents[index])
  const rows = runs.map((each) => ({
    ...each,
    run: randomUUID(),
    at: new Date(each.at),
    session: sessions[each.session]?.id,
    user: users[each.user],
    agent: agentOf(each.agent),
    cost: decimal(each.nanodollars, 9),
    nanodollars: null,
  }))
  const texts = messages.map((each, index) => ({
    ...each,
    id: randomUUID(),
    seq: index + 1,
    at: new Date(each.at),
    session: sessions[each.session]?.id,
    agent: agentOf(each.agent),
  }))
  await sql(app.databaseUrl, 'DELETE FROM usage_records; DELETE FROM messages')
  await sql(
    app.databaseUrl,
    `WITH ledger AS (INSERT INTO usage_records SELECT $1, r.run, r."user", r.session, r.agent, r.model, r.status::"RunStatus",
          r.input, r.output, r.cached, r.cost, r."firstTokenMs", r.at
        FROM jsonb_to_recordset($2) AS r(run uuid, "user" uuid, session uuid, agent uuid, model text, status text,
          input int, output int, cached int, cost numeric, "firstTokenMs" int, at timestamptz))
    INSERT INTO messages (tenant_id, id, session_id, seq, role, content, agent_id, model, created_at)
    SELECT $1, m.id, m.session, m.seq, 'ASSISTANT', '', m.agent, m.model, m.at
    FROM jsonb_to_recordset($3) AS m(id uuid, session uuid, seq int, agent uuid, model text, at timestamptz)`,
    { values: [tenantId, JSON.stringify(rows), JSON.stringify(texts)] },
  )
}

const rangeOf = ({ between }: Asked) => ({ from: Math.min(...between), to: Math.max(...between) })

async function ask(question: Asked) {
  const { interval, groupBy, isAdmin, userId, sessionId, agent, model: wanted } = question
  const range = rangeOf(question)
  const api = app.api({ user: isAdmin ? 'root' : 'alice', tenant, role: isAdmin ? 'ADMIN' : 'USER' })
  const filter = {
    ...(userId !== null && isAdmin && { userId: encodeId('User', world.users[userId] ?? '') }),
    ...(sessionId !== null && { sessionId: encodeId('Session', world.sessions[sessionId]?.id ?? '') }),
    ...(agent !== null && { agent: encodeId('Agent', world.agents[agent] ?? '') }),
    ...(wanted !== null && { model: wanted }),
  }
  const variables = { from: new Date(range.from), to: new Date(range.to), interval, groupBy, filter }
  const { data, errors } = await api.send(usage, variables)
  if (errors) return errors[0]?.extensions.code
  return data.usage
}

/** A decimal number without the zeros at its end. */
function decimal(units: bigint, places: number): string {
  const digits = units.toString().padStart(places + 1, '0')
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`.replace(/\.?0+$/, '')
}

/** The part of an ISO stamp that tells the interval. */
const lengths = { HOUR: 13, DAY: 10, MONTH: 7 } as const
const rests = { HOUR: ':00:00.000Z', DAY: 'T00:00:00.000Z', MONTH: '-01T00:00:00.000Z' } as const

function countByHand(runs: readonly Run[], messages: readonly Message[], question: Asked) {
  const { interval, groupBy, isAdmin } = question
  const { from, to } = rangeOf(question)
  const startOf = (at: number) => new Date(at).toISOString().slice(0, lengths[interval]) + rests[interval]
  const starts = new Set<string>()
  const stepMs = interval === 'HOUR' ? 3_600_000 : 86_400_000
  for (let at = Date.parse(startOf(from)); at < to; at += stepMs) starts.add(startOf(at))
  if (starts.size > 1_000) return 'BAD_USER_INPUT'

  const entries = [
    ...runs.map((each) => ({
      each,
      message: null,
      at: each.at,
      SESSION: world.sessions[each.session]?.id ?? null,
      USER: world.users[each.user] ?? null,
      AGENT: each.agent === null ? null : (world.agents[each.agent] ?? null),
      MODEL: each.model as string | null,
      NONE: null,
    })),
    ...messages.map((each) => ({
      each: null,
      message: each,
      at: each.at,
      SESSION: world.sessions[each.session]?.id ?? null,
      USER: world.sessions[each.session]?.user ?? null,
      AGENT: (each.agent === null ? world.sessions[each.session]?.agent : world.agents[each.agent]) ?? null,
      MODEL: each.model,
      NONE: null,
    })),
  ].filter((entry) => {
    const user = isAdmin ? (question.userId === null ? null : world.users[question.userId]) : world.users[0]
    return (
      entry.at >= from &&
      entry.at < to &&
      (user === null || entry.USER === user) &&
      (question.sessionId === null || entry.SESSION === world.sessions[question.sessionId]?.id) &&
      (question.agent === null || entry.AGENT === world.agents[question.agent]) &&
      (question.model === null || entry.MODEL === question.model)
    )
  })
  const buckets = new Map<string, typeof entries>()
  if (groupBy === 'NONE') for (const start of starts) buckets.set(JSON.stringify([start, null]), [])
  for (const entry of entries) {
    const name = JSON.stringify([startOf(entry.at), entry[groupBy]])
    buckets.set(name, [...(buckets.get(name) ?? []), entry])
  }
  const counted = [...buckets].map(([name, inside]) => {
    const [start, key] = JSON.parse(name) as [string, string | null]
    const ended = inside.flatMap(({ each }) => each ?? [])
    const sum = (field: 'input' | 'output' | 'cached') =>
      ended.reduce((total, each) => total + each[field], 0)
    const waits = ended.flatMap(({ firstTokenMs }) => firstTokenMs ?? []).sort((a, b) => a - b)
    const percentile = (share: number) => waits[Math.ceil(share * waits.length) - 1] ?? null
    return {
      start,
      key,
      sessions: new Set(inside.map(({ SESSION }) => SESSION)).size,
      messages: inside.filter(({ message: text }) => text).length,
      runs: ended.length,
      failures: ended.filter(({ status }) => status === 'FAILED' || status === 'INTERRUPTED').length,
      inputTokens: sum('input'),
      outputTokens: sum('output'),
      cachedInputTokens: sum('cached'),
      cost: decimal(
        ended.reduce((total, { nanodollars }) => total + nanodollars, 0n),
        9,
      ),
      timeToFirstTokenP50Ms: percentile(0.5),
      timeToFirstTokenP95Ms: percentile(0.95),
    }
  })
  const order = (a: string | null, b: string | null) =>
    a === b ? 0 : a === null || (b !== null && a < b) ? -1 : 1
  counted.sort((a, b) => order(a.start, b.start) || order(a.key, b.key))
  const types = { NONE: null, MODEL: null, AGENT: 'Agent', SESSION: 'Session', USER: 'User' } as const
  const type = types[groupBy]
  return counted.map((bucket) => ({
    ...bucket,
    key: bucket.key && type ? encodeId(type, bucket.key) : bucket.key,
  }))
}
