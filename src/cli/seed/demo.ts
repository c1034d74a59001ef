import { createHash } from 'node:crypto'
import type { Sql, Statement, SystemDatabase } from '../../db/client.ts'
import { type Conversation, readConversations, type Turn } from './conversations.ts'

export type Seeded = { sessions: number; messages: number }

const names = ['alice', 'bob', 'carol', 'dave']
const model = 'demo:chat'
const activePerAgent = 5

const insertUsers: Statement = {
  name: 'seed-users',
  text: `INSERT INTO users (tenant_id, id, external_id, name, email)
    SELECT $1, u.id, u.name, initcap(u.name), u.name || '@example.org'
    FROM jsonb_to_recordset($2) AS u(id uuid, name text)
    ON CONFLICT (tenant_id, external_id) DO UPDATE SET
      name = coalesce(users.name, excluded.name), email = coalesce(users.email, excluded.email)
    RETURNING id, external_id AS name`,
}

const findAgents: Statement = {
  name: 'seed-agents',
  text: 'SELECT id, key AS name FROM agents WHERE tenant_id = $1',
}

const insertSession: Statement = {
  name: 'seed-session',
  text: `INSERT INTO sessions (tenant_id, id, user_id, agent_id, title, title_source, metadata, tags, is_active,
      deleted_at, last_message_at, message_count, last_seq, revision, client_id, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, 'PERSON', $6, $7, $8, $9::timestamptz, $10::timestamptz, $11, $11, 1, $12, $13, coalesce($9::timestamptz, $10::timestamptz))
    ON CONFLICT (tenant_id, user_id, client_id) WHERE client_id IS NOT NULL AND NOT is_stateless
    DO NOTHING RETURNING id`,
}

const insertMessages: Statement = {
  name: 'seed-messages',
  text: `INSERT INTO messages (tenant_id, session_id, id, seq, role, content, tool_calls, tool_call_id, agent_id,
      author_id, run_id, finish_reason, model, input_tokens, output_tokens, created_at, updated_at)
    SELECT $1, $2, m.id, m.seq, m.role, m.content, m.calls, m.answers, m.agent, m.author, m.run,
      CASE WHEN m.role <> 'ASSISTANT' THEN NULL WHEN m.calls = '[]' THEN 'STOP' ELSE 'TOOL_CALLS' END::"FinishReason",
      m.model, m.input, m.output, m.at, m.at
    FROM jsonb_to_recordset($3) AS m(id uuid, seq int, role "MessageRole", content text, calls jsonb, answers text,
      agent uuid, author uuid, run uuid, model text, input int, output int, at timestamptz)`,
}

// Each question with the last of its replies.
const insertRuns: Statement = {
  name: 'seed-runs',
  text: `INSERT INTO runs (tenant_id, id, session_id, user_id, status, model, user_message_id, assistant_message_id,
      input_tokens, output_tokens, queued_at, started_at, first_token_at, finished_at, created_at, updated_at)
    SELECT $1, q.run_id, $2, q.author_id, 'COMPLETED', r.model, q.id, r.id, r.input_tokens, r.output_tokens,
      q.created_at, q.created_at, q.created_at + interval '0.4 s', r.created_at, q.created_at, r.created_at
    FROM messages q JOIN LATERAL (SELECT * FROM messages a WHERE a.tenant_id = q.tenant_id AND a.session_id = q.session_id
        AND a.run_id = q.run_id AND a.role = 'ASSISTANT' ORDER BY a.seq DESC LIMIT 1) r ON true
    WHERE q.tenant_id = $1 AND q.session_id = $2 AND q.role = 'USER'`,
}

const countUsage: Statement = {
  name: 'seed-usage',
  text: `UPDATE sessions s SET input_tokens = used.input, output_tokens = used.output, run_count = used.runs
    FROM (SELECT sum(input_tokens) AS input, sum(output_tokens) AS output, count(*) AS runs
      FROM runs WHERE tenant_id = $1 AND session_id = $2) used
    WHERE s.tenant_id = $1 AND s.id = $2`,
}

const recordUsage: Statement = {
  name: 'seed-usage-records',
  text: `INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, agent_id, model, status, input_tokens,
      output_tokens, cached_input_tokens, cost, time_to_first_token_ms, created_at)
    SELECT tenant_id, id, user_id, session_id, $3, model, status, input_tokens, output_tokens, 0, 0, 400, finished_at
    FROM runs WHERE tenant_id = $1 AND session_id = $2`,
}

const insertParticipants: Statement = {
  name: 'seed-participants',
  text: `INSERT INTO participants (tenant_id, session_id, user_id, role)
    SELECT $1, $2, p.id, p.role FROM jsonb_to_recordset($3) AS p(id uuid, role "ParticipantRole")`,
}

const insertReadMark: Statement = {
  name: 'seed-read-mark',
  text: 'INSERT INTO read_marks (tenant_id, session_id, user_id, last_read_seq) VALUES ($1, $2, $3, $4)',
}

