import type { TestProject } from 'vitest/node'
import { startPostgres } from './postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A superuser's address of the PostgreSQL that all test files share; each makes databases of its own. */
    postgresUrl: string
  }
}

/** Starts one PostgreSQL for the whole run. */
export default async function setup(project: TestProject) {
  const server = await startPostgres()
  project.provide('postgresUrl', server.url)
  return server.stop
}
