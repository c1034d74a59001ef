import type { TestProject } from 'vitest/node'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { freePort } from './free-port.ts'
import { startPostgres } from './postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A superuser's address of the PostgreSQL that all test files share; each makes databases of its own. */
    postgresUrl: string
    /** A database there that a server has been started on once: a copy of it is made sooner than it is migrated. */
    templateName: string
  }
}

/** Starts one PostgreSQL for the whole run. */
export default async function setup(project: TestProject) {
  const server = await startPostgres()
  const templateUrl = await server.createDatabase()
  const config = loadConfig({
    NODE_ENV: 'test',
    PORT: String(await freePort()),
    DATABASE_URL: templateUrl,
    // Whoever wants tenants makes them in its copy.
    AUTO_CREATE_TENANTS: 'false',
    LOG_LEVEL: 'fatal',
  })
  const app = await startApp(config, { log: createLog(config.log, false) })
  await app.stop()
  project.provide('postgresUrl', server.url)
  project.provide('templateName', new URL(templateUrl).pathname.slice(1))
  return server.stop
}
