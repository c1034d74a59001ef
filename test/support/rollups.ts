import { createDatabase } from '../../src/db/client.ts'
import { createUsageRollups } from '../../src/features/stats/rollup.ts'
import { createLog } from '../../src/telemetry/log.ts'
import type { TestApp } from './app.ts'
import { atEndOfFile } from './at-end.ts'
import { query } from './postgres.ts'

/** What the job of an app does, at a moment of the test's choosing. */
export function openRollups({ databaseUrl }: TestApp) {
  const settings = { poolSize: 1, poolWaitMs: 10_000, statementTimeoutMs: 30_000 }
  const database = createDatabase({
    url: databaseUrl,
    ...settings,
    onError: (error) => {
      throw error
    },
  })
  atEndOfFile(() => database.close())
  // Without rollups usage is counted from the rows, just as well.
  const warn = ({ err }: { err: unknown }) => {
    throw err
  }
  const log = Object.assign(createLog({ level: 'fatal' }, false), { warn })
  const rollups = createUsageRollups({ system: database.system, log })
  const roll = () => rollups.roll(new AbortController().signal)
  return {
    roll,
    /** Rolls up until the tenants have a horizon, which waits for transactions of all tests on the server. */
    async rollToHorizon() {
      const find = 'SELECT FROM usage_horizons WHERE until IS NOT NULL'
      do await roll()
      while ((await query(databaseUrl, find)).length === 0)
    },
  }
}
