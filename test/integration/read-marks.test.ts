import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { askedBy, costOf } from '../support/plans.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
})

const write = (api: Api, sessionId: string, count: number, role = 'USER') =>
  api.change('addMessages', {
    sessionId,
    messages: Array.from({ length: count }, (_, n) => ({ role, content: `${role} ${n}` })),
  })
const read = async (api: Api, id: string) =>
  (await api.run('query ($id: ID!) { session(id: $id) { viewerLastReadSeq viewerUnread } }', { id })).session
const total = async (api: Api) => (await api.run('{ viewer { unread } }')).viewer.unread

describe('what a user has not read', () => {
  it('is what others wrote above its mark', async () => {
    const [alice, bob] = [app.api(), app.api({ user: 'bob' })]
    const id = await alice.createSession()
    await alice.change('addParticipant', { sessionId: id, externalUserId: 'bob', role: 'EDITOR' })
    await write(alice, id, 3)
    await write(alice, id, 2, 'ASSISTANT')
    await write(bob, id, 4)
    expect(await read(alice, id)).toEqual({ viewerLastReadSeq: 0, viewerUnread: 6 })
    expect(await read(bob, id)).toEqual({ viewerLastReadSeq: 0, viewerUnread: 5 })

    const mark = (seq?: number) =>
      alice.mutate('markRead', { sessionId: id, seq }, 'session { viewerLastReadSeq viewerUnread }')
    expect(await mark(4)).toEqual({ session: { viewerLastReadSeq: 4, viewerUnread: 5 } })
    // Another device is late: what was read stays read.
    expect(await mark(2)).toEqual({ session: { viewerLastReadSeq: 4, viewerUnread: 5 } })
    expect(await mark()).toEqual({ session: { viewerLastReadSeq: 9, viewerUnread: 0 } })
    expect(await read(bob, id)).toEqual({ viewerLastReadSeq: 0, viewerUnread: 5 })
    await write(bob, id, 1)
    await write(alice, id, 1)
    expect(await read(alice, id)).toEqual({ viewerLastReadSeq: 9, viewerUnread: 1 })
  })

  it('leaves out the older versions of messages', async () => {
    const alice = app.api({ user: 'versions' })
    const id = await alice.createSession()
    const { userMessage } = await alice.sendMessage({ sessionId: id, content: 'Hello', wait: true })
    const tab = app
      .socket({ user: 'versions' })
      .watch('subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename } }', { id })
    await tab.until(() => true)
    await alice.change('editMessage', { messageId: userMessage.id, content: 'Hi' })
    await tab.until((event) => event.__typename === 'RunFinished')
    expect((await read(alice, id)).viewerUnread).toBe(1)
  })

  it('adds up over the sessions that it takes part in', async () => {
    const [carol, dora] = [app.api({ user: 'carol' }), app.api({ user: 'dora' })]
    const admin = app.api({ user: 'root', role: 'ADMIN' })
    expect(await total(carol)).toBe(0)
    const own = await carol.createSession()
    await write(carol, own, 2, 'ASSISTANT')
    const shared = await dora.createSession()
    const { user } = await dora.mutate(
      'addParticipant',
      { sessionId: shared, externalUserId: 'carol', role: 'VIEWER' },
      'user { id }',
    )
    await write(dora, shared, 5)
    await write(dora, await dora.createSession(), 9)
    expect(await total(carol)).toBe(7)
    await carol.change('markRead', { sessionId: shared, seq: 3 })
    expect(await total(carol)).toBe(4)
    await dora.change('removeParticipant', { sessionId: shared, userId: user.id })
    expect(await total(carol)).toBe(2)
    await carol.change('deleteSession', { sessionId: own })
    expect(await total(carol)).toBe(0)
    expect(await total(admin)).toBe(0)
  })
})

it('is counted as far as people look at a number: the latest messages of the latest conversations', async () => {
  const heidi = app.api({ user: 'heidi' })
  const ids: string[] = []
  for (let count = 0; count < 12; count += 1) ids.push(await heidi.createSession({ title: `${count}` }))
  await query(
    app.databaseUrl,
    `INSERT INTO messages (tenant_id, id, session_id, seq, role, content)
       SELECT s.tenant_id, gen_random_uuid(), s.id, n, 'ASSISTANT', '' FROM sessions s, generate_series(1, 1005) n
       WHERE s.id = ANY($1)`,
    { values: [ids.map((id) => decodeId(id).uuid)] },
  )
  await query(app.databaseUrl, 'UPDATE sessions SET last_seq = 1005 WHERE id = ANY($1)', {
    values: [ids.map((id) => decodeId(id).uuid)],
  })
  const [id = ''] = ids
  const unread = async () => (await read(heidi, id)).viewerUnread
  expect(await unread()).toBe(1_000)
  expect(await total(heidi)).toBe(10_000)
  await heidi.change('markRead', { sessionId: id, seq: 1_000 })
  expect(await unread()).toBe(5)

  const asked = await askedBy('unread-of-', async () => {
    await total(heidi)
    await read(heidi, ids[1] ?? '')
  })
  expect(asked).toHaveLength(2)
  const tenantId = String(asked[0]?.values[0])
  for (const each of asked) {
    const { scanned, mostRows } = await costOf(app.databaseUrl, { role: 'parley_app', tenantId }, each)
    expect(scanned).toEqual([])
    expect(mostRows, each.text).toBeLessThan(11_000)
  }
})

it('marks what may be read, and nothing that is not there', async () => {
  const alice = app.api({ user: 'erin' })
  const id = await alice.createSession()
  await write(alice, id, 2)
  const mark = (api: Api, input: Record<string, unknown>) =>
    api.mutate('markRead', { sessionId: id, ...input })
  await alice.change('addParticipant', { sessionId: id, externalUserId: 'frank', role: 'VIEWER' })
  const frank = app.api({ user: 'frank' })
  expect(await mark(frank, { seq: 2 })).not.toHaveProperty('code')
  for (const seq of [-1, 3, 2_147_483_647])
    expect(await mark(alice, { seq })).toMatchObject({ code: 'BAD_USER_INPUT' })
  expect(await mark(alice, { sessionId: 'session_1' })).toMatchObject({ code: 'BAD_USER_INPUT' })
  for (const stranger of [app.api({ user: 'mallory' }), app.api({ tenant: 'globex', role: 'ADMIN' })])
    expect(await mark(stranger, {})).toMatchObject({ code: 'NOT_FOUND' })
  expect((await read(alice, id)).viewerLastReadSeq).toBe(0)
})
