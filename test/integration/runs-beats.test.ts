import { Client } from 'pg'
import { beforeAll, expect, it, vi } from 'vitest'
import { decodeIdOf } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { createRecordingProvider, recordedModel as model, say } from '../support/recording-provider.ts'
import { readRun, runEnd, watchRuns } from '../support/runs.ts'

const recording = createRecordingProvider()
const env = {
  RUN_COALESCE_MS: '0',
  RUN_CHECKPOINT_MS: '1000',
  // A statement that waits for a lock waits for longer than the leases of the others have.
  DATABASE_STATEMENT_TIMEOUT_MS: '30000',
  RUNS_PER_USER: '100',
  MAX_SESSIONS_PER_AGENT: '100',
}
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env, providers: [recording.provider] })
})

/** So many replies under way, each with a word of its own told. */
async function startReplies(count: number) {
  const alice = app.api()
  const first = recording.calls.length
  const started: { sessionId: string; runId: string; id: string; messageId: string }[] = []
  const sessionIds = await Promise.all(Array.from({ length: count }, () => alice.createSession()))
  for (const [at, sessionId] of sessionIds.entries()) {
    const { run, assistantMessage } = await alice.sendMessage({ sessionId, content: `${at}`, model })
    const messageId = decodeIdOf('Message', assistantMessage.id)
    started.push({ sessionId, runId: run.id, id: decodeIdOf('Run', run.id), messageId })
  }
  for (let at = 0; at < count; at += 1) {
    const call = await recording.call(first + at)
    call.tell(say(`word ${call.request.messages.at(-1)?.content}`))
  }
  return started
}

const contentOf = async (messageId: string) => {
  const [row] = await query<{ content: string }>(
    app.databaseUrl,
    'SELECT content FROM messages WHERE id = $1',
    {
      values: [messageId],
    },
  )
  return row?.content
}
const leaseOf = async (id: string) => {
  const [row] = await query<{ at: Date }>(
    app.databaseUrl,
    'SELECT lease_until AS at FROM runs WHERE id = $1',
    {
      values: [id],
    },
  )
  return row?.at.getTime() ?? Number.NaN
}

it('stores the texts of many replies together, each its own', async () => {
  const replies = await startReplies(12)
  const ids = replies.map(({ id }) => id)
  await vi.waitFor(async () => {
    for (const [at, { messageId }] of replies.entries()) expect(await contentOf(messageId)).toBe(`word ${at}`)
    // One transaction wrote several of them.
    const [row] = await query<{ count: number }>(
      app.databaseUrl,
      'SELECT count(DISTINCT xmin::text)::int AS count FROM runs WHERE id = ANY($1)',
      { values: [ids] },
    )
    expect(row?.count).toBeLessThan(12)
  }, patience)
})

it('renews the leases of the others while somebody changes one, and hears a wish to cancel', async () => {
  const replies = await startReplies(12)
  // One in the midst of them: the first may beat by itself.
  const held = replies[6]
  const others = replies.filter((reply) => reply !== held)
  if (!held) throw new Error('There is no reply.')
  const holder = new Client({ connectionString: app.databaseUrl })
  await holder.connect()
  try {
    await holder.query('BEGIN')
    await holder.query('SELECT FROM runs WHERE id = $1 FOR UPDATE', [held.id])
    const before = await Promise.all(others.map(({ id }) => leaseOf(id)))
    await vi.waitFor(async () => {
      for (const [at, { id }] of others.entries())
        expect(await leaseOf(id)).toBeGreaterThan((before[at] ?? 0) + 2_000)
    }, patience)
    expect(await contentOf(held.messageId)).not.toBe('word 6')
    await holder.query('ROLLBACK')
    await vi.waitFor(async () => expect(await contentOf(held.messageId)).toBe('word 6'), patience)

    const asked = others.at(-1)
    if (!asked) throw new Error('There is no other.')
    const watch = await watchRuns(app, asked.sessionId)
    await query(app.databaseUrl, 'UPDATE runs SET cancel_requested_at = now() WHERE id = $1', {
      values: [asked.id],
    })
    await watch.until(runEnd(asked.runId))
    expect((await readRun(app.api(), asked.runId)).status).toBe('CANCELLED')
    expect((await readRun(app.api(), held.runId)).status).toBe('RUNNING')
  } finally {
    await holder.end()
  }
})
