import { Client } from 'pg'
import { beforeAll, expect, it } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, end, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun, runEnd, watchRuns } from '../support/runs.ts'

const recording = createRecordingProvider()
let app: TestApp
beforeAll(async () => {
  // Nothing here waits for a time to pass: what takes too long is cancelled as PostgreSQL does it after that time.
  const env = { RUN_COALESCE_MS: '0', DATABASE_STATEMENT_TIMEOUT_MS: '60000', DATABASE_POOL_WAIT_MS: '60000' }
  app = await startTestApp({ env, providers: [recording.provider] })
})

/** Keeps a row from everybody else while `work` goes on. */
async function holding(table: string, id: string | undefined, work: () => Promise<unknown>) {
  const client = new Client({ connectionString: app.databaseUrl })
  client.on('error', () => {})
  await client.connect()
  await client.query('BEGIN')
  await client.query(`SELECT FROM ${table} WHERE id = $1 FOR UPDATE`, [id])
  await work().finally(() => client.end())
}

/** Cancels a statement that begins like this, as soon as it waits for a lock. */
async function cancelWaiting(beginning: string) {
  const cancel = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND starts_with(query, $1)`
  const cancelled = () => query(app.databaseUrl, cancel, { values: [beginning] })
  await expect.poll(async () => (await cancelled()).length).toBe(1)
}

it('a reply ends as its model ended it, though the database takes too long to store that at first', async () => {
  const sessionId = await app.api().createSession()
  const watch = await watchRuns(app, sessionId)
  const { run } = await app.api().sendMessage({ sessionId, content: 'hello', model })
  const call = await recording.call(0)
  call.tell(say('so far'))
  await watch.until(({ __typename }) => __typename === 'TextDelta')
  await holding('sessions', decodeIdOf('Session', sessionId), async () => {
    call.tell(say(', so good'), end)
    await cancelWaiting('WITH place AS')
  })
  await watch.until(runEnd(run.id))
  expect(await readRun(app.api(), run.id)).toMatchObject({
    status: 'COMPLETED',
    assistantMessage: { content: 'so far, so good' },
  })
})

it('a stream of events is not opened for somebody whose token could not be checked in time', async () => {
  const sessionId = await app.api().createSession()
  const [tenant] = await query<{ id: string }>(app.databaseUrl, `SELECT id FROM tenants WHERE slug = 'demo'`)
  let answer: Promise<Response> | undefined
  // Whoever is new is stored under the tenant, whose row is kept: for the request, and again for its stream.
  await holding('tenants', tenant?.id, async () => {
    answer = fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${app.token({ user: 'root', role: 'ADMIN' })}`,
      },
      body: JSON.stringify({ query: `subscription { sessionEvents(sessionId: "${sessionId}") { cursor } }` }),
    })
    for (const _of of ['request', 'stream']) await cancelWaiting('INSERT INTO users')
  })
  const { status, headers, body } = (await answer) as Response
  await body?.cancel()
  expect([status, headers.get('retry-after')]).toEqual([429, '1'])
})
