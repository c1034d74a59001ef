import { beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { patience } from '../support/patience.ts'
import { query } from '../support/postgres.ts'
import { createWideProvider, inputTokens, preview, sessionWith, talk } from './context.harness.ts'
import { addMessages, ask } from './messages.harness.ts'

const { provider, summaries, waits, summaryEnd } = createWideProvider()

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ providers: [provider], env: { MAX_SESSIONS_PER_AGENT: '100' } })
})

/** Until when a session is summarised. */
const summarizedThrough = async (sessionId: string): Promise<number> => {
  const values = [decodeId(sessionId).uuid]
  const sql = 'SELECT through_seq AS seq FROM summaries WHERE session_id = $1'
  const [row] = await query(app.databaseUrl, sql, { values })
  return row?.seq ?? 0
}

describe('a summary leaves as it is', () => {
  const shownMessages = async (api: Api, sessionId: string) => {
    const { parts } = await preview(api, sessionId, { content: 'x' })
    return parts.flatMap(({ kind, content }: { kind: string; content: string }) =>
      kind === 'MESSAGE' ? content.split(' ').slice(0, 2).join(' ') : [],
    )
  }

  it('the turn that holds the last message to keep', async () => {
    const contextPolicy = { kind: 'SUMMARIZE', tokens: 400, keepLast: 1 }
    const { api, sessionId } = await sessionWith(app, talk(6), { contextPolicy })
    await ask(api, sessionId, 'First question')
    await vi.waitFor(async () => expect(await summarizedThrough(sessionId)).toBeGreaterThan(0), patience)
    expect(await summarizedThrough(sessionId)).toBe(12)
    expect(await shownMessages(api, sessionId)).toEqual(['First question', expect.stringMatching(/^Reply/)])
  })

  it('a reply that is still being made', async () => {
    const contextPolicy = { kind: 'SUMMARIZE', tokens: 400, keepLast: 1 }
    const { api, sessionId } = await sessionWith(app, talk(6), { contextPolicy }, 'wim')
    const summary = Promise.withResolvers<void>()
    const reply = Promise.withResolvers<void>()
    waits.summary = summary.promise
    const before = summaries.length
    await ask(api, sessionId, 'First question')
    await vi.waitFor(() => expect(summaries.length).toBe(before + 1), patience)
    waits.reply = reply.promise
    const { assistantMessage } = await api.sendMessage({ sessionId, content: `Long ${'x'.repeat(1_250)}` })
    await vi.waitFor(async () => {
      const { message } = await api.run('query ($id: ID!) { message(id: $id) { content status } }', {
        id: assistantMessage.id,
      })
      expect(message).toEqual({ content: expect.stringMatching(/^Reply/), status: 'STREAMING' })
    }, patience)
    summary.resolve()
    // The first turn has no room beside the long one.
    await vi.waitFor(async () => expect(await summarizedThrough(sessionId)).toBeGreaterThan(12), patience)
    await idle()
    expect(await summarizedThrough(sessionId)).toBe(14)
    reply.resolve()
    await vi.waitFor(async () => expect(await summarizedThrough(sessionId)).toBe(16), patience)
    delete waits.reply
    delete waits.summary
  })
})

it.each(['length', 'content-filter'] as const)(
  'a summary that ends by %s is not kept, and not asked for again soon',
  async (finishReason) => {
    summaryEnd.finishReason = finishReason
    const contextPolicy = { kind: 'SUMMARIZE', tokens: 400, keepLast: 2 }
    const { api, sessionId } = await sessionWith(app, talk(6), { contextPolicy }, finishReason)
    const before = summaries.length
    await ask(api, sessionId, 'First')
    await vi.waitFor(() => expect(summaries.length).toBe(before + 1), patience)
    await idle()
    for (const content of ['Second', 'Third']) await ask(api, sessionId, content)
    await idle()
    expect(summaries.length).toBe(before + 1)
    expect(await summarizedThrough(sessionId)).toBe(0)
    // It was paid for all the same.
    const { session } = await api.run('query ($id: ID!) { session(id: $id) { usage { outputTokens } } }', {
      id: sessionId,
    })
    expect(session.usage.outputTokens).toBe(4 * 5)
    summaryEnd.finishReason = 'stop'
  },
)

it('a summary asks a small model for no more than it has room for', async () => {
  const contextPolicy = { kind: 'SUMMARIZE', keepLast: 1 }
  const { api, sessionId } = await sessionWith(app, talk(8), { contextPolicy }, 'yara')
  await addMessages(api, sessionId, [{ role: 'USER', content: `Huge ${'z'.repeat(5_000)}` }])
  await api.run('{ models { id } }')
  const before = summaries.length
  await ask(api, sessionId, 'First', { model: 'wide:small' })
  await vi.waitFor(async () => expect(await summarizedThrough(sessionId)).toBe(17), patience)
  const asked = summaries.slice(before)
  expect(asked.length).toBeGreaterThan(2)
  for (const request of asked) {
    const { maxOutputTokens = 0 } = request.parameters
    expect(maxOutputTokens).toBe(300)
    expect(inputTokens(request) + maxOutputTokens).toBeLessThanOrEqual(600)
  }
})

/** Waits until no job of summaries waits or is at work. */
const idle = () =>
  vi.waitFor(async () => {
    const sql = `SELECT 1 FROM jobs.job WHERE name = 'summary' AND state IN ('created', 'retry', 'active')
      AND start_after <= now()`
    expect(await query(app.databaseUrl, sql)).toEqual([])
  }, patience)
