import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { openLiveDoors } from '../support/live-doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'

// Two nodes that share nothing but the database.
let one: TestApp
let two: TestApp
beforeAll(async () => {
  one = await startTestApp()
  two = await startTestApp({ databaseUrl: one.databaseUrl })
})
besideNeighbour(() => one)

const viewer = '{ viewer { user { id } role } }'

async function statusOf(url: string, token: string) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
  const body = JSON.stringify({ query: viewer })
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body })
  return { status: response.status, ...((await response.json()) as { errors?: { message: string }[] }) }
}

const admin = { user: 'root', role: 'ADMIN' } as const
const idIn = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).jti

it('row 62: revoked tokens of a user are refused, and end what is open with them, on every node', async () => {
  const sessionId = await one.api().createSession()
  const token = one.token()
  const open = [
    await openLiveDoors(one.url, token, sessionId),
    await openLiveDoors(two.url, token, sessionId),
  ]
  const bob = await openFrames(two.url, { params: { authorization: `Bearer ${two.token({ user: 'bob' })}` } })
  const { viewer: alice } = await one.api().run(viewer)

  const revokedAt = performance.now()
  const payload = await one.api(admin).mutate('revokeTokens', { userId: alice.user.id }, 'revokedAt')
  expect(payload).toHaveProperty('revokedAt')
  expect(await statusOf(one.url, token)).toMatchObject({
    status: 401,
    errors: [{ message: 'The token was revoked; sign in again.' }],
  })
  for (const { frames, stream } of open) {
    expect(await frames.closed).toEqual({
      code: 4403,
      reason: 'The token was revoked: connect again with a fresh one',
    })
    // Without its `complete`, so that clients come back.
    await expect.poll(() => stream.failure).toBeDefined()
  }
  expect(performance.now() - revokedAt).toBeLessThan(5_000)
  expect((await statusOf(two.url, token)).status).toBe(401)
  const again = await openFrames(two.url)
  again.send({ type: 'connection_init', payload: { token } })
  expect((await again.closed).code).toBe(4403)

  // Issued in the next second it is a new one; nobody else was asked to go.
  await expect.poll(async () => (await statusOf(one.url, one.token())).status).toBe(200)
  bob.subscribe('1', viewer)
  expect((await bob.until(({ id }) => id === '1')).type).toBe('next')
  bob.socket.terminate()
})

it('row 62: one token is refused by its id, and the others of its user are not', async () => {
  const [lost, kept] = [one.token({ user: 'carol' }), one.token({ user: 'carol' })]
  const sessionId = await one.api({ user: 'carol' }).createSession()
  const open = [
    await openLiveDoors(two.url, lost, sessionId),
    await openLiveDoors(two.url, kept, sessionId),
  ] as const
  await one.api(admin).change('revokeTokens', { tokenId: idIn(lost) })
  expect((await open[0].frames.closed).code).toBe(4403)
  await expect.poll(() => open[0].stream.failure).toBeDefined()
  expect((await statusOf(one.url, lost)).status).toBe(401)
  expect((await statusOf(one.url, kept)).status).toBe(200)
  open[1].frames.subscribe('2', viewer)
  expect((await open[1].frames.until(({ id }) => id === '2')).type).toBe('next')
  expect(open[1].stream.failure).toBeUndefined()
  // A node that starts knows it from the first request on.
  const three = await startTestApp({ databaseUrl: one.databaseUrl })
  expect((await statusOf(three.url, lost)).status).toBe(401)
  open[1].frames.socket.terminate()
  open[1].stream.cut()
})

it('it says what to name, and is for admins of the tenant', async () => {
  const revoke = (api = one.api(admin), input: object = {}) => api.mutate('revokeTokens', { ...input })
  expect(await revoke()).toMatchObject({
    code: 'BAD_USER_INPUT',
    message: 'userId: is missing; name a user by userId or a token by tokenId',
  })
  expect(await revoke(one.api({ user: 'dave' }), { tokenId: 'x' })).toMatchObject({ code: 'FORBIDDEN' })
  // The same id in another tenant is another token.
  const token = one.token({ user: 'erin' })
  await revoke(one.api({ ...admin, tenant: 'globex' }), { tokenId: idIn(token) })
  expect((await statusOf(one.url, token)).status).toBe(200)
})

it('what was done is told to admins, who did it and when, and stays', async () => {
  const root = one.api({ ...admin, tenant: 'audited' })
  const alice = one.api({ tenant: 'audited' })
  const sessionId = await alice.createSession({ title: 'Secret title' })
  await alice.change('addParticipant', { sessionId, externalUserId: 'bob', role: 'VIEWER' })
  await alice.change('exportSession', { sessionId, format: 'JSON' })
  const { agent } = await root.mutate('createAgent', { key: 'helper', name: 'Helper' }, 'agent { id }')
  await root.change('updateAgent', { agentId: agent.id, systemPrompt: 'Secret prompt' })
  await root.change('setModelDefaults', { model: 'demo:chat', parameters: { temperature: 1 } })
  await root.change('revokeTokens', { tokenId: 'one' })
  await alice.change('deleteSession', { sessionId })
  await alice.change('restoreSession', { sessionId })
  await alice.change('purgeSession', { sessionId })
  // What fails leaves no trace of having been done.
  expect(await root.mutate('updateAgent', { agentId: agent.id, name: '' })).toHaveProperty('code')
  const { viewer: found } = await alice.run(viewer)
  await root.change('eraseUser', { userId: found.user.id })

  const list = `query ($first: Int, $filter: AuditFilter) { auditLog(first: $first, filter: $filter) {
    totalCount nodes { at action target actorRole actor { externalId } } pageInfo { hasNextPage } } }`
  const { auditLog } = await root.run(list)
  const byRoot = { actorRole: 'ADMIN', actor: { externalId: 'root' }, at: expect.any(String) }
  const byAlice = { actorRole: 'USER', actor: null, at: expect.any(String) }
  expect(auditLog.nodes.reverse()).toEqual([
    { action: 'addParticipant', target: sessionId, ...byAlice },
    { action: 'exportSession', target: sessionId, ...byAlice },
    { action: 'createAgent', target: agent.id, ...byRoot },
    { action: 'updateAgent', target: agent.id, ...byRoot },
    { action: 'setModelDefaults', target: 'demo:chat', ...byRoot },
    { action: 'revokeTokens', target: 'token one', ...byRoot },
    { action: 'deleteSession', target: sessionId, ...byAlice },
    { action: 'restoreSession', target: sessionId, ...byAlice },
    { action: 'purgeSession', target: sessionId, ...byAlice },
    { action: 'eraseUser', target: found.user.id, ...byRoot },
  ])
  expect(JSON.stringify(auditLog)).not.toContain('Secret')
  const some = await root.run(list, { first: 1, filter: { action: 'updateAgent' } })
  expect(some.auditLog).toMatchObject({ totalCount: 1, nodes: [{ action: 'updateAgent' }] })
  const stored = await query(
    one.databaseUrl,
    `SELECT has_table_privilege('parley_app', 'audit_entries', 'UPDATE') AS may_update,
       has_table_privilege('parley_app', 'audit_entries', 'DELETE') AS may_delete`,
  )
  expect(stored).toEqual([{ may_update: false, may_delete: false }])
})
