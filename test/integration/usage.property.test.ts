import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { Client } from 'pg'
import { beforeAll, expect, it } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import { openRollups } from '../support/rollups.ts'
import {
  type Asked,
  countByHand,
  decimal,
  type Message,
  type Run,
  rangeOf,
  type Session,
  type World,
} from './usage.harness.ts'

const usage = `query ($from: DateTime!, $to: DateTime!, $interval: UsageInterval!, $groupBy: UsageGroup!, $filter: UsageFilter) {
  usage(from: $from, to: $to, interval: $interval, groupBy: $groupBy, filter: $filter) {
    start key sessions messages runs failures inputTokens outputTokens cachedInputTokens cost
    timeToFirstTokenP50Ms timeToFirstTokenP95Ms
  }
}`

const tenant = 'ledger'
let app: TestApp
let database: Client
let rollups: ReturnType<typeof openRollups>
let world: World & { tenantId: string }

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
  const nobody = randomUUID()
  world = {
    tenantId: uuid(a.viewer.tenant.id),
    users: [...users, nobody],
    agents,
    sessions: [...stored, gone],
  }
  rollups = openRollups(app)
  database = new Client({ connectionString: app.databaseUrl })
  await database.connect()
  atEndOfFile(() => database.end())
  // A tenant without anything to roll up has no horizon.
  await store([], [{ at: Date.parse('2024-06-01'), session: 0, agent: null, model: null }])
  await rollups.rollToHorizon()
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
const wholeEdge = fc
  .constantFrom('2024-01-01', '2024-02-29', '2024-03-01', '2025-01-01', '2025-02-01')
  .map(Date.parse)
const which = (max: number) => fc.integer({ min: 0, max })
const model = fc.constantFrom('demo:chat', 'openai:gpt-5')
const tokens = fc.oneof(which(100), which(2 ** 31 - 1))

const runOf = (at: typeof moment): fc.Arbitrary<Run> =>
  fc.record({
    at,
    // The last is none: what is asked for without a session.
    session: which(4),
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
const messageOf = (at: typeof moment): fc.Arbitrary<Message> =>
  fc.record({
    at,
    session: which(2),
    agent: fc.option(which(1)),
    model: fc.option(model),
  })
/** At times longer than hours can tell; often of whole intervals, which may be read from what is rolled up. */
const anyBetween = fc.oneof(
  fc.tuple(wholeEdge, wholeEdge),
  fc.tuple(moment, moment),
  fc.tuple(moment, which(40 * 86_400_000)).map(([at, ms]) => [at, at + ms]),
)
/** Each condition leaves less to count. */
const seldom = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value })
const askedOf = (
  between: fc.Arbitrary<number[]>,
  interval: fc.Arbitrary<Asked['interval']>,
): fc.Arbitrary<Asked> =>
  fc.record({
    between: between.filter(([a, b]) => a !== b),
    interval,
    groupBy: fc.constantFrom('NONE', 'MODEL', 'AGENT', 'SESSION', 'USER'),
    isAdmin: fc.boolean(),
    userId: seldom(which(1)),
    sessionId: seldom(which(3)),
    agent: seldom(which(1)),
    model: seldom(model),
  })
/** Most often once, so that much changes behind it. */
const rolls = fc.oneof(
  fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  fc.constant([true, false, false]),
  fc.constant([false, true, false]),
  fc.constant([true, true, false]),
)
/**
 * What is there, comes late, goes, changes hands or agents, at which times of that it is rolled up, and how far it was before
 * the first of them.
 */
const historyOf = (at: typeof moment) =>
  fc.record({
    runs: fc.array(runOf(at), { maxLength: 30 }),
    messages: fc.array(messageOf(at), { maxLength: 30 }),
    lateRuns: fc.array(runOf(at), { maxLength: 5 }),
    lateMessages: fc.array(messageOf(at), { maxLength: 5 }),
    goneRuns: fc.array(which(30), { maxLength: 3 }),
    goneMessages: fc.array(which(30), { maxLength: 3 }),
    isErased: seldom(fc.constant(true)),
    agent: seldom(which(1)),
    rolls,
    until: fc.option(at),
  })
type History = ReturnType<typeof historyOf> extends fc.Arbitrary<infer T> ? T : never

/** Some days around the end of a month, in which the same sessions are active again and again. */
const day = fc
  .integer({ min: Date.parse('2024-02-26') / 3_600_000, max: Date.parse('2024-03-06') / 3_600_000 })
  .map((hours) => hours * 3_600_000)

/** Of one session or user there is little to count. */
const byUser = askedOf(fc.tuple(day, day), fc.constantFrom('HOUR', 'DAY', 'MONTH')).map(
  (asked): Asked => ({ ...asked, groupBy: 'USER', isAdmin: true, userId: null, sessionId: null }),
)

