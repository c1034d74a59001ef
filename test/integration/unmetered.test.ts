import { beforeAll, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    env: { AUTO_CREATE_TENANTS: 'false', REQUESTS_PER_SECOND: '0.01', REQUESTS_BURST: '30' },
  })
})

/** Transactions of the database, which statements by themselves are, too. */
async function transactions(): Promise<number> {
  const [row] = await query<{ count: string }>(
    app.databaseUrl,
    `SELECT pg_stat_force_next_flush(), (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()) AS count`,
  )
  return Number(row?.count)
}

it('who asks whether the server is ready costs one statement a second', async () => {
  const before = await transactions()
  for (let count = 0; count < 300; count += 1) expect((await fetch(`${app.url}/ready`)).status).toBe(200)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  expect((await transactions()) - before).toBeLessThan(100)
})

it('links to exports that prove nothing are counted by address', async () => {
  const id = '01890a5d-ac96-774b-bcce-b302099a8057'
  const grant = {
    tenantId: id,
    userId: id,
    role: 'USER',
    sessionId: id,
    format: 'JSON',
    expiresAt: Date.now() + 60_000,
  }
  const forged = `${Buffer.from(JSON.stringify(grant)).toString('base64url')}.x`
  const statuses = []
  for (let count = 0; count < 40; count += 1)
    statuses.push((await fetch(`${app.url}/exports/${forged}`)).status)
  expect(statuses.filter((status) => status === 404)).toHaveLength(30)
  expect(statuses.filter((status) => status === 429)).toHaveLength(10)
})

it('a token of a tenant that is not there has it looked up once in some seconds', async () => {
  const other = await startTestApp({ env: { AUTO_CREATE_TENANTS: 'false' }, databaseUrl: app.databaseUrl })
  const authorization = `Bearer ${other.token({ tenant: 'nowhere' })}`
  const before = await transactions()
  for (let count = 0; count < 300; count += 1) {
    const { status } = await fetch(`${other.url}/graphql?query={__typename}`, { headers: { authorization } })
    expect(status).toBe(401)
  }
  // Backends that are idle tell of what they did after ten seconds, some of it of the start of this server.
  await new Promise((resolve) => setTimeout(resolve, 12_000))
  expect((await transactions()) - before).toBeLessThan(300)
})
