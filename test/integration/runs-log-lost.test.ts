import { beforeAll, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'

// Readers were told more than is stored, and the log that had it is gone: a node that died now would take words back.

const isInstalled = requireRedis()
let redis: TestRedis
let app: TestApp
beforeAll(async () => {
  if (!isInstalled) return
  redis = await startRedis()
  // No checkpoint comes by itself while the tests run.
  const env = { REDIS_URL: redis.url, RUN_CHECKPOINT_MS: '30000', RUN_LEASE_MS: '90000' }
  app = await startTestApp({ env })
})

/** A reply that would take a minute, of which something was told and nothing is stored. */
async function startReply() {
  const sessionId = await app.api().createSession()
  const { assistantMessage } = await app.api().sendMessage({ sessionId, content: '/pace 40 /long 1500' })
  const messageId: string = assistantMessage.id
  const watch = app
    .socket()
    .watch('subscription ($messageId: ID!) { tokenStream(messageId: $messageId) { offset text } }', {
      messageId,
    })
  const { offset, text } = await watch.until((piece: { offset: number }) => piece.offset > 40)
  expect(await storedLength(messageId)).toBe(0)
  return { messageId, toldLength: offset + text.length }
}

async function storedLength(messageId: string): Promise<number> {
  const { uuid } = decodeId(messageId)
  const [row] = await query<{ length: number }>(
    app.databaseUrl,
    `SELECT length(content) AS length FROM messages WHERE id = $1 AND status = 'STREAMING'`,
    { values: [uuid] },
  )
  return row?.length ?? Number.NaN
}

const isStored = ({ messageId, toldLength }: Awaited<ReturnType<typeof startReply>>) =>
  vi.waitFor(async () => expect(await storedLength(messageId)).toBeGreaterThanOrEqual(toldLength), {
    ...patience,
    timeout: 15_000,
  })

it('what was told is stored at once when Redis was emptied', async () => {
  const reply = await startReply()
  await redis.admin.flushall()
  await isStored(reply)
})

it('and when Redis is gone', async () => {
  const reply = await startReply()
  await redis.kill()
  await isStored(reply)
})
