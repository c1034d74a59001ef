import { setImmediate as soon } from 'node:timers/promises'
import { Client } from 'pg'
import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { neighbourBeside } from '../support/neighbour.ts'

// Statements wait for a lock here, as long as a slow machine may take.
const small = { DATABASE_POOL_SIZE: '2', DATABASE_STATEMENT_TIMEOUT_MS: '60000' }

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { ...small, DATABASE_POOL_WAIT_MS: '1000', COOKIE_SIGN_IN: 'true' } })
})

const list = '{ sessions { totalCount nodes { title } } }'
const make = 'mutation { createSession(input: {}) { __typename } }'
const titled = 'query ($title: String) { sessions(filter: { title: $title }) { totalCount nodes { title } } }'
const read = '{ templates { nodes { name } } }'
const observe = 'query ($id: ID!) { session(id: $id) { cursor messages { nodes { content } } } }'
const follow = 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }'

it("a tenant's flood does not make another wait behind it", async () => {
  const patient = await startTestApp({ env: { ...small, DATABASE_POOL_WAIT_MS: '30000' } })
  const [noisy, quiet] = [patient.api({ tenant: 'noisy' }), patient.api({ tenant: 'quiet' })]
  for (const api of [noisy, quiet]) await api.run(list)
  const lock = await hold(patient)
  let answered = 0
  const flood = Array.from({ length: 60 }, (_, index) =>
    noisy.run(titled, { title: `Title ${index}` }).then(() => {
      answered += 1
    }),
  )
  await expect.poll(() => waiting(patient)).toBeGreaterThan(57)
  const before = await waiting(patient)
  const asked = quiet.run(list).then(() => answered)
  await expect.poll(() => waiting(patient)).toBeGreaterThan(before)
  await lock.end()
  // Two of the flood had connections already; a few more may be answered before this answer is read.
  expect(await asked).toBeLessThan(20)
  await Promise.all(flood)
})

it('what is too much at once is refused by every door, as something to try again', async () => {
  const doors = await openDoors(app.url, app.token())
  // Refused like everybody while the pool is taken; what it follows is not cut.
  await neighbourBeside(app, { isQuiet: true })
  const id = await app.api().createSession()
  for (const door of doorNames) await doors[door](list)
  const { url } = await app.api().mutate('exportSession', { sessionId: id, format: 'MARKDOWN' }, 'url')
  const lock = await hold(app)
  const held = [sendUntilTaken(app), sendUntilTaken(app)]
  await expect.poll(async () => (await inUse(app)) === 2).toBe(true)
  const asked = doorNames.flatMap((door) =>
    [list, make, read, observe, follow].map(async (operation) => {
      const answer = await doors[door](operation, { id })
      expect(answer?.errors, `${door}: ${operation}`).toEqual([
        expect.objectContaining({
          message: 'Too many requests at once; try again in 1 s (DATABASE_POOL_SIZE).',
          extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 1 },
        }),
      ])
    }),
  )
  await Promise.all(asked)
  // Neither is the link said to be at its end, nor somebody to be signed out whose token is still taken.
  const headers = { cookie: `__Host-parley=${app.token()}`, 'x-parley-csrf': '1' }
  const others = [fetch(`${app.url}${url}`), fetch(`${app.url}/sign-out`, { method: 'POST', headers })]
  for (const { status, headers } of await Promise.all(others))
    expect([status, headers.get('retry-after'), headers.get('set-cookie')]).toEqual([429, '1', null])
  await lock.end()
  await Promise.all(held)
  doors.close()
})

/** The pool may be slow to open its connections, where the machine is busy. */
async function sendUntilTaken(to: TestApp) {
  for (;;) {
    const answer = await to.api().send(list)
    if (!answer.errors) return answer
  }
}

/** Keeps the sessions locked, so that whoever reads them keeps its connection. */
async function hold(of: TestApp): Promise<Client> {
  // Who looks at the pool later must be known by then.
  await pool(of)
  const client = new Client({ connectionString: of.databaseUrl })
  client.on('error', () => {})
  await client.connect()
  await client.query('BEGIN')
  await client.query('LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE')
  return client
}

const pool = async (of: TestApp) => {
  await soon()
  const admin = of.api({ user: 'root', tenant: 'operators', role: 'ADMIN' })
  const { systemStatus } = await admin.run('{ systemStatus { database { pool { inUse waiting } } } }')
  return systemStatus.database.pool as { inUse: number; waiting: number }
}
const waiting = async (of: TestApp) => (await pool(of)).waiting
const inUse = async (of: TestApp) => (await pool(of)).inUse
