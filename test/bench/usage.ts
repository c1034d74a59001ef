// DATABASE_URL=… node test/bench/usage.ts [--days 90] [--no-rollups]
//
// What `usage` costs an admin of the tenant `bulk` (npm run seed), as the server sends it: the processor time that the
// process of the database had for it, which must run on this machine under Linux, and the time until the answer, the least of
// three. Rolls up first what is due; with --no-rollups everything is counted from the rows.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Viewer } from '../../src/auth/viewer.ts'
import { createDatabase } from '../../src/db/client.ts'
import { createUsageRollups } from '../../src/features/stats/rollup.ts'
import { createStats } from '../../src/features/stats/service.ts'
import { createLog } from '../../src/telemetry/log.ts'

const { values: options } = parseArgs({
  options: { days: { type: 'string', default: '90' }, 'no-rollups': { type: 'boolean', default: false } },
})
const url = process.env.DATABASE_URL ?? ''
const limits = { poolSize: 1, poolWaitMs: 60_000, statementTimeoutMs: 60_000 }
const database = createDatabase({ url, ...limits, onError: (error) => console.error(error.message) })
const { system } = database
const statement = (name: string, text: string) => ({ name, text })

if (options['no-rollups']) {
  await system.sql(statement('forget', 'DELETE FROM usage_rollups'), [])
  await system.sql(statement('forget-horizons', 'DELETE FROM usage_horizons'), [])
} else {
  const log = createLog({ level: 'warn' }, false)
  await createUsageRollups({ system, log }).roll(new AbortController().signal)
}

const findUser = statement(
  'user',
  `SELECT u.tenant_id AS "tenantId", u.id AS "userId" FROM users u JOIN tenants t ON t.id = u.tenant_id AND t.slug = 'bulk' LIMIT 1`,
)
const [user] = await system.sql<Pick<Viewer, 'tenantId' | 'userId'>>(findUser, [])
if (!user)
  throw new Error('There is no tenant bulk; npm run seed -- --sessions 100000 --messages 1000000 makes it.')
const db = database.forTenant(user.tenantId)
const now = new Date()
const viewer: Viewer = { ...user, db, role: 'ADMIN', issuedAt: now, expiresAt: now, tokenId: undefined }
const [backend] = await db.sql<{ pid: number }>(statement('pid', 'SELECT pg_backend_pid() AS pid'), [])
const processorMs = () =>
  Number(readFileSync(`/proc/${backend?.pid}/schedstat`, 'utf8').split(' ')[0]) / 1_000_000

const stats = createStats()
const [{ model } = { model: '' }] = await system.sql<{ model: string }>(
  statement('model', 'SELECT u.model FROM usage_records u WHERE u.tenant_id = $1 LIMIT 1'),
  [user.tenantId],
)
const questions = [
  ...(['NONE', 'MODEL', 'AGENT', 'SESSION', 'USER'] as const).map((groupBy) => ({ groupBy, filter: {} })),
  ...(['AGENT', 'USER'] as const).map((groupBy) => ({ groupBy, filter: { model } })),
  ...(['NONE', 'AGENT'] as const).map((groupBy) => ({ groupBy, filter: { userId: user.userId } })),
]
for (const interval of ['HOUR', 'DAY', 'MONTH'] as const)
  for (const { groupBy, filter } of questions) {
    const days = Math.min(Number(options.days), interval === 'HOUR' ? 41 : Number.POSITIVE_INFINITY)
    const from = new Date(now.getTime() - days * 86_400_000)
    const least = { cpu: Number.POSITIVE_INFINITY, wall: Number.POSITIVE_INFINITY }
    let answer = ''
    for (let round = 0; round < 3; round += 1) {
      const [cpu, wall] = [processorMs(), performance.now()]
      const asked = stats.usage(viewer, { from, to: now, interval, groupBy, filter })
      answer = await asked.then(
        ({ length }) => `${length} buckets`,
        (error: Error) => `refused: ${error.message}`,
      )
      least.cpu = Math.min(least.cpu, processorMs() - cpu)
      least.wall = Math.min(least.wall, performance.now() - wall)
    }
    const [cpu, wall] = [least.cpu, least.wall].map((ms) => `${ms.toFixed(0)} ms`.padStart(9))
    const of = Object.keys(filter).join()
    console.log(
      `${interval.padEnd(6)}${groupBy.padEnd(8)} ${of.padEnd(7)} processor ${cpu}  answer ${wall}  ${answer}`,
    )
  }
await database.close()
