import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createTokens } from '../../src/auth/jwt.ts'
import { loadConfig } from '../../src/config.ts'
import { createMutant } from '../faults/mutants.ts'
import { createDatabase } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import { freePort } from '../support/free-port.ts'
import { noRates } from '../support/no-rates.ts'
import { query } from '../support/postgres.ts'

// Two connections, each of which takes a twentieth of a second for a new session: forty a second. Within the two seconds
// that a request may wait the server gets to eighty of them; three times as many ask all the time.
const settings = { DATABASE_POOL_SIZE: '2', DATABASE_POOL_WAIT_MS: '2000' }
const callers = 240
const slowInserts = `
  CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';
  CREATE TRIGGER take_time BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION take_time()`

const create =
  'mutation { createSession(input: {}) { __typename ... on CreateSessionPayload { session { id } } } }'
const tooMuch = {
  message: 'Too many requests at once; try again in 1 s (DATABASE_POOL_SIZE).',
  extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 1 },
}

/** A server in a process of its own, from these sources. */
async function startServer(root: string) {
  const databaseUrl = await createDatabase()
  await query(databaseUrl, slowInserts)
  const port = String(await freePort())
  const env = { NODE_ENV: 'test', LOG_LEVEL: 'fatal', OLLAMA_BASE_URL: 'http://127.0.0.1:9', ...noRates }
  const own = { PORT: port, DATABASE_URL: databaseUrl, ...settings }
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), 'start'], {
    cwd: root,
    env: { PATH: process.env.PATH, ...env, ...own },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exit = once(child, 'exit')
  atEndOfFile(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const { sign } = createTokens(loadConfig(env).auth)
  const url = `http://localhost:${port}`
  const isUp = () =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
  await expect.poll(isUp, { timeout: 60_000 }).toBe(true)
  return {
    databaseUrl,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    /** What its process holds in memory; null where that cannot be told. */
    async memoryMiB() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
      const [, kiB] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? []
      return kiB === undefined ? null : Number(kiB) / 1_024
    },
    /** Makes a session; gives the fault where there is one. */
    caller(tenant: string, subject: string) {
      const token = sign?.({ tenant, subject, role: 'USER' }, { expiresIn: 3_600 })
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
      return async () => {
        const init = { method: 'POST', headers, body: JSON.stringify({ query: create }) }
        const { errors } = (await (await fetch(`${url}/graphql`, init)).json()) as { errors?: object[] }
        return errors?.[0] ?? null
      }
    },
  }
}

type Server = Awaited<ReturnType<typeof startServer>>

/** All of one tenant's callers ask without a pause until told to end; what is refused is asked again. */
function flood(server: Server) {
  const seen = { answered: 0, refused: [] as object[] }
  let isOver = false
  const asking = Array.from({ length: callers }, async (_, index) => {
    const ask = server.caller('noisy', `noisy-${index}`)
    while (!isOver) {
      const fault = await ask()
      if (fault) seen.refused.push(fault)
      else seen.answered += 1
      if (fault) await sleep(50)
    }
  })
  return {
    seen,
    async end() {
      isOver = true
      await Promise.all(asking)
    },
  }
}

/** How often others were answered while one tenant asked `times` times, and what was refused to it. */
async function askBeside(
  { seen }: ReturnType<typeof flood>,
  ask: () => Promise<object | null>,
  times: number,
) {
  const before = seen.answered
  const refused: object[] = []
  for (let index = 0; index < times; index += 1)
    refused.push(...[await ask()].filter((fault) => fault !== null))
  return { others: seen.answered - before, refused }
}

it('three times what it can do is refused where it must be, done where it can be, and paid by who asks', async () => {
  const server = await startServer(join(import.meta.dirname, '../..'))
  const quiet = server.caller('quiet', 'quiet')
  expect(await quiet()).toBeNull()
  const before = await server.memoryMiB()
  const noisy = flood(server)
  // The line is full from the first refusal on.
  await expect.poll(() => noisy.seen.refused.length, { timeout: 60_000 }).toBeGreaterThan(0)
  const asked = 30
  const { others, refused } = await askBeside(noisy, quiet, asked)
  expect(refused).toEqual([])
  // One by one beside two connections: some of the flood for each, and far from all that waits.
  expect(others).toBeGreaterThan(asked / 4)
  expect(others).toBeLessThan(asked * 10)
  const during = await server.memoryMiB()
  await noisy.end()
  for (const fault of noisy.seen.refused) expect(fault).toMatchObject(tooMuch)

  // What was refused cost nothing: there is as much as was answered.
  const [stored] = await query<{ count: number }>(server.databaseUrl, 'SELECT count(*)::int FROM sessions')
  expect(stored?.count).toBe(1 + asked + noisy.seen.answered)
  // And it is over when it is over.
  const late = server.caller('noisy', 'noisy-0')
  for (let index = 0; index < 10; index += 1) expect(await late()).toBeNull()
  expect(server.isAlive()).toBe(true)
  if (before !== null && during !== null) expect(during - before).toBeLessThan(256)
}, 180_000)

it('control: with one line for all tenants, the quiet one waits behind the flood', async () => {
  const { root, remove } = await createMutant([
    { file: 'src/lib/turns.ts', from: 'async take(key) {', to: "async take(key) {\n      key = 'all'" },
    { file: 'src/lib/turns.ts', from: '    done(key) {', to: "    done(key) {\n      key = 'all'" },
  ])
  atEndOfFile(remove)
  const server = await startServer(root)
  const quiet = server.caller('quiet', 'quiet')
  expect(await quiet()).toBeNull()
  const noisy = flood(server)
  await expect.poll(() => noisy.seen.refused.length, { timeout: 60_000 }).toBeGreaterThan(0)
  const asked = 3
  const { others, refused } = await askBeside(noisy, quiet, asked)
  expect(refused.length > 0 || others >= asked * 10, `${refused.length} refused, ${others} others`).toBe(true)
  await noisy.end()
}, 180_000)
