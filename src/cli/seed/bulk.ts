import type { Statement, SystemDatabase } from '../../db/client.ts'
import type { Seeded } from './demo.ts'

export type BulkSize = { sessions: number; messages: number; users: number }

/** Messages in one transaction. */
const chunkMessages = 20_000
const maxChunkSessions = 5_000

/** A UUIDv7 in SQL: the moment, then what makes it this row's. */
const idAt = (at: string, name: string) =>
  `(lpad(to_hex((extract(epoch FROM ${at}) * 1000)::bigint), 12, '0') || '7' || substr(md5(${name}), 1, 3)
    || '8' || substr(md5(${name}), 4, 15))::uuid`

const pick = (seed: string, choices: readonly string[]) =>
  `(ARRAY[${choices.map((choice) => `'${choice.replaceAll("'", "''")}'`).join(', ')}])[1 + abs(hashint4(${seed})) % ${choices.length}]`

const subjects = [
  'the quarterly report',
  'our backup plan',
  'a training schedule',
  'the garden shed',
  'the slow search page',
  'a letter to the bank',
  'the school trip',
  'container networking',
  'the kitchen budget',
  'a talk about tides',
  'the release notes',
  'sleep and coffee',
]
const openings = [
  'Could you help me with',
  'I am stuck with',
  'What is the next step for',
  'Please summarise',
  'How would you improve',
  'What did we forget about',
  'Make a list of risks for',
]
const answers = [
  'Begin with what is certain, write down what is assumed, and look at the largest unknown first.',
  'Three steps are enough: measure how it is now, change one thing, and measure again.',
  'The short version fits on one page; everything else belongs into an appendix that nobody has to read.',
  'Two things are missing: who decides, and until when. Ask for both before anything else is done.',
  'That works well as long as it stays small. Put a limit on it and look at it again in a month.',
]

const insertUsers: Statement = {
  name: 'seed-bulk-users',
  text: `INSERT INTO users (tenant_id, id, external_id, name, email)
    SELECT t.id, ${idAt('t.created_at', `'user ' || n`)}, 'user-' || n, 'User ' || n, 'user-' || n || '@example.org'
    FROM tenants t, generate_series(1, $2::int) AS n WHERE t.id = $1
    ON CONFLICT (tenant_id, external_id) DO NOTHING`,
}

// `next` is the number after the highest that a title ends with: where some were purged, a count would give one in use.
const countStored: Statement = {
  name: 'seed-bulk-stored',
  text: `SELECT count(*)::int AS sessions, coalesce(sum(message_count), 0)::int AS messages,
      coalesce(max(substring(title FROM ' (\\d{1,9})$')::int) FILTER (WHERE tags @> '{bulk}') + 1, 0) AS next
    FROM sessions WHERE tenant_id = $1`,
}

/** Shares of the messages that go to the sessions before one: of ten, one is long and has 64 of 100, the others 4 each. */
const sharesBefore = (place: string) => `(4 * ${place}::bigint + 60 * ((${place} + 9) / 10))`

const messagesBefore = (place: string) => `(${sharesBefore(place)} * $5::bigint / ${sharesBefore('$6::int')})`

// Sessions $2 to $3, when there are to be $4 in all, spread over the ninety days before the tenant was made; $5 messages
// shared out to the $6 sessions from number $7 on.
const planned = `SELECT s.n, t.id AS tenant_id, s.at, ${idAt('s.at', `'session ' || s.n`)} AS id,
    (${messagesBefore('(s.n - $7::int + 1)')} - ${messagesBefore('(s.n - $7::int)')})::int AS messages, u.id AS user_id, a.id AS agent_id
  FROM tenants t
    JOIN LATERAL (SELECT n, t.created_at - (90 - 90.0 * n / $4) * interval '1 day' AS at
      FROM generate_series($2::int, $3::int) AS n) s ON true
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS count
      FROM users WHERE tenant_id = $1) u ON u.place = abs(hashint4(s.n)) % u.count
    JOIN (SELECT id, row_number() OVER (ORDER BY key) - 1 AS place, count(*) OVER () AS count
      FROM agents WHERE tenant_id = $1) a ON a.place = s.n % a.count
  WHERE t.id = $1`

const insertSessions: Statement = {
  name: 'seed-bulk-sessions',
  text: `INSERT INTO sessions (tenant_id, id, user_id, agent_id, title, title_source, metadata, tags, is_active,
      last_message_at, message_count, last_seq, revision, created_at, updated_at, input_tokens, output_tokens, cost,
      run_count)
    SELECT tenant_id, id, user_id, agent_id, initcap(${pick('n', subjects)}) || ' ' || n, 'PERSON',
      jsonb_build_object('project', n % 100), ARRAY['bulk', 'tag-' || n % 20], false,
      at + messages * interval '20 s', messages, messages, 1, at, at + messages * interval '20 s',
      30 * (messages / 2) * (messages / 2 + 1), 45 * (messages / 2), (messages / 2) * (messages / 2 + 1) * 0.000001,
      messages / 2
    FROM (${planned}) planned`,
}

