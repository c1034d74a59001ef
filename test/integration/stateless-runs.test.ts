import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { complete, runEvents, user } from './stateless.harness.ts'

const recording = createRecordingProvider()
const nextCall = () => recording.call(recording.calls.length)
let app: TestApp
let alice: Api
beforeAll(async () => {
  app = await startTestApp({
    providers: [recording.provider],
    env: { RUNS_PER_USER: '10', TITLE_MODEL: 'demo:chat' },
  })
  alice = app.api()
})

describe('runEvents', () => {
  it('tells one run from the state so far to its end, and goes on from a cursor', async () => {
    const calling = nextCall()
    const { run, assistantMessage } = await complete(alice, { model, messages: [user('Tell me')] })
    const call = await calling
    call.tell(say('Once '))
    const first = app.socket().watch(runEvents, { id: run.id })
    const snapshot = await first.at(0)
    expect(snapshot).toMatchObject({
      __typename: 'RunSnapshot',
      reason: 'START',
      run: { id: run.id, session: null },
    })
    const said = () =>
      snapshot.messages.at(-1).content + first.events.map(({ text = '' }: { text?: string }) => text).join('')
    await first.until(() => said() === 'Once ')
    const { cursor } = first.events.at(-1)
    first.stop()
    call.tell(say('upon '), say('a time.'), end)
    const second = app.socket().watch(runEvents, { id: run.id, after: cursor })
    await second.ended
    const types = second.events.map(({ __typename: type }: { __typename: string }) => type)
    expect(types).not.toContain('RunSnapshot')
    expect(types.slice(-2)).toEqual(['MessageUpdated', 'RunFinished'])
    const rest = second.events.map(({ text = '' }: { text?: string }) => text).join('')
    expect(rest).toBe('upon a time.')
    // Whoever has the end already has nothing to wait for.
    const third = app.socket().watch(runEvents, { id: run.id, after: second.events.at(-1).cursor })
    await third.ended
    expect(third.events).toEqual([])
    const late = app.socket().watch(runEvents, { id: run.id })
    await late.ended
    expect(late.events).toMatchObject([
      {
        run: { status: 'COMPLETED' },
        messages: [{ content: 'Tell me' }, { id: assistantMessage.id, content: 'Once upon a time.' }],
      },
    ])
    const stranger = app.socket({ user: 'mallory' }).watch(runEvents, { id: run.id })
    await stranger.ended
    expect(stranger.events).toEqual([])
  })

  it.each(doorNames)('is open over %s', async (door) => {
    const { run } = await complete(alice, { messages: [user('Hello')], wait: true })
    const doors = await openDoors(app.url, app.token())
    const told = await doors[door](runEvents, { id: run.id })
    doors.close()
    expect(told).toMatchObject({ data: { runEvents: { reason: 'START', run: { status: 'COMPLETED' } } } })
  })

  it('tells of a session nothing but the run', async () => {
    const sessionId = await alice.createSession()
    const calling = nextCall()
    const { run } = await alice.sendMessage({ sessionId, content: 'First', model })
    const watch = app.socket().watch(runEvents, { id: run.id })
    await watch.at(0)
    await alice.change('addMessages', { sessionId, messages: [user('Beside')] })
    ;(await calling).tell(say('Done.'), end)
    await watch.ended
    const types = new Set(watch.events.map(({ __typename: type }: { __typename: string }) => type))
    expect(types).toEqual(new Set(['RunSnapshot', 'TextDelta', 'MessageUpdated', 'RunFinished']))
  })
})

