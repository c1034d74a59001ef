import { randomBytes } from 'node:crypto'
import { query, startFreshPostgres, withParts } from '../support/postgres.ts'

/** A PostgreSQL with databases of the bench's own; `stop` leaves nothing of them. */
export type BenchDatabases = { create(): Promise<string>; stop(): Promise<void> }

/** In the server of DATABASE_URL, or in one that is started here and so shares the core of the load. */
export async function openDatabases(): Promise<BenchDatabases> {
  const given = process.env.DATABASE_URL
  if (!given) {
    const server = await startFreshPostgres()
    return { create: () => server.createDatabase(), stop: () => server.stop() }
  }
  const names: string[] = []
  return {
    async create() {
      const name = `parley_bench_${randomBytes(6).toString('hex')}`
      await query(given, `CREATE DATABASE ${name}`)
      names.push(name)
      return withParts(given, { pathname: `/${name}` })
    },
    async stop() {
      for (const name of names.splice(0)) await query(given, `DROP DATABASE ${name} WITH (FORCE)`)
    },
  }
}