const insertMessages: Statement = {
  name: 'seed-bulk-messages',
  text: `INSERT INTO messages (tenant_id, session_id, id, seq, role, content, agent_id, author_id, finish_reason,
      model, input_tokens, output_tokens, created_at, updated_at)
    SELECT p.tenant_id, p.id, ${idAt('m.at', `'message ' || p.n || ' ' || m.seq`)}, m.seq,
      CASE WHEN m.asks THEN 'USER' ELSE 'ASSISTANT' END::"MessageRole",
      CASE WHEN m.asks THEN ${pick('p.n + m.seq', openings)} || ' ' || ${pick('p.n', subjects)} || '?'
        ELSE ${pick('p.n * 31 + m.seq', answers)} || ' ' || ${pick('p.n + m.seq * 17', answers)} END,
      CASE WHEN NOT m.asks THEN p.agent_id END, CASE WHEN m.asks THEN p.user_id END,
      CASE WHEN NOT m.asks THEN 'STOP' END::"FinishReason", CASE WHEN NOT m.asks THEN 'demo:chat' END,
      CASE WHEN NOT m.asks THEN m.seq * 30 END, CASE WHEN NOT m.asks THEN 45 END, m.at, m.at
    FROM (${planned}) p JOIN LATERAL (
      SELECT seq, seq % 2 = 1 AS asks, p.at + seq * interval '20 s' AS at FROM generate_series(1, p.messages) AS seq
    ) m ON true`,
}

// A reply is a run's, and has cost something; of what is asked and answered the owner has read all but the last in every
// third session. The rows of the runs themselves are gone, as those of an erased session are.
const insertUsage: Statement = {
  name: 'seed-bulk-usage',
  text: `INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, agent_id, model, status, input_tokens,
      output_tokens, cached_input_tokens, cost, time_to_first_token_ms, created_at)
    SELECT p.tenant_id, ${idAt('r.at', `'run ' || p.n || ' ' || r.seq`)}, p.user_id, p.id, p.agent_id, 'demo:chat',
      CASE WHEN r.seq % 50 = 0 THEN 'FAILED' ELSE 'COMPLETED' END::"RunStatus", r.seq * 30, 45, 0, r.seq * 0.000001,
      200 + (p.n + r.seq) % 400, r.at
    FROM (${planned}) p JOIN LATERAL (
      SELECT seq, p.at + seq * interval '20 s' AS at FROM generate_series(2, p.messages, 2) AS seq) r ON true`,
}

const insertReadMarks: Statement = {
  name: 'seed-bulk-read-marks',
  text: `INSERT INTO read_marks (tenant_id, session_id, user_id, last_read_seq)
    SELECT tenant_id, id, user_id, greatest(0, messages - CASE WHEN n % 3 = 0 THEN 1 ELSE 0 END)
    FROM (${planned}) planned`,
}

// Of every tenth session, one of a tenth of the users, where that is not its owner.
const insertParticipants: Statement = {
  name: 'seed-bulk-participants',
  text: `INSERT INTO participants (tenant_id, session_id, user_id, role)
    SELECT p.tenant_id, p.id, u.id, CASE WHEN p.n % 20 = 0 THEN 'EDITOR' ELSE 'VIEWER' END::"ParticipantRole"
    FROM (${planned}) p
      JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS count
        FROM users WHERE tenant_id = $1) u ON u.place = 10 * (abs(hashint4(p.n + 1)) % ((u.count + 9) / 10)) AND u.id <> p.user_id
    WHERE p.n % 10 = 0`,
}

// The latest of each user with each agent, as many as an agent allows by default.
const activateLatest: Statement = {
  name: 'seed-bulk-activate',
  text: `WITH ranked AS (SELECT id, is_active, row_number() OVER (PARTITION BY user_id, agent_id
        ORDER BY last_message_at DESC, id DESC) <= 5 AS wanted
      FROM sessions WHERE tenant_id = $1 AND deleted_at IS NULL)
    UPDATE sessions s SET is_active = ranked.wanted FROM ranked
    WHERE s.tenant_id = $1 AND s.id = ranked.id AND s.is_active <> ranked.wanted`,
}

/**
 * Fills the tenant up to that many sessions and messages, in steps of one transaction each; a later call goes on
 * where an earlier one ended. Tells how many of the sessions are there after each step.
 */
export async function seedBulk(
  system: SystemDatabase,
  tenantId: string,
  size: BulkSize,
  begin: (size: { done: number; total: number }) => (done: number) => void,
): Promise<Seeded> {
  await system.sql(insertUsers, [tenantId, size.users])
  const [stored] = await system.sql<Seeded & { next: number }>(countStored, [tenantId])
  const there = stored?.sessions ?? 0
  const first = stored?.next ?? 0
  const sessions = Math.max(0, size.sessions - there)
  const before = stored?.messages ?? 0
  const messages = sessions === 0 ? 0 : Math.max(0, size.messages - before)
  const step = Math.min(
    maxChunkSessions,
    Math.max(1, Math.floor((chunkMessages * sessions) / (messages || 1))),
  )
  const reach = begin({ done: there, total: size.sessions })
  for (let done = 0; done < sessions; done += step) {
    const end = Math.min(done + step, sessions)
    const plan = [tenantId, first + done, first + end - 1, first + sessions, messages, sessions, first]
    await system.transaction(async (sql) => {
      await sql(insertSessions, plan)
      for (const statement of [insertMessages, insertUsage, insertReadMarks, insertParticipants])
        await sql(statement, plan)
    })
    reach(there + end)
  }
  if (sessions > 0) await system.sql(activateLatest, [tenantId])
  return { sessions, messages }
}
