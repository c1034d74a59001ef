import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { type App, startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import type { Provider } from '../../src/llm/provider.ts'
import { createLog, type Log } from '../../src/telemetry/log.ts'
import { type Api, createApi } from './api.ts'
import { atEndOfFile } from './at-end.ts'
import { freePort } from './free-port.ts'
import { noRates } from './no-rates.ts'
import { query, withParts } from './postgres.ts'
import { openSocket, type Socket } from './socket.ts'

export type TestApp = {
  url: string
  /** Superuser's address of the app's own database. */
  databaseUrl: string
  token(identity?: Identity): string
  /** HTTP as this user. */
  api(identity?: Identity): Api
  /** A stock graphql-ws client as this user; disposed when the file's tests are over. */
  socket(identity?: Identity): Socket
  /** Stops the server but keeps its database, for a start anew on it. */
  stop(graceMs?: number): Promise<void>
}

export type Identity = {
  user?: string
  tenant?: string
  role?: 'USER' | 'ADMIN' | 'SERVICE'
  expiresInSeconds?: number
}

type Options = {
  /** Settings over the defaults of tests. */
  env?: Record<string, string>
  providers?: readonly Provider[]
  /** One that a test reads; by default fatal lines on stdout. */
  log?: Log
  /** A database that another app of the test used before; a new one by default. */
  databaseUrl?: string
}

/** The whole server on a free port, with a database of its own and the demo model at full speed. */
export async function startTestApp({
  env = {},
  providers,
  databaseUrl,
  log,
}: Options = {}): Promise<TestApp> {
  const ownUrl = databaseUrl ?? (await createDatabase())
  const config = loadConfig({
    NODE_ENV: 'test',
    PORT: String(await freePort()),
    DATABASE_URL: ownUrl,
    LOG_LEVEL: 'fatal',
    DEMO_TOKENS_PER_SECOND: '2000',
    // Nothing may look for an Ollama that happens to run on the machine.
    OLLAMA_BASE_URL: 'http://127.0.0.1:9',
    // Tests are many users in one.
    CONNECTIONS_PER_USER: '10000',
    CONNECTIONS_PER_TENANT: '10000',
    ...noRates,
    ...env,
  })
  const app: App = await startApp(config, {
    log: log ?? createLog(config.log, false),
    ...(providers ? { providers } : {}),
  })
  let isStopped = false
  const stop = async (graceMs?: number) => {
    if (!isStopped) await app.stop(graceMs)
    isStopped = true
  }
  atEndOfFile(() => stop())

  const token = ({
    user = 'alice',
    tenant = 'demo',
    role = 'USER',
    expiresInSeconds = 3_600,
  }: Identity = {}) => {
    const signed = app.tokens.sign?.({ subject: user, tenant, role }, { expiresIn: expiresInSeconds })
    if (!signed) throw new Error('The app cannot sign tokens.')
    return signed
  }
  return {
    url: app.url,
    databaseUrl: ownUrl,
    token,
    api: (identity) => createApi(app.url, token(identity)),
    socket: (identity) => {
      const socket = openSocket(app.url, token(identity))
      atEndOfFile(() => socket.dispose())
      return socket
    },
    stop,
  }
}

export async function createDatabase(): Promise<string> {
  const serverUrl = inject('postgresUrl')
  const name = `parley_test_${randomBytes(6).toString('hex')}`
  await query(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${inject('templateName')}`)
  atEndOfFile(async () => {
    await query(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`)
  })
  return withParts(serverUrl, { pathname: `/${name}` })
}
