import { Client } from 'pg'
import { beforeAll, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const admin: Identity = { user: 'ada', role: 'ADMIN' }
const userId = async (user: string): Promise<string> =>
  (await app.api({ user }).run('{ viewer { user { id } } }')).viewer.user.id

/** Runs `meanwhile` while what `begin` begins waits for a lock. */
async function whileWaiting<Result>(
  lock: { sql: string; values?: unknown[] },
  begin: () => Promise<Result>,
  meanwhile: () => Promise<void>,
  { databaseUrl }: TestApp = app,
): Promise<Result> {
  const holder = new Client({ connectionString: databaseUrl })
  await holder.connect()
  try {
    await holder.query('BEGIN')
    await holder.query(lock.sql, lock.values)
    const begun = begin()
    await expect.poll(() => waiting(databaseUrl)).toBeGreaterThan(0)
    await meanwhile()
    await holder.query('COMMIT')
    return await begun
  } finally {
    await holder.end()
  }
}

async function waiting(databaseUrl: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    databaseUrl,
    `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  )
  return row?.count ?? 0
}

/** What every change of the number of a user's active sessions begins with. */
const turnOf = (user: string) => ({
  sql: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))',
  values: [decodeId(user).uuid],
})

it('a session from a template that is deleted meanwhile is not made', async () => {
  const [api, user] = [app.api({ user: 'tess' }), await userId('tess')]
  const { template } = await api.mutate('createTemplate', { name: 'Short-lived' }, 'template { id }')
  const made = await whileWaiting(
    turnOf(user),
    () => api.mutate('createSession', { template: template.id }),
    async () => {
      expect(await api.mutate('deleteTemplate', { templateId: template.id })).not.toHaveProperty('code')
    },
  )
  expect(made).toEqual({ code: 'NOT_FOUND', message: 'No such template, or it is not visible to you.' })
})

it('a session of a user who is erased meanwhile is not made', async () => {
  const user = await userId('erwin')
  const made = await whileWaiting(
    turnOf(user),
    () => app.api(admin).mutate('createSession', { userId: user }),
    async () => {
      expect(await app.api({ user: 'root', role: 'ADMIN' }).mutate('eraseUser', { userId: user })).toEqual({
        __typename: 'EraseUserPayload',
      })
    },
  )
  expect(made).toEqual({ code: 'NOT_FOUND', message: 'No such user, or it is not visible to you.' })
})

it('an erasure takes a session along that is made meanwhile', async () => {
  const user = await userId('elsa')
  const erased = await whileWaiting(
    // Its own sessions are gone by then.
    { sql: 'LOCK TABLE memories IN SHARE MODE' },
    () => app.api(admin).mutate('eraseUser', { userId: user }, 'sessions'),
    async () => {
      await app.api(admin).createSession({ userId: user })
    },
  )
  expect(erased).toEqual({ sessions: 1 })
})

it('a fork at a message that is deleted meanwhile is not made', async () => {
  const [api, user] = [app.api({ user: 'fred' }), await userId('fred')]
  const sessionId = await api.createSession()
  const { messages } = await api.mutate(
    'addMessages',
    { sessionId, messages: [{ role: 'USER', content: 'One' }] },
    'messages { id }',
  )
  const fork = await whileWaiting(
    turnOf(user),
    () => api.mutate('forkSession', { sessionId, atMessageId: messages[0].id }),
    async () => {
      await api.change('deleteMessage', { messageId: messages[0].id })
    },
  )
  expect(fork).toEqual({ code: 'NOT_FOUND', message: 'No such message, or it is not visible to you.' })
  expect((await api.run('{ sessions { totalCount } }')).sessions.totalCount).toBe(1)
})

it('creations of one user wait for each other without the connections that others need', async () => {
  const small = await startTestApp({ env: { DATABASE_POOL_SIZE: '3' } })
  const [api, other] = [small.api({ user: 'many' }), small.api({ user: 'other' })]
  const { viewer } = await api.run('{ viewer { user { id } } }')
  await other.createSession()
  const made = await whileWaiting(
    turnOf(viewer.user.id),
    () => Promise.all(Array.from({ length: 12 }, () => api.mutate('createSession', {}))),
    async () => {
      // Those that wait in this process show nowhere. Each that came to the lock would keep a connection from one of these.
      for (let asked = 0; asked < 12; asked += 1) await other.run('{ sessions { totalCount } }')
      await other.createSession()
    },
    small,
  )
  expect(made).toEqual(Array(12).fill({ __typename: 'CreateSessionPayload' }))
})