describe('a stateless run', () => {
  it('is in no list, count, search, statistic or export, for nobody', async () => {
    const tenant = 'hidden'
    const word = 'xylophone'
    const carol = app.api({ user: 'carol', tenant })
    const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
    const changes = app
      .socket({ user: 'carol', tenant })
      .watch('subscription { sessionChanged { kind session { id } } }')
    await changes.at(0)
    const { run, assistantMessage } = await complete(carol, {
      messages: [user(`A ${word}, please`)],
      wait: true,
    })
    expect(run.status).toBe('COMPLETED')
    const { viewer } = await carol.run('{ viewer { user { id } } }')
    const userId = viewer.user.id
    const everywhere = `query ($userId: ID!) {
      sessions { totalCount } inactive: sessions(filter: { isActive: false }) { totalCount }
      deleted: sessions(filter: { deleted: true }) { totalCount }
      search(query: "${word}") { totalCount }
      userStats(userId: $userId) { totalSessions activeSessions totalMessages mostRecentSession { id } oldestSession { id } sessionsByAgent { count } }
      viewer { unread } }`
    for (const api of [carol, admin])
      expect(await api.run(everywhere, { userId })).toEqual({
        sessions: { totalCount: 0 },
        inactive: { totalCount: 0 },
        deleted: { totalCount: 0 },
        search: { totalCount: 0 },
        userStats: {
          ...{ totalSessions: 0, activeSessions: 0, totalMessages: 0 },
          ...{ mostRecentSession: null, oldestSession: null, sessionsByAgent: [] },
        },
        viewer: { unread: 0 },
      })
    const usage = `{ usage(from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", interval: MONTH, groupBy: SESSION) {
      key sessions messages runs } }`
    expect((await admin.run(usage)).usage).toEqual([{ key: null, sessions: 0, messages: 0, runs: 1 }])

    // Not even for who gets hold of its id.
    const [place] = await query<{ id: string }>(
      app.databaseUrl,
      'SELECT session_id AS id FROM runs WHERE id = $1',
      {
        values: [decodeId(run.id).uuid],
      },
    )
    const sessionId = encodeId('Session', place?.id ?? '')
    for (const api of [carol, admin]) {
      const found = await api.run(
        `query ($id: ID!, $run: ID!, $message: ID!) { session(id: $id) { id } node(id: $id) { id }
          run(id: $run) { session { id } assistantMessage { session { id } } } message(id: $message) { session { id } } }`,
        { id: sessionId, run: run.id, message: assistantMessage.id },
      )
      expect(found).toEqual({
        ...{ session: null, node: null, message: { session: null } },
        run: { session: null, assistantMessage: { session: null } },
      })
      const refused = await Promise.all([
        api.sendMessage({ sessionId, content: 'Hi' }),
        api.mutate('addMessages', { sessionId, messages: [user('Hi')] }),
        api.mutate('updateSession', { sessionId, title: 'Mine' }),
        api.mutate('forkSession', { sessionId, atMessageId: assistantMessage.id }),
        api.mutate('exportSession', { sessionId, format: 'JSON' }),
        api.mutate('deleteSession', { sessionId }),
        api.mutate('purgeSession', { sessionId }),
        api.mutate('markRead', { sessionId }),
        api.mutate('regenerateMessage', { messageId: assistantMessage.id }),
        api.mutate('deleteMessage', { messageId: assistantMessage.id }),
      ])
      expect(refused.map(({ code }) => code)).toEqual(refused.map(() => 'NOT_FOUND'))
    }
    await carol.createSession()
    await changes.until(({ kind }) => kind === 'CREATED')
    expect(changes.events).toHaveLength(2)
    const dave = app.api({ user: 'dave', tenant })
    expect(await dave.run('query ($id: ID!) { run(id: $id) { id } }', { id: run.id })).toEqual({ run: null })
  })

  it('goes with its user', async () => {
    const tenant = 'forgotten'
    const erin = app.api({ user: 'erin', tenant })
    await complete(erin, { messages: [user('Forget me')], wait: true })
    const { viewer } = await erin.run('{ viewer { user { id } } }')
    const admin = app.api({ user: 'root', role: 'ADMIN', tenant })
    const receipt = await admin.mutate(
      'eraseUser',
      { userId: viewer.user.id },
      'sessions messages runs usageRecords',
    )
    expect(receipt).toEqual({ sessions: 0, messages: 2, runs: 1, usageRecords: 1 })
  })
})
