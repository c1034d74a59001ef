import { beforeAll, describe, expect, it } from 'vitest'
import { encodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'

const stats = `query ($userId: ID) { userStats(userId: $userId) {
  userId totalSessions activeSessions totalMessages tokens cost
  sessionsByAgent { agent { key } count }
  mostRecentSession { id title }
  oldestSession { id }
} }`

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const me = async (api: Api): Promise<string> => (await api.run('{ viewer { user { id } } }')).viewer.user.id

describe('the stats of a user', () => {
  it('are empty at first', async () => {
    const api = app.api({ user: 'newcomer' })
    expect((await api.run(stats)).userStats).toEqual({
      userId: await me(api),
      totalSessions: 0,
      activeSessions: 0,
      totalMessages: 0,
      tokens: 0,
      cost: '0',
      sessionsByAgent: [],
      mostRecentSession: null,
      oldestSession: null,
    })
  })

  it('count sessions, messages, agents and tokens; deleted sessions count for tokens only', async () => {
    const api = app.api({ user: 'alice' })
    const oldest = await api.createSession({ agent: 'primary', title: 'Oldest' })
    await api.createSession({ agent: 'primary' })
    const inactive = await api.createSession({ agent: 'research' })
    const plain = await api.createSession({})
    await api.run('mutation ($input: UpdateSessionInput!) { updateSession(input: $input) { __typename } }', {
      input: { sessionId: inactive, isActive: false },
    })
    const { run: first } = await api.sendMessage({ sessionId: plain, content: 'One', wait: true })
    const { run: second } = await api.sendMessage({ sessionId: oldest, content: 'Two', wait: true })
    const tokens = [first, second].reduce((sum, { usage }) => sum + usage.inputTokens + usage.outputTokens, 0)
    expect(tokens).toBeGreaterThan(0)

    const expected = {
      totalSessions: 4,
      activeSessions: 3,
      totalMessages: 4,
      tokens,
      cost: '0',
      mostRecentSession: { id: oldest, title: 'Oldest' },
      oldestSession: { id: oldest },
    }
    const { userStats } = await api.run(stats)
    expect(userStats).toMatchObject(expected)
    expect(userStats.sessionsByAgent[0]).toEqual({ agent: { key: 'primary' }, count: 2 })
    expect(userStats.sessionsByAgent).toHaveLength(3)
    expect(userStats.sessionsByAgent).toContainEqual({ agent: { key: 'research' }, count: 1 })
    expect(userStats.sessionsByAgent).toContainEqual({ agent: null, count: 1 })

    await api.run('mutation ($input: DeleteSessionInput!) { deleteSession(input: $input) { __typename } }', {
      input: { sessionId: oldest },
    })
    const later = (await api.run(stats)).userStats
    expect(later).toMatchObject({ totalSessions: 3, activeSessions: 2, totalMessages: 2, tokens })
    expect(later.mostRecentSession.id).toBe(plain)
    expect(later.oldestSession.id).not.toBe(oldest)
  })

  it('are for the user itself, admins and services of its tenant', async () => {
    const api = app.api({ user: 'carol' })
    await api.createSession({ title: 'Private' })
    const userId = await me(api)
    const codeFor = async (other: Api, id = userId) => {
      const { errors } = await other.send(stats, { userId: id })
      return errors?.[0]?.extensions.code
    }
    expect((await api.run(stats, { userId })).userStats.totalSessions).toBe(1)
    for (const role of ['ADMIN', 'SERVICE'] as const) {
      const { userStats } = await app.api({ user: 'root', role }).run(stats, { userId })
      expect(userStats).toMatchObject({ userId, totalSessions: 1, mostRecentSession: { title: 'Private' } })
      expect(await codeFor(app.api({ user: 'root', tenant: 'elsewhere', role }))).toBe('NOT_FOUND')
    }
    expect(await codeFor(app.api({ user: 'bob' }))).toBe('FORBIDDEN')
    expect(
      await codeFor(app.api({ user: 'root', role: 'ADMIN' }), encodeId('User', crypto.randomUUID())),
    ).toBe('NOT_FOUND')
    expect(await codeFor(api, 'user_x')).toBe('BAD_USER_INPUT')
    expect(await codeFor(api, await api.createSession())).toBe('BAD_USER_INPUT')
  })
})
