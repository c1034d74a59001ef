import { setTimeout } from 'node:timers/promises'
import { Client } from 'pg'
import { beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { addMessages, mutate, read } from './messages.harness.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp()
  // What the server does not look for, so that PostgreSQL is the first to find it.
  await query(app.databaseUrl, `ALTER TABLE messages ADD CHECK (content <> 'refused by the database')`)
})

const said = (...contents: string[]) => contents.map((content) => ({ role: 'USER', content }))
async function newSessions(count: number): Promise<string[]> {
  const sessions: string[] = []
  while (sessions.length < count) sessions.push(await app.api().createSession())
  return sessions
}
const contents = async (sessionId: string) =>
  (await read(app.api(), sessionId)).messages.nodes.map(({ seq, content }: Record<string, unknown>) => [
    seq,
    content,
  ])

/** One that has run this, and is held open. */
async function transaction(text: string): Promise<Client> {
  const client = new Client({ connectionString: app.databaseUrl })
  await client.connect()
  onTestFinished(() => client.end())
  await client.query('BEGIN')
  await client.query(text)
  return client
}

/** How often messages were stored while `work` went on, by the name of the statement. */
async function statementsOf(work: () => Promise<unknown>): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const send = Client.prototype.query
  const spy = vi.spyOn(Client.prototype, 'query').mockImplementation(function (
    this: Client,
    ...args: unknown[]
  ) {
    const { name = '' } = args[0] as { name?: string }
    if (name.startsWith('message-append')) counts.set(name, (counts.get(name) ?? 0) + 1)
    return (send as (...given: unknown[]) => unknown).apply(this, args)
  } as never)
  try {
    await work()
    return counts
  } finally {
    spy.mockRestore()
  }
}

it('stores what comes at the same time by a few statements, each session by itself', async () => {
  const sessions = await newSessions(30)
  // Nobody can store a message until all have come.
  const holder = await transaction('LOCK TABLE messages IN EXCLUSIVE MODE')
  const statements = await statementsOf(async () => {
    const stored = sessions.map((id, at) => addMessages(app.api(), id, said(`${at} first`, `${at} second`)))
    await setTimeout(2_000)
    await holder.query('COMMIT')
    await Promise.all(stored)
  })
  expect([...statements.keys()]).toEqual(['message-append-joined'])
  expect(statements.get('message-append-joined')).toBeLessThan(20)
  for (const [at, id] of sessions.entries()) {
    const { title, messageCount } = await read(app.api(), id)
    expect([title, messageCount]).toEqual([`${at} first`, 2])
    expect(await contents(id)).toEqual([
      [1, `${at} first`],
      [2, `${at} second`],
    ])
  }
})

it('refuses one of them without a word to the others', async () => {
  const sessions = await newSessions(12)
  const shared = sessions[0] ?? ''
  const stranger = app.api({ user: 'stranger' })
  const [refused, ...stored] = await Promise.all([
    mutate(stranger, 'addMessages', { sessionId: shared, messages: said('Not mine') }),
    ...sessions.slice(1).map((id) => addMessages(app.api(), id, said('Mine'))),
    mutate(app.api(), 'addMessages', { sessionId: shared, messages: said('And mine') }),
  ])
  expect(refused.code).toBe('NOT_FOUND')
  expect(stored).toHaveLength(12)
  expect(await contents(shared)).toEqual([[1, 'And mine']])
})

it('stores the others where the database refuses one, and each once', async () => {
  const sessions = await newSessions(12)
  const ask = (id: string, content: string) =>
    mutate(app.api(), 'addMessages', { sessionId: id, messages: said(content) })
  const answers = await Promise.allSettled(
    sessions.map((id, at) => ask(id, at === 7 ? 'refused by the database' : 'Kept')),
  )
  expect(answers.map(({ status }) => status === 'fulfilled')).toEqual(sessions.map((_, at) => at !== 7))
  for (const [at, id] of sessions.entries()) expect(await contents(id)).toEqual(at === 7 ? [] : [[1, 'Kept']])
})

it('lets nobody wait for a session that another transaction holds', async () => {
  const [held = '', ...others] = await newSessions(12)
  const holder = await transaction(
    `UPDATE sessions SET last_seq = last_seq + 1 WHERE id = '${decodeId(held).uuid}'`,
  )
  let isStored = false
  const waiting = addMessages(app.api(), held, said('Late')).then(() => {
    isStored = true
  })
  // Rounds of them, so that some share each statement of the held one.
  for (const round of [1, 2, 3])
    await Promise.all(others.map((id) => addMessages(app.api(), id, said(`Round ${round}`))))
  expect(isStored).toBe(false)
  await holder.query('COMMIT')
  await waiting
  expect(await contents(held)).toEqual([[2, 'Late']])
})

it('stores a message once under one key, whatever goes with it', async () => {
  const sessions = await newSessions(4)
  const keyed = (id: string, content = 'Once') =>
    mutate(app.api(), 'addMessages', {
      sessionId: id,
      messages: [{ role: 'USER', content, clientId: 'key' }],
    })
  const answers = await Promise.all([...sessions, ...sessions, ...sessions].map((id) => keyed(id)))
  expect(new Set(answers.map(({ messages }) => messages[0].id)).size).toBe(4)
  const mixed = await Promise.all([
    keyed(sessions[0] ?? '', 'Other'),
    ...sessions.map((id) => addMessages(app.api(), id, said('Next'))),
  ])
  expect(mixed[0].code).toBe('CONFLICT')
  for (const id of sessions)
    expect(await contents(id)).toEqual([
      [1, 'Once'],
      [2, 'Next'],
    ])
})
