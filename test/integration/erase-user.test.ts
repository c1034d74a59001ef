import { beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { readyDocument } from './documents.harness.ts'

const canary = 'quetzal-7c1e'
const person: Identity = { user: canary }
const bob: Identity = { user: 'bob' }
const admin: Identity = { user: 'root', role: 'ADMIN' }
const receiptFields = 'sessions messages runs participations templates memories documents usageRecords'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '100' } })
})

const sql = (text: string, values: unknown[] = []) => query(app.databaseUrl, text, { values })

async function userId(identity: Identity): Promise<string> {
  return (await app.api(identity).run('{ viewer { user { id } } }')).viewer.user.id
}

const erase = (id: string, as: Identity = admin) =>
  app.api(as).mutate('eraseUser', { userId: id }, receiptFields)

/** Every row of every table in which the text stands, bookkeeping of the database aside. */
async function rowsWith(text: string): Promise<string[]> {
  const tables = await sql(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  )
  expect(tables.length).toBeGreaterThan(10)
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await sql(`SELECT t::text AS row FROM ${name} t WHERE t::text ILIKE '%' || $1 || '%'`, [
      text,
    ])
    found.push(...rows.map(({ row }) => `${name} ${row}`))
  }
  return found
}

async function share(sessionId: string, owner: Identity, identity: Identity, role: string) {
  await userId(identity)
  const answer = await app
    .api(owner)
    .mutate('addParticipant', { sessionId, externalUserId: identity.user, role }, 'session { id }')
  expect(answer).toEqual({ session: { id: sessionId } })
}

async function messagesOf(sessionId: string, identity: Identity) {
  const { session } = await app.api(identity).run(
    `query ($id: ID!) { session(id: $id) { title messageCount systemPrompt metadata tags parent { id }
      messages(first: 100) { nodes { id seq role content } } participants { user { externalId } } } }`,
    { id: sessionId },
  )
  return session
}

async function finished({ run }: { run: { id: string } }, identity: Identity) {
  await vi.waitFor(async () => {
    const found = await app.api(identity).run('query ($id: ID!) { run(id: $id) { status } }', { id: run.id })
    expect(found.run.status).toBe('COMPLETED')
  }, patience)
}

