import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const limit = 3

let app: TestApp
let strict: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: `${limit}` } })
  strict = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: `${limit}`, SESSION_LIMIT_POLICY: 'reject' } })
})

const agents = ['primary', 'research']
const step = fc.record({
  kind: fc.constantFrom('create', 'getOrCreate', 'restore', 'delete', 'activate', 'move', 'fork'),
  agent: fc.constantFrom(...agents),
  which: fc.nat(),
})
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** How many active sessions a user has with each agent. */
const activeCounts = (target: TestApp, user: string) =>
  query<{ agent: string; count: number }>(
    target.databaseUrl,
    `SELECT coalesce(a.key, 'none') AS agent, count(*)::int FROM sessions s
     JOIN users u ON u.id = s.user_id LEFT JOIN agents a ON a.id = s.agent_id
     WHERE u.external_id = $1 AND s.is_active AND s.deleted_at IS NULL GROUP BY 1`,
    { values: [user] },
  )

async function prepare(api: Api) {
  const sessions: { id: string; messageId: string; isDeleted: boolean }[] = []
  for (let n = 0; n < 6; n += 1) {
    const id = await api.createSession()
    const { messages } = await api.mutate(
      'addMessages',
      { sessionId: id, messages: [{ role: 'USER', content: 'Hello' }] },
      'messages { id }',
    )
    sessions.push({ id, messageId: messages[0].id, isDeleted: n < 3 })
    await api.change('updateSession', { sessionId: id, isActive: false })
    await api.change('updateSession', { sessionId: id, agent: agents[n % 2], isActive: true })
    if (n < 3) await api.change('deleteSession', { sessionId: id })
  }
  return sessions
}

function play(api: Api, sessions: Awaited<ReturnType<typeof prepare>>, { kind, agent, which }: Step) {
  const { id, messageId } = sessions[which % sessions.length] as (typeof sessions)[number]
  if (kind === 'create') return api.mutate('createSession', { agent })
  if (kind === 'getOrCreate') return api.mutate('getOrCreateSession', { agent, key: `${which % 4}` })
  if (kind === 'restore') return api.mutate('restoreSession', { sessionId: id })
  if (kind === 'delete') return api.mutate('deleteSession', { sessionId: id })
  if (kind === 'activate') return api.mutate('updateSession', { sessionId: id, isActive: true })
  if (kind === 'move') return api.mutate('updateSession', { sessionId: id, agent })
  return api.mutate('forkSession', { sessionId: id, atMessageId: messageId })
}

let users = 0
it.each([
  ['the oldest give way', () => app, []],
  ['more are refused', () => strict, ['LIMIT_EXCEEDED']],
] as const)('the limit of active sessions holds in any race where %s', async (_name, target, refusals) => {
  const allowed = [undefined, 'NOT_FOUND', ...refusals]
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 16 }), async (steps) => {
      const user = `user-${users++}`
      const api = target().api({ user })
      const sessions = await prepare(api)
      const results = await Promise.all(steps.map((each) => play(api, sessions, each)))
      for (const { code } of results) expect(allowed).toContain(code)
      for (const { count } of await activeCounts(target(), user)) expect(count).toBeLessThanOrEqual(limit)
    }),
    // A failure is not shrunk: the same race rarely happens twice.
    { numRuns: 8, endOnFailure: true },
  )
})

it('is filled to the last by racing creations', async () => {
  for (const [target, user] of [
    [app, 'full-1'],
    [strict, 'full-2'],
  ] as const) {
    const api = target.api({ user })
    await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        n % 2
          ? api.mutate('createSession', { agent: 'primary' })
          : api.mutate('getOrCreateSession', { key: `${n}`, agent: 'primary' }),
      ),
    )
    expect(await activeCounts(target, user)).toEqual([{ agent: 'primary', count: limit }])
  }
})

it('tells of which sessions there are too many', async () => {
  const api = strict.api({ user: 'told' })
  for (const [agent, which] of [
    ['primary', 'with this agent'],
    [null, 'without an agent'],
  ]) {
    for (let n = 0; n < limit; n += 1) await api.createSession({ agent })
    expect(await api.mutate('createSession', { agent })).toEqual({
      code: 'LIMIT_EXCEEDED',
      message: `There are ${limit} active sessions ${which} already, which is the limit; deactivate or delete one.`,
    })
  }
})
