import { execFile } from 'node:child_process'
import { chmod, mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startEmbeddedDatabase } from '../../src/db/embedded.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
const run = promisify(execFile)

async function seed(args: string[], env: NodeJS.Dict<string>) {
  const result = await run(process.execPath, [main, 'seed', ...args], {
    env: { PATH: process.env.PATH, ...env },
  }).catch((error: { stdout: string; stderr: string; code: number }) => error)
  return { stdout: result.stdout, stderr: result.stderr, code: 'code' in result ? result.code : 0 }
}

/** Every row of a table. */
const rowsOf = (app: TestApp, table: string) =>
  query(app.databaseUrl, `SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY t::text`)

describe('the demo tenant', () => {
  let app: TestApp
  let first: Awaited<ReturnType<typeof seed>>
  beforeAll(async () => {
    app = await startTestApp()
    first = await seed([], { DATABASE_URL: app.databaseUrl })
  })

  it('is filled with conversations', async () => {
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(
      /^Stored \d+ sessions with [\d,]+ messages in the tenant demo, in [\d.]+ s\.\n$/,
    )
    const { sessions, viewer } = await app.api({ user: 'developer', role: 'ADMIN' }).run(
      `{ viewer { tenant { slug } } sessions(first: 100) { totalCount nodes {
        title tags metadata messageCount isActive lastMessageAt user { name email } agent { key }
        messages(first: 2) { nodes { role content } } } } }`,
    )
    expect(viewer.tenant.slug).toBe('demo')
    expect(sessions.totalCount).toBeGreaterThanOrEqual(30)
    type Node = {
      title: string
      tags: string[]
      messageCount: number
      isActive: boolean
      lastMessageAt: string
      user: { name: string; email: string }
      agent: { key: string }
      messages: { nodes: { role: string; content: string }[] }
    }
    const nodes: Node[] = sessions.nodes
    for (const { title, tags, messages, lastMessageAt } of nodes) {
      expect(tags.length, title).toBeGreaterThan(0)
      expect(messages.nodes.map(({ role }) => role)).toEqual(['USER', 'ASSISTANT'])
      for (const { content } of messages.nodes) expect(content, title).not.toMatch(/^\s*$|^[>!=#] /)
      expect(Date.parse(lastMessageAt)).toBeLessThan(Date.now())
    }
    expect(new Set(nodes.map(({ user }) => user.name))).toEqual(new Set(['Alice', 'Bob', 'Carol', 'Dave']))
    expect(new Set(nodes.map(({ agent }) => agent.key))).toEqual(
      new Set(['primary', 'log_analysis', 'research', 'router']),
    )
    expect(Math.max(...nodes.map(({ messageCount }) => messageCount))).toBe(500)
    const active = Map.groupBy(
      nodes.filter(({ isActive }) => isActive),
      ({ user, agent }) => `${user.name} ${agent.key}`,
    )
    expect(Math.max(...[...active.values()].map(({ length }) => length))).toBe(5)
    expect(nodes.some(({ isActive }) => !isActive)).toBe(true)
  })

  it('has shared, unread and deleted ones, tool calls, runs and usage', async () => {
    const count = async (from: string) =>
      (await query<{ count: number }>(app.databaseUrl, `SELECT count(*)::int AS count FROM ${from}`))[0]
        ?.count
    expect(await count('participants')).toBeGreaterThan(3)
    expect(await count('sessions WHERE deleted_at IS NOT NULL')).toBe(1)
    expect(
      await count('read_marks r JOIN sessions s ON s.id = r.session_id AND last_read_seq < s.last_seq'),
    ).toBe(3)
    expect(await count(`messages WHERE role = 'TOOL'`)).toBe(1)
    const runs = await count('runs')
    expect(runs).toBe(await count(`messages WHERE role = 'USER'`))
    expect(await count('usage_records')).toBe(runs)
    // Numbered without gaps, and as many as the session says.
    expect(
      await count(`sessions s WHERE message_count <> (SELECT count(*) FROM messages m WHERE m.session_id = s.id)
        OR last_seq <> (SELECT max(seq) FROM messages m WHERE m.session_id = s.id)`),
    ).toBe(0)
  })

  it('can be talked in', async () => {
    const alice = app.api({ user: 'alice' })
    const { sessions } = await alice.run(
      '{ sessions(filter: { title: "sourdough" }) { nodes { id messageCount } } }',
    )
    const [{ id, messageCount }] = sessions.nodes
    const { userMessage, run } = await alice.sendMessage({ sessionId: id, content: 'Thanks!', wait: true })
    expect(run.status).toBe('COMPLETED')
    expect(userMessage.seq).toBe(messageCount + 1)
  })

  it('is not filled twice', async () => {
    const before = await rowsOf(app, 'messages')
    const second = await seed([], { DATABASE_URL: app.databaseUrl })
    expect(second.stdout).toBe('The tenant demo has it all already: nothing was stored.\n')
    expect(await rowsOf(app, 'messages')).toEqual(before)
  })

  it('is the same in every database but for its days', async () => {
    const other = await startTestApp()
    await seed([], { DATABASE_URL: other.databaseUrl })
    const texts = (of: TestApp) =>
      query(
        of.databaseUrl,
        `SELECT title, tags, s.metadata, is_active, seq, m.role, content, tool_calls, m.input_tokens,
          substr(m.id::text, 15) AS id FROM messages m JOIN sessions s ON s.id = m.session_id
         WHERE s.title NOT LIKE 'Sourdough%'
         ORDER BY title, seq`,
      )
    expect(await texts(other)).toEqual(await texts(app))
  })
})

describe('the bulk tenant', () => {
  it('gets as many as are asked for, tells its progress, and goes on where it ended', async () => {
    const app = await startTestApp()
    const env = { DATABASE_URL: app.databaseUrl }
    const counts = async () =>
      (
        await query(
          app.databaseUrl,
          `SELECT (SELECT count(*)::int FROM sessions) AS sessions, (SELECT count(*)::int FROM messages) AS messages,
            (SELECT sum(message_count)::int FROM sessions) AS counted,
            (SELECT count(*)::int FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE slug = 'bulk') AS users`,
        )
      )[0]
    const first = await seed(['--sessions', '3000', '--messages', '25001', '--users', '40'], env)
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toContain('3,000 of 3,000 sessions\n')
    expect(first.stdout).toMatch(
      /Stored 3,000 sessions with 25,001 messages in the tenant bulk, in .* per million\)/,
    )
    expect(first.stdout).not.toContain('\r')
    expect(await counts()).toEqual({ sessions: 3_000, messages: 25_001, counted: 25_001, users: 40 })

    const again = await seed(['--sessions', '3000', '--messages', '25001', '--users', '40'], env)
    expect(again.stdout).toBe('The tenant bulk has it all already: nothing was stored.\n')
    await seed(['--sessions', '3100', '--messages', '26000', '--users', '40'], env)
    expect(await counts()).toEqual({ sessions: 3_100, messages: 26_000, counted: 26_000, users: 40 })

    const { sessions } = await app
      .api({ tenant: 'bulk', user: 'user-7' })
      .run('{ sessions(first: 1) { totalCount nodes { title messages { nodes { role content } } } } }')
    expect(sessions.totalCount).toBeGreaterThan(10)
    expect(sessions.nodes[0].messages.nodes[0]).toMatchObject({ role: 'USER' })
  })
})

describe('the sessions of the bulk tenant', () => {
  it('come again as others where some were purged', async () => {
    const app = await startTestApp()
    const fill = () =>
      seed(['--sessions', '300', '--messages', '900', '--users', '7'], { DATABASE_URL: app.databaseUrl })
    const count = async () =>
      (
        await query(
          app.databaseUrl,
          'SELECT count(*)::int AS count, sum(message_count)::int AS sum FROM sessions',
        )
      )[0]
    await fill()
    // The last of those that have a number among them.
    await query(app.databaseUrl, `DELETE FROM sessions WHERE title ~ ' (7|150|299)$'`)
    expect((await count())?.count).toBe(297)
    expect(await fill()).toMatchObject({ code: 0, stderr: '' })
    expect(await count()).toEqual({ count: 300, sum: 900 })
  })

  it('have been read, shared, paid for, and are active as far as the limit allows', async () => {
    const app = await startTestApp()
    await seed(['--sessions', '500', '--messages', '5001', '--users', '7'], { DATABASE_URL: app.databaseUrl })
    const [row] = await query(
      app.databaseUrl,
      `SELECT (SELECT count(*)::int FROM read_marks) AS marks,
        (SELECT count(*)::int FROM read_marks r JOIN sessions s ON s.id = r.session_id AND r.last_read_seq < s.last_seq) AS unread,
        (SELECT count(*) FROM usage_records) = (SELECT count(*) FROM messages WHERE role = 'ASSISTANT') AS used,
        (SELECT max(count)::int FROM (SELECT count(*) FROM sessions WHERE is_active GROUP BY user_id, agent_id)) AS active,
        (SELECT count(*)::int FROM participants) > 20 AS shared,
        (SELECT count(*)::int FROM sessions s WHERE (input_tokens, output_tokens, cost, run_count) IS DISTINCT FROM
          (SELECT (coalesce(sum(u.input_tokens), 0)::float8, coalesce(sum(u.output_tokens), 0)::float8, coalesce(sum(u.cost), 0), count(*)::int)
           FROM usage_records u WHERE u.session_id = s.id)) AS wrong`,
    )
    expect(row).toEqual({ marks: 500, unread: 167, used: true, active: 5, shared: true, wrong: 0 })
  })
})

describe('refused', () => {
  const secret = 'a-secret-of-the-tests-that-is-long-enough'
  it.each([
    [['--sessions', 'many'], '--sessions many is not a number'],
    [['--sessions', '0'], '--sessions 0 is not a number'],
    [['--messages', '10'], '--sessions  is not a number'],
    [['--users', '3'], '--sessions  is not a number'],
    [['--colour'], 'Usage: npm run seed'],
    [['thirty'], 'Usage: npm run seed'],
  ])('is %j', async (args, message) => {
    const { code, stdout, stderr } = await seed(args, {})
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('    at ')
  })

  it('is production, unless it is meant', async () => {
    const app = await startTestApp()
    const env = { NODE_ENV: 'production', JWT_SECRET: secret, DATABASE_URL: app.databaseUrl }
    expect(await seed([], env)).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') })
    expect(await rowsOf(app, 'sessions')).toEqual([])
    expect(await seed(['--force'], env)).toMatchObject({ code: 0 })
    expect(await rowsOf(app, 'sessions')).not.toEqual([])
  })

  it('is a data folder that a server has; an idle one is filled', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-seed-')))
    onTestFinished(() => rm(folder, { recursive: true }))
    await chmod(folder, 0o711)
    const log = { info: () => {}, warn: () => {} }
    const holder = await startEmbeddedDatabase({ dataDir: folder, log })
    try {
      const { code, stderr } = await seed([], { DATA_DIR: folder })
      expect(code).toBe(1)
      expect(stderr).toMatch(
        /^The data folder .* is in use by another Parley, process \d+: stop that one, or/,
      )
      expect(stderr).not.toContain('    at ')
    } finally {
      await holder.stop()
    }
    expect(await seed([], { DATA_DIR: folder })).toMatchObject({ code: 0, stderr: '' })
  })
})
