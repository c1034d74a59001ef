import pg from 'pg'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createDatabase, type TenantDatabase } from '../../src/db/client.ts'
import { rowsOf } from '../../src/db/steps.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  // No sweep comes to the help of what nobody looks for.
  app = await startTestApp({ env: { RUNS_PER_USER: '1', RUN_LEASE_MS: '600000' } })
})

type Asked = string | { name?: string; text?: string }

/** What is asked of the database for tenants, or of their runs, while `work` goes on: one name for each round trip. */
async function roundTripsOf(work: () => Promise<unknown>): Promise<string[]> {
  const names: string[] = []
  const send = pg.Client.prototype.query
  const spy = vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (
    this: pg.Client,
    ...args: unknown[]
  ) {
    const [asked] = args as [Asked]
    const name = typeof asked === 'string' ? asked : (asked.name ?? asked.text ?? '')
    const { connectionParameters } = this as unknown as { connectionParameters: { options?: string } }
    const isOfTenant = connectionParameters.options?.includes('role=parley_app')
    if ((isOfTenant && !name.includes('set_config')) || name.startsWith('run-')) names.push(name)
    return (send as (...given: unknown[]) => unknown).apply(this, args)
  } as never)
  try {
    await work()
    return names
  } finally {
    spy.mockRestore()
  }
}

const events = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) {
  __typename ... on RunFinished { run { id status } } } }`

it('stores a message in one round trip, and reads its session back only to tell it', async () => {
  const api = app.api({ user: 'writer' })
  const sessionId = await api.createSession({})
  const add = (clientId?: string) =>
    api.mutate(
      'addMessages',
      { sessionId, messages: [{ role: 'USER', content: 'Hello', clientId }] },
      'messages { id seq role content createdAt }',
    )
  await add()
  expect(await roundTripsOf(() => add())).toEqual(['message-append-joined'])
  expect(await roundTripsOf(() => add('key'))).toEqual(['message-append-joined'])
  const watch = app.socket({ user: 'writer' }).watch(events, { sessionId })
  await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
  expect(await roundTripsOf(() => add())).toEqual(['message-append'])
  await watch.until(({ __typename }) => __typename === 'MessageAdded')
})

it('stores, answers and ends a send in four round trips, the first of which only reads', async () => {
  const api = app.api({ user: 'sender' })
  const sessionId = await api.createSession({ agent: 'primary' })
  const watch = app.socket({ user: 'sender' }).watch(events, { sessionId })
  await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
  const send = async (clientId: string) => {
    const { run } = await api.sendMessage({ sessionId, content: 'Hello', clientId })
    expect(run.status).toBe('RUNNING')
    const { status } = (await watch.until((event) => event.run?.id === run.id)).run
    expect(status).toBe('COMPLETED')
  }
  await send('first')
  const expected = ['session-with-role', 'message-append', 'run-mark-begun', 'run-settle']
  expect(await roundTripsOf(() => send('second'))).toEqual(expected)
})

/** A connection of nobody's, on which locks are held while others run into them. */
async function openBystander() {
  const client = new pg.Client({ connectionString: app.databaseUrl })
  await client.connect()
  onTestFinished(() => client.end())
  const untilWaiting = async (count: number) => {
    for (;;) {
      const { rows } = await client.query(
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      )
      if (rows.length >= count) return
    }
  }
  return { client, untilWaiting }
}

it('answers what begins to wait in the moment between the last look of an end and its commit', async () => {
  // Once its lock is gone: what it holds holds the table.
  onTestFinished(async () => {
    await query(app.databaseUrl, 'DROP TRIGGER hold_commit ON runs; DROP FUNCTION hold_commit')
  })
  const { client, untilWaiting } = await openBystander()
  await client.query(`CREATE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER hold_commit AFTER UPDATE ON runs DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.status = 'COMPLETED') EXECUTE FUNCTION hold_commit();
    SELECT pg_advisory_lock(42)`)
  const api = app.api({ user: 'hurried' })
  const [first, second] = [await api.createSession({}), await api.createSession({})]
  const watch = app.socket({ user: 'hurried' }).watch(events, { sessionId: second })
  await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
  await api.change('sendMessage', { sessionId: first, content: 'Hello' })
  await untilWaiting(1)
  const { run } = await api.sendMessage({ sessionId: second, content: 'Hello' })
  expect(run.status).toBe('QUEUED')
  await untilWaiting(2)
  await client.query('SELECT pg_advisory_unlock(42)')
  expect((await watch.until((event) => event.run?.id === run.id)).run.status).toBe('COMPLETED')
})

describe('a pipeline', () => {
  const insert = {
    name: 'test-insert-user',
    text: 'INSERT INTO users (tenant_id, id, external_id) VALUES ($1, gen_random_uuid(), $2)',
  }
  const count = {
    name: 'test-count-users',
    text: 'SELECT count(*)::int AS count FROM users WHERE external_id = $1',
  }
  const fail = { name: 'test-fail', text: 'SELECT 1 / $1::int AS quotient' }
  let db: TenantDatabase
  beforeAll(async () => {
    await app.api({ tenant: 'piped' }).run('{ viewer { user { id } } }')
    const [tenant] = await query<{ id: string }>(
      app.databaseUrl,
      "SELECT id FROM tenants WHERE slug = 'piped'",
    )
    const settings = { poolSize: 1, poolWaitMs: 5_000, statementTimeoutMs: 5_000, onError: () => {} }
    const database = createDatabase({ url: app.databaseUrl, ...settings })
    db = database.forTenant(tenant?.id ?? '')
    return () => database.close()
  })
  const inserted = (name: string) => rowsOf(insert, [db.tenantId, name])
  const counted = (name: string) => rowsOf<{ count: number }>(count, [name])

  it('gives what each step read, which saw the steps before it', async () => {
    const results = await db.sql.pipeline([counted('a'), inserted('a'), counted('a')])
    expect(results).toEqual([[{ count: 0 }], [], [{ count: 1 }]])
  })

  it('stores all or nothing, and leaves its connection to others', async () => {
    const steps = [inserted('b'), rowsOf(fail, [0]), counted('b')] as const
    await expect(db.sql.pipeline(steps)).rejects.toThrow('division by zero')
    // What was prepared before the fault, and what was not.
    expect(await db.sql.pipeline([inserted('c'), counted('b'), rowsOf(fail, [1])])).toEqual([
      [],
      [{ count: 0 }],
      [{ quotient: 1 }],
    ])
  })

  it('is part of the transaction that it is sent in', async () => {
    const undone = db.transaction(async (sql) => {
      await sql.pipeline([inserted('d'), counted('d')])
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    expect(await db.sql(count, ['d'])).toEqual([{ count: 0 }])
  })

  it('sends nothing where a name stands for two texts', async () => {
    const other = { ...count, text: 'SELECT 1' }
    await expect(db.sql.pipeline([inserted('e'), rowsOf(other, [])])).rejects.toThrow('must be unique')
    expect(await db.sql(count, ['e'])).toEqual([{ count: 0 }])
  })
})
