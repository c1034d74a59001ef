import type { Statement, SystemDatabase } from '../../db/client.ts'

const countByStatus: Statement = {
  name: 'system-open-runs',
  text: `SELECT status::text AS status, count(*)::int AS count FROM runs
    WHERE status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') GROUP BY status`,
}

/** How many runs of all tenants have not ended, by their status; those of which there is none are left out. */
export async function countOpenRuns(system: SystemDatabase): Promise<Record<string, number>> {
  const rows = await system.sql<{ status: string; count: number }>(countByStatus, [])
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}