type World = {
  tenantId: string
  now: Date
  users: ReadonlyMap<string, string>
  agents: ReadonlyMap<string, string>
}

/**
 * Fills the tenant with conversations of some weeks before `now`. What an earlier call stored stays as it is; one
 * that was erased meanwhile comes again.
 */
export async function seedDemo(system: SystemDatabase, tenantId: string, now: Date): Promise<Seeded> {
  const conversations = await readConversations()
  const newUsers = names.map((name) => ({ id: idAt(daysBefore(now, 40), name), name }))
  const users = await system.sql<Named>(insertUsers, [tenantId, JSON.stringify(newUsers)])
  const agents = await system.sql<Named>(findAgents, [tenantId])
  const world = { tenantId, now, users: byName(users), agents: byName(agents) }
  const active = activeOnes(conversations)
  const seeded = { sessions: 0, messages: 0 }
  for (const conversation of conversations) {
    const isStored = await system.transaction((sql) =>
      store(sql, world, conversation, active.has(conversation)),
    )
    if (!isStored) continue
    seeded.sessions += 1
    seeded.messages += conversation.turns.length
  }
  return seeded
}

async function store(
  sql: Sql,
  world: World,
  conversation: Conversation,
  isActive: boolean,
): Promise<boolean> {
  const { tenantId, now, users, agents } = world
  const { title, owner, daysAgo, tags, turns } = conversation
  const ownerId = users.get(owner)
  const agentId = agents.get(conversation.agent) ?? null
  const startedAt = daysBefore(now, daysAgo)
  const id = idAt(startedAt, title)
  const messages = messagesOf(conversation, startedAt, world, agentId)
  const deletedAt = conversation.isDeleted ? daysBefore(now, daysAgo - 1) : null
  const [stored] = await sql(insertSession, [
    tenantId,
    id,
    ownerId,
    agentId,
    title,
    { seed: true, topic: tags[0] },
    tags,
    isActive,
    deletedAt,
    messages.at(-1)?.at,
    turns.length,
    `seed: ${title}`,
    startedAt,
  ])
  if (!stored) return false
  const participants = conversation.participants.map(({ user, role }) => ({ id: users.get(user), role }))
  await sql(insertMessages, [tenantId, id, JSON.stringify(messages)])
  await sql(insertRuns, [tenantId, id])
  await sql(countUsage, [tenantId, id])
  await sql(recordUsage, [tenantId, id, agentId])
  await sql(insertParticipants, [tenantId, id, JSON.stringify(participants)])
  await sql(insertReadMark, [tenantId, id, ownerId, turns.length - conversation.unread])
  return true
}

/** The rows of the turns, each a while after the one before, with the tokens of all that came before as its input. */
function messagesOf({ title, turns }: Conversation, startedAt: Date, world: World, agentId: string | null) {
  let at = startedAt.getTime()
  let tokensBefore = 0
  let runId: string | null = null
  return turns.map((turn, index) => {
    const name = `${title} ${index + 1}`
    const tokens = Math.ceil(textOf(turn).length / 4)
    at += turn.role === 'USER' ? 25_000 + (index % 5) * 4_000 : 2_000 + Math.min(tokens * 25, 6_000)
    if (turn.role === 'USER') runId = idAt(new Date(at), `run ${name}`)
    const isReply = turn.role === 'ASSISTANT'
    const row = {
      id: idAt(new Date(at), name),
      seq: index + 1,
      role: turn.role,
      content: turn.content,
      calls: 'call' in turn ? [turn.call] : [],
      answers: turn.role === 'TOOL' ? turn.answers : null,
      agent: isReply ? agentId : null,
      author: turn.role === 'USER' ? world.users.get(turn.author) : null,
      run: runId,
      model: isReply ? model : null,
      input: isReply ? tokensBefore : null,
      output: isReply ? tokens : null,
      at: new Date(at),
    }
    tokensBefore += tokens
    return row
  })
}

const textOf = (turn: Turn) => turn.content ?? ('call' in turn ? JSON.stringify(turn.call) : '')

/** The latest few of each user with each agent, as the limit would have left them. */
function activeOnes(conversations: readonly Conversation[]): ReadonlySet<Conversation> {
  const kept = conversations.filter(({ isDeleted }) => !isDeleted)
  const groups = Map.groupBy(kept, ({ owner, agent }) => `${owner} ${agent}`)
  const latest = (group: readonly Conversation[]) =>
    group.toSorted((a, b) => a.daysAgo - b.daysAgo).slice(0, activePerAgent)
  return new Set([...groups.values()].flatMap(latest))
}

type Named = { id: string; name: string }
const byName = (rows: readonly Named[]) => new Map(rows.map(({ id, name }) => [name, id]))

const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * 86_400_000)

/** A UUIDv7 of that moment whose other bits come from the name. */
function idAt(at: Date, name: string): string {
  const time = at.getTime().toString(16).padStart(12, '0')
  const hash = createHash('sha256').update(name).digest('hex')
  const digits = `${time}7${hash.slice(0, 3)}8${hash.slice(3, 18)}`
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
