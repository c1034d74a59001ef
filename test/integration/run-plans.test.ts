import { expect, it, onTestFinished, vi } from 'vitest'
import { startTestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

const ended = 5_000

it('a server and its sends read few of the runs that have ended', async () => {
  const before = await startTestApp()
  const { databaseUrl } = before
  const sessionId = await before.api().createSession()
  await before.stop()
  await query(
    databaseUrl,
    `SET session_replication_role = replica;
     INSERT INTO runs (tenant_id, id, session_id, user_id, model, status, user_message_id, assistant_message_id, finished_at)
       SELECT s.tenant_id, gen_random_uuid(), gen_random_uuid(), s.user_id, 'demo:chat', 'COMPLETED', gen_random_uuid(),
         gen_random_uuid(), now()
       FROM sessions s, generate_series(1, ${ended}) n`,
  )
  await query(databaseUrl, 'VACUUM (ANALYZE) runs')
  const readBefore = await rowsRead(databaseUrl)
  const after = await startTestApp({ databaseUrl })
  onTestFinished(() => after.stop())
  await after.api().change('sendMessage', { sessionId, content: 'Hello', wait: true }, 'run { status }')
  await after.stop()
  expect((await rowsRead(databaseUrl)) - readBefore).toBeLessThan(ended / 2)
})

/** How many rows of `runs` were read, by whatever way; told once all who read have gone. */
async function rowsRead(databaseUrl: string): Promise<number> {
  await vi.waitFor(
    async () => {
      const others = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'`
      expect(await query(databaseUrl, others)).toEqual([])
    },
    { timeout: 20_000 },
  )
  const [row] = await query<{ count: number }>(
    databaseUrl,
    `SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::int AS count FROM pg_stat_user_tables
     WHERE relname = 'runs'`,
  )
  return row?.count ?? 0
}
