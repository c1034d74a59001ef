import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId, encodeId, newId } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'

const bob: Identity = { user: 'bob' }
const admin: Identity = { user: 'root', role: 'ADMIN' }
const receiptFields = 'sessions messages runs participations templates usageRecords'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '100' } })
})
besideNeighbour(() => app)

const sql = (text: string, values: unknown[] = []) => query(app.databaseUrl, text, { values })

async function userId(identity: Identity): Promise<string> {
  return (await app.api(identity).run('{ viewer { user { id } } }')).viewer.user.id
}

const erase = (id: string, as: Identity = admin) =>
  app.api(as).mutate('eraseUser', { userId: id }, receiptFields)

/** How many rows of any table name the user. */
async function rowsNaming(id: string): Promise<number> {
  const tables = await sql(`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`)
  const counts = await Promise.all(
    tables.map(({ name }) =>
      sql(`SELECT FROM ${name} t WHERE t::text LIKE '%' || $1 || '%'`, [decodeId(id).uuid]),
    ),
  )
  return counts.flat().length
}

async function share(sessionId: string, owner: Identity, identity: Identity, role: string) {
  await userId(identity)
  const answer = await app
    .api(owner)
    .mutate('addParticipant', { sessionId, externalUserId: identity.user, role }, 'session { id }')
  expect(answer).toEqual({ session: { id: sessionId } })
}

async function messagesOf(sessionId: string, identity: Identity) {
  const { session } = await app
    .api(identity)
    .run(`query ($id: ID!) { session(id: $id) { title messageCount } }`, { id: sessionId })
  return session
}

describe('while it happens', () => {
  it('cancels what runs and tells those who watch', async () => {
    const carol: Identity = { user: 'carol' }
    const dan: Identity = { user: 'dan' }
    const carols = await userId(carol)
    const own = await app.api(carol).createSession({})
    const dans = await app.api(dan).createSession({ title: 'Dan' })
    await share(dans, dan, carol, 'EDITOR')
    const feed = `subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename
      ... on MessageAdded { message { content } } ... on MessageRemoved { messageId }
      ... on RunFinished { run { status } } } }`
    const owner = app.socket(carol).watch(feed, { id: own })
    const other = app.socket(dan).watch(feed, { id: dans })
    for (const watch of [owner, other])
      await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
    await app.api(carol).change('sendMessage', { sessionId: own, content: '/stall after 3 one two three' })
    const elsewhere = await app
      .api(carol)
      .sendMessage({ sessionId: dans, content: '/stall after 3 one two three' })
    for (const watch of [owner, other]) await watch.until(({ __typename }) => __typename === 'RunStarted')

    expect(await erase(carols)).toMatchObject({ sessions: 1, messages: 4, runs: 2, participations: 1 })

    const types = (watch: typeof owner) => watch.events.map(({ __typename }) => __typename)
    await owner.ended
    expect(types(owner).at(-1)).toBe('SessionDeleted')
    const finished = await owner.until(({ __typename }) => __typename === 'RunFinished')
    expect(finished.run.status).toBe('CANCELLED')
    for (const id of [elsewhere.userMessage.id, elsewhere.assistantMessage.id])
      await other.until(({ messageId }) => messageId === id)
    expect(await messagesOf(dans, dan)).toMatchObject({ title: 'Dan', messageCount: 0 })
    other.stop()
  })

  it('works in steps, through more messages than fit into one', async () => {
    const erin: Identity = { user: 'erin' }
    const erins = await userId(erin)
    const session = await app.api(bob).createSession({ title: 'Long' })
    await share(session, bob, erin, 'EDITOR')
    // One question without a reply comes first, so that a step ends between a question and its reply.
    await sql(
      `INSERT INTO messages (tenant_id, session_id, id, seq, role, content, author_id)
       SELECT s.tenant_id, s.id, gen_random_uuid(), n + 1,
         CASE WHEN n = 0 OR n % 2 = 1 THEN 'USER' ELSE 'ASSISTANT' END::"MessageRole", 'text ' || n,
         CASE WHEN n = 0 OR n % 4 = 1 THEN $2::uuid WHEN n % 4 = 3 THEN s.user_id END
       FROM sessions s, generate_series(0, 2400) AS n WHERE s.id = $1`,
      [decodeId(session).uuid, decodeId(erins).uuid],
    )
    await sql('UPDATE sessions SET last_seq = 2401, message_count = 2401 WHERE id = $1', [
      decodeId(session).uuid,
    ])
    expect(await erase(erins)).toMatchObject({ messages: 1_201, sessions: 0, participations: 1 })
    const left = await sql(
      'SELECT seq % 4 AS place, count(*)::int FROM messages WHERE session_id = $1 GROUP BY 1 ORDER BY 1',
      [decodeId(session).uuid],
    )
    // What bob asked, and the replies to that.
    expect(left).toEqual([
      { place: 0, count: 600 },
      { place: 1, count: 600 },
    ])
    expect((await messagesOf(session, bob)).messageCount).toBe(1_200)
  })

  it('goes on where an earlier call broke off', async () => {
    const finn: Identity = { user: 'finn' }
    const finns = await userId(finn)
    for (const title of ['One', 'Two', 'Three']) {
      const id = await app.api(finn).createSession({ title })
      await app.api(finn).change('sendMessage', { sessionId: id, content: 'Hello', wait: true })
    }
    await sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''refused''; END'`)
    await sql(
      `CREATE TRIGGER refuse BEFORE DELETE ON sessions FOR EACH ROW WHEN (OLD.title = 'Two') EXECUTE FUNCTION refuse()`,
    )
    const { errors } = await app
      .api(admin)
      .send('mutation ($id: ID!) { eraseUser(input: { userId: $id }) { __typename } }', { id: finns })
    expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR')
    await sql('DROP TRIGGER refuse ON sessions')
    expect(await rowsNaming(finns)).toBeGreaterThan(0)
    const receipt = await erase(finns)
    expect(receipt.sessions).toBeLessThanOrEqual(3)
    expect(receipt.sessions).toBeGreaterThan(0)
    expect(await rowsNaming(finns)).toBe(0)
    expect(await erase(finns)).toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('refused', () => {
  it('is everybody who is no admin, and nothing is erased', async () => {
    const victim = await userId({ user: 'victim' })
    expect(await erase(victim, bob)).toMatchObject({ code: 'FORBIDDEN' })
    expect(await sql('SELECT external_id FROM users WHERE id = $1', [decodeId(victim).uuid])).toHaveLength(1)
  })

  it('is a person of another tenant, nobody, oneself, and no id', async () => {
    const stranger = await userId({ user: 'stranger', tenant: 'globex' })
    for (const id of [stranger, encodeId('User', newId())])
      expect(await erase(id)).toMatchObject({ code: 'NOT_FOUND' })
    expect(await erase(await userId(admin))).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect(await erase(encodeId('Session', newId()))).toMatchObject({ code: 'BAD_USER_INPUT' })
    expect(await sql('SELECT id FROM users WHERE id = $1', [decodeId(stranger).uuid])).toHaveLength(1)
  })
})