it.each([
  ['a year', moment, askedOf(anyBetween, fc.constantFrom('HOUR', 'DAY', 'MONTH'))],
  ['parts of months', day, askedOf(fc.tuple(day, day), fc.constant('MONTH'))],
  ['users of a model, an agent or both', day, byUser],
])(
  'counts what a count by hand counts of %s, whatever was rolled up before it changed',
  async (_, at, asked) => {
    await fc.assert(
      fc.asyncProperty(
        historyOf(at),
        fc.array(asked, { minLength: 3, maxLength: 6 }),
        async (past, questions) => {
          const { runs, messages } = await live(past)
          for (const question of questions)
            expect(await ask(question)).toEqual(countByHand(world, { runs, messages }, question))
        },
      ),
      { numRuns: 150 },
    )
  },
)

/** Stores and changes it all; gives what is there at the end. */
async function live({ rolls, until, ...past }: History): Promise<{ runs: Run[]; messages: Message[] }> {
  const [, bob, nobody] = world.users
  const [session] = world.sessions
  if (!session) throw new Error('There is no session.')
  await database.query('DELETE FROM usage_records; DELETE FROM messages')
  await setAgent(session, null)
  const stored = await store(past.runs, past.messages)
  if (until !== null)
    await database.query(`UPDATE usage_horizons SET until = date_trunc('hour', $1::timestamptz)`, [
      new Date(until),
    ])
  if (rolls[0]) await rollups.roll()
  const late = await store(past.lateRuns, past.lateMessages)
  if (rolls[1]) await rollups.roll()

  const runs = [...stored.runs, ...late.runs]
  const messages = [...stored.messages, ...late.messages]
  const isKept = (gone: number[]) => (_: unknown, index: number) => !gone.includes(index)
  const idsOf = (rows: { id: string }[], gone: number[]) =>
    rows.filter((_, index) => gone.includes(index)).map(({ id }) => id)
  const gone = { runs: idsOf(runs, past.goneRuns), messages: idsOf(messages, past.goneMessages) }
  await database.query('DELETE FROM usage_records WHERE run_id = ANY($1)', [gone.runs])
  await database.query('DELETE FROM messages WHERE id = ANY($1)', [gone.messages])
  if (past.isErased)
    await database.query('UPDATE usage_records SET user_id = $2 WHERE user_id = $1', [bob, nobody])
  if (past.agent !== null) await setAgent(session, world.agents[past.agent] ?? null)
  if (rolls[2]) await rollups.roll()
  return {
    runs: runs
      .filter(isKept(past.goneRuns))
      .map((each) => (past.isErased && each.user === 1 ? { ...each, user: 2 } : each)),
    messages: messages.filter(isKept(past.goneMessages)),
  }
}

async function setAgent(session: Session, agent: string | null): Promise<void> {
  session.agent = agent
  await database.query('UPDATE sessions SET agent_id = $2 WHERE id = $1', [session.id, agent])
}

let seq = 0
async function store(runs: readonly Run[], messages: readonly Message[]) {
  const { tenantId, users, agents, sessions } = world
  const agentOf = (index: number | null) => (index === null ? null : agents[index])
  const namedRuns = runs.map((each) => ({ ...each, id: randomUUID() }))
  const namedMessages = messages.map((each) => ({ ...each, id: randomUUID() }))
  const rows = namedRuns.map((each) => ({
    ...each,
    at: new Date(each.at),
    session: sessions[each.session]?.id,
    user: users[each.user],
    agent: agentOf(each.agent),
    cost: decimal(each.nanodollars, 9),
    nanodollars: null,
  }))
  const texts = namedMessages.map((each) => ({
    ...each,
    seq: ++seq,
    at: new Date(each.at),
    session: sessions[each.session]?.id,
    agent: agentOf(each.agent),
  }))
  await database.query(
    `WITH ledger AS (INSERT INTO usage_records SELECT $1, r.id, r."user", r.session, r.agent, r.model, r.status::"RunStatus",
          r.input, r.output, r.cached, r.cost, r."firstTokenMs", r.at
        FROM jsonb_to_recordset($2) AS r(id uuid, "user" uuid, session uuid, agent uuid, model text, status text,
          input int, output int, cached int, cost numeric, "firstTokenMs" int, at timestamptz))
    INSERT INTO messages (tenant_id, id, session_id, seq, role, content, agent_id, model, created_at)
    SELECT $1, m.id, m.session, m.seq, 'ASSISTANT', '', m.agent, m.model, m.at
    FROM jsonb_to_recordset($3) AS m(id uuid, session uuid, seq int, agent uuid, model text, at timestamptz)`,
    [tenantId, JSON.stringify(rows), JSON.stringify(texts)],
  )
  return { runs: namedRuns, messages: namedMessages }
}

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