describe('a person who has left something everywhere', () => {
  let shared: string
  let fork: string
  let made: string
  let receipt: Record<string, number>

  beforeAll(async () => {
    const api = app.api(person)
    const id = await userId(person)
    await sql(`UPDATE users SET name = $1, email = $1 || '@example.org' WHERE external_id = $1`, [canary])

    // Its own: one with everything, shared and forked; a deleted one; a fork of its own.
    const own = await api.createSession({
      agent: 'primary',
      title: `Title ${canary}`,
      systemPrompt: `Prompt ${canary}`,
      metadata: { note: canary },
      tags: [canary],
      clientId: canary,
    })
    const { assistantMessage } = await api.sendMessage({
      sessionId: own,
      content: `/repeat Own ${canary}`,
      clientId: `${canary} 1`,
      wait: true,
    })
    await share(own, person, bob, 'EDITOR')
    const forkOf = async (identity: Identity) =>
      (
        await app
          .api(identity)
          .mutate('forkSession', { sessionId: own, atMessageId: assistantMessage.id }, 'session { id }')
      ).session.id
    fork = await forkOf(bob)
    await forkOf(person)
    const deleted = await api.createSession({ title: `Deleted ${canary}` })
    await api.change('sendMessage', { sessionId: deleted, content: `Gone ${canary}`, wait: true })
    await api.change('deleteSession', { sessionId: deleted }, 'sessionId')

    // In another's session: the first message, which gave the title, an edited one, and one that the other wrote.
    shared = await app.api(bob).createSession({})
    await share(shared, bob, person, 'EDITOR')
    await api.change('sendMessage', { sessionId: shared, content: `/repeat First ${canary}`, wait: true })
    const { userMessage } = await api.sendMessage({ sessionId: shared, content: `Old ${canary}`, wait: true })
    await finished(
      await api.mutate('editMessage', { messageId: userMessage.id, content: `New ${canary}` }, 'run { id }'),
      person,
    )
    await app.api(bob).change('sendMessage', { sessionId: shared, content: '/repeat Kept', wait: true })
    await api.change(
      'addMessages',
      {
        sessionId: shared,
        messages: [{ role: 'USER', content: `Added ${canary}`, metadata: { note: canary } }],
      },
      'messages { id }',
    )
    await api.change('markRead', { sessionId: shared, seq: 1 }, 'session { id }')

    // Answered anew after the other had spoken, so that the reply stands below another's message; titled by a model.
    const anew = await app.api(bob).createSession({})
    await share(anew, bob, person, 'EDITOR')
    const asked = await api.sendMessage({ sessionId: anew, content: `/repeat Anew ${canary}`, wait: true })
    await app.api(bob).change('sendMessage', { sessionId: anew, content: '/repeat Between', wait: true })
    await finished(
      await api.mutate('regenerateMessage', { messageId: asked.assistantMessage.id }, 'run { id }'),
      person,
    )
    await sql(`UPDATE sessions SET title = $1, title_source = 'MODEL' WHERE id = $2`, [
      `About ${canary}`,
      decodeId(anew).uuid,
    ])

    // In a session that its owner deleted since.
    const lost = await app.api(bob).createSession({})
    await share(lost, bob, person, 'EDITOR')
    await api.change('sendMessage', { sessionId: lost, content: `Lost ${canary}`, wait: true })
    await app.api(bob).change('deleteSession', { sessionId: lost }, 'sessionId')

    // What is remembered of it, and what it had remembered.
    await api.change('saveMemory', { scope: 'USER', key: canary, value: canary })
    await api.change('saveMemory', { scope: 'SESSION', sessionId: own, key: 'k', value: canary })

    // A template, used by another.
    const { template } = await api.mutate(
      'createTemplate',
      { name: `Template ${canary}`, systemPrompt: `Prompt ${canary}` },
      'template { id }',
    )
    made = await app.api(bob).createSession({ title: 'Made' })
    await sql('UPDATE sessions SET template_id = $1 WHERE id = $2', [
      decodeId(template.id).uuid,
      decodeId(made).uuid,
    ])

    // A document that another's session draws on.
    const documentId = await readyDocument(api, { title: `Title ${canary}`, text: `A passage ${canary}` })
    const drawing = await app.api(bob).createSession({ title: 'Drawing' })
    await share(drawing, bob, person, 'EDITOR')
    await api.change('updateSession', { sessionId: drawing, documentIds: [documentId] })
    await app.api(bob).change('sendMessage', { sessionId: drawing, content: 'Which passage?', wait: true })
    expect(await sql('SELECT content FROM citations')).toEqual([{ content: `A passage ${canary}` }])

    expect((await rowsWith(canary)).length).toBeGreaterThan(15)
    receipt = await erase(id)
    // What was done stays told; of whom, the bare id does not say any more.
    const left = await rowsWith(decodeId(id).uuid)
    expect(left.filter((row) => !row.startsWith('public.audit_entries '))).toEqual([])
  })

  it('is nowhere any more', async () => {
    expect(await rowsWith(canary)).toEqual([])
  })

  it('is told of in the receipt', () => {
    expect(receipt).toEqual({
      sessions: 3,
      // Own 2 and 2 of the fork, deleted 2; in others' the fork 2, first 2, old 2, new 2, added 1, anew 3, lost 2.
      messages: 20,
      runs: 8,
      participations: 4,
      templates: 1,
      memories: 1,
      documents: 1,
      usageRecords: 8,
    })
  })

  it('leaves to others what is theirs', async () => {
    const session = await messagesOf(shared, bob)
    expect(
      session.messages.nodes.map(({ role, content }: { role: string; content: string }) => [role, content]),
    ).toEqual([
      ['USER', '/repeat Kept'],
      ['ASSISTANT', 'Kept'],
    ])
    expect(session).toMatchObject({ title: null, messageCount: 2 })
    expect(session.participants).toEqual([{ user: { externalId: 'bob' } }])
    expect(await messagesOf(fork, bob)).toMatchObject({
      title: null,
      systemPrompt: null,
      metadata: {},
      tags: [],
      parent: null,
      messageCount: 0,
      messages: { nodes: [] },
    })
    expect(await messagesOf(made, bob)).toMatchObject({ title: 'Made' })
    // And the session goes on.
    const { run } = await app.api(bob).sendMessage({ sessionId: shared, content: 'Go on', wait: true })
    expect(run.status).toBe('COMPLETED')
  })

  it('is still counted in the usage, as nobody', async () => {
    const rows = await sql(
      'SELECT user_id, count(*)::int AS runs FROM usage_records WHERE NOT EXISTS (SELECT FROM users WHERE id = user_id) GROUP BY 1',
    )
    expect(rows).toEqual([{ user_id: expect.any(String), runs: 8 }])
  })

  it('is somebody new at the next sign-in', async () => {
    const { sessions } = await app.api(person).run('{ sessions { totalCount } }')
    expect(sessions.totalCount).toBe(0)
    await app.api(person).createSession({ title: 'Again' })
  })
})

it('knows every column that names a user', async () => {
  const columns = await sql(
    `SELECT c.conrelid::regclass || '.' || a.attname AS name FROM pg_constraint c
     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[2]
     WHERE c.contype = 'f' AND c.confrelid = 'users'::regclass ORDER BY 1`,
  )
  // A new one must be erased, too: add it to src/features/retention/erasure.ts and then here.
  expect(columns.map(({ name }) => name)).toEqual([
    'documents.user_id',
    'list_notices.user_id',
    'memories.user_id',
    'messages.author_id',
    'participants.user_id',
    'read_marks.user_id',
    'runs.user_id',
    'sessions.user_id',
    'templates.author_id',
  ])
})

it('leaves what another person answered to calls below its question, but not what a program did', async () => {
  const carol: Identity = { user: 'carol' }
  const robot: Identity = { user: 'robot', role: 'SERVICE' }
  const session = await app.api(bob).createSession({ title: 'Tools' })
  await share(session, bob, carol, 'EDITOR')
  const add = (as: Identity, ...messages: object[]) =>
    app.api(as).mutate('addMessages', { sessionId: session, messages }, 'messages { id }')
  const toolCalls = ['a', 'b'].map((id) => ({ id, name: 'look', arguments: {} }))
  await add(carol, { role: 'USER', content: 'Look' }, { role: 'ASSISTANT', content: 'I do', toolCalls })
  await add(bob, { role: 'TOOL', toolCallId: 'a', content: 'By Bob' })
  await add(robot, { role: 'TOOL', toolCallId: 'b', content: 'By a program' })
  expect(await erase(await userId(carol))).toMatchObject({ messages: 3 })
  const { nodes } = (await messagesOf(session, bob)).messages
  expect(nodes.map(({ content }: { content: string }) => content)).toEqual(['By Bob'])
})
