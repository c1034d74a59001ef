import type { Database, Run, Session, Statement, TenantDatabase } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import { storable } from '../../lib/checks.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import type { FinishReason, ModelMessage, ModelParameters, ModelUsage } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import { summaryRequest } from '../../llm/summary-request.ts'
import type { TokenCounters } from '../../llm/tokens.ts'
import type { Log } from '../../telemetry/log.ts'
import { lockMessages } from '../messages/removal.ts'
import { addUsed } from '../quotas/counting.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import { findScene, type Said, type Scene, type SceneRow, sceneOf, sceneValues } from './conversation.ts'
import { isSummarizing } from './extras.ts'
import { textOf } from './fit.ts'
import { lastSeqOf, olderTurns } from './older-turns.ts'
import type { ContextBuilder } from './service.ts'

/**
 * Summaries of the older turns of sessions, made by a model in the background: no reply waits for one. A summary is
 * only ever taken further, from where it ends; what is deleted or replaced below its end throws it away.
 */
export type Summaries = {
  /** Has the older turns of a run's session summarised; returns at once. */
  offer(run: Run): void
}

const findRun: Statement = {
  name: 'summary-run',
  text: `SELECT r.id AS "runId", r.model, r.parameters, r.user_id AS "userId", r.context_policy AS policy, r.document_ids AS "documentIds"
    FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.tenant_id = $1 AND r.session_id = $2 AND r.status = 'COMPLETED' AND s.deleted_at IS NULL AND NOT s.is_stateless
    ORDER BY r.id DESC LIMIT 1`,
}

// What is still being answered may say more, and what a tool is asked for gets its result later.
const findUnfinished: Statement = {
  name: 'summary-unfinished',
  text: `SELECT min(m.seq) AS seq FROM messages m WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.replaced_at IS NULL
    AND (m.status = 'STREAMING' OR m.id IN (SELECT r.user_message_id FROM runs r WHERE r.tenant_id = $1
      AND r.session_id = $2 AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')))`,
}

// Nothing of what it was made of may have left meanwhile, nor another summary have come.
const storeSummary: Statement = {
  name: 'summary-store',
  text: `INSERT INTO summaries AS y (tenant_id, session_id, content, through_seq, model)
    SELECT $1, $2, $3, $4, $5 WHERE $6 = (SELECT count(*) FROM messages m WHERE m.tenant_id = $1
        AND m.session_id = $2 AND m.replaced_at IS NULL AND m.id = ANY($7))
      AND $8 = coalesce((SELECT through_seq FROM summaries WHERE tenant_id = $1 AND session_id = $2), 0)
    ON CONFLICT (tenant_id, session_id) DO UPDATE SET content = excluded.content,
      through_seq = excluded.through_seq, model = excluded.model, updated_at = now()
    RETURNING through_seq`,
}

const countUsage: Statement = {
  name: 'summary-count-usage',
  text: `UPDATE sessions s SET revision = revision + 1, updated_at = clock_timestamp(),
      input_tokens = input_tokens + $3, output_tokens = output_tokens + $4,
      cached_input_tokens = cached_input_tokens + $5, cost = cost + coalesce($6::numeric, 0)
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

const timeoutMs = 120_000
const summaryMaxLength = 8_000
/** Some models count what they think before. */
const summaryTokens = 4_096
/** Tokens of one request at most: a long history is taken in several steps. */
const stepTokens = 15_000
/** Of a window that is all but full already. */
const minStepTokens = 50
/** What is counted by a ratio may be more to the model. */
const countedShare = 0.9

/** After a failure the next try is made so much later, and each time four times as late; after the last, with a new reply. */
const retryMs = 60_000
const maxFailures = 6

/** It follows the newest reply. `failures`: how many tries have failed in a row. */
type Job = { tenantId: string; sessionId: string; failures?: number }
type Dependencies = {
  database: Database
  changes: Changes
  models: Models
  quotas: Quotas
  context: ContextBuilder
  counters: TokenCounters
  jobs: Jobs
  log: Log
}

export function createSummaries(dependencies: Dependencies): Summaries {
  const { database, changes, models, quotas, context, counters, jobs, log } = dependencies

  async function read(db: TenantDatabase, { sessionId }: Job) {
    type Found = {
      runId: string
      model: string
      parameters: ModelParameters
      userId: string
      policy: ContextPolicy | null
      documentIds: string[] | null
    }
    const [run] = await db.sql<Found>(findRun, [db.tenantId, sessionId])
    if (!run) return null
    const { runId, model, parameters, userId } = run
    const nothing = { runId: null, messageId: null, assistantMessageId: null }
    const values = sceneValues(db.tenantId, true, { ...run, ...nothing, sessionId })
    // Before and after: a reply that ends or begins in between is read as it was then.
    const before = await firstUnfinished(db, sessionId)
    const scene = sceneOf(await db.sql<SceneRow>(findScene, values), null)
    if (!scene || !isSummarizing(scene.policy)) return null
    const unfinished = Math.min(before, await firstUnfinished(db, sessionId))
    const open = await context.turnsToSummarize({ db, sessionId, userId, model, parameters }, scene)
    const step = await stepOf(model, scene)
    const older = olderTurns(open, { ...step, keepLast: scene.policy.keepLast, unfinished })
    return { runId, model, userId, scene, older, step }
  }

  async function firstUnfinished(db: TenantDatabase, sessionId: string): Promise<number> {
    const [row] = await db.sql<{ seq: number | null }>(findUnfinished, [db.tenantId, sessionId])
    return row?.seq ?? Number.POSITIVE_INFINITY
  }

  /** What one request has room for, by the window of the model. */
  async function stepOf(model: string, { summary }: Scene): Promise<Step> {
    const { count } = await counters.of(model)
    const window = models.contextWindow(model) ?? Number.POSITIVE_INFINITY
    const maxOutputTokens = Math.min(summaryTokens, Math.floor(window / 2))
    const frame = summaryRequest(summary?.content ?? null, [])
    const taken = frame.reduce((sum, { content }) => sum + count(content), 0)
    const room = Math.min(stepTokens, (window - maxOutputTokens) * countedShare - taken)
    return { count, maxOutputTokens, room: Math.max(minStepTokens, room) }
  }

  async function summarize(job: Job, signal: AbortSignal): Promise<void> {
    const { sessionId } = job
    try {
      await takeFurther(job, signal)
    } catch (error) {
      // The node stops: another does it again.
      if (signal.aborted) throw error
      const failures = (job.failures ?? 0) + 1
      log.warn({ err: error, sessionId, failures }, 'a summary was not made')
      if (failures > maxFailures) return
      const startAfter = new Date(Date.now() + retryMs * 4 ** (failures - 1))
      await jobs.send('summary', { ...job, failures }, { singletonKey: sessionId, startAfter })
    }
  }

  async function takeFurther(job: Job, signal: AbortSignal): Promise<void> {
    const db = database.forTenant(job.tenantId)
    for (;;) {
      const found = await read(db, job)
      if (!found || found.older.length === 0 || !(await quotas.hasRoom(db, found.userId))) return
      const { model } = found
      const { text, usage, finishReason } = await ask(models, found, signal)
      const isWhole = finishReason === 'stop' && text !== ''
      const isStored = await store(db, job, { ...found, text: isWhole ? text : null, usage })
      if (!isWhole) throw new Error(`The model ${model} ended a summary of no use: ${finishReason}`)
      if (!isStored) return log.info({ sessionId: job.sessionId, model }, 'a summary was not kept')
    }
  }

  /** `text` null: nothing but the usage is stored. */
  type Made = Asked & { runId: string; text: string | null; usage: ModelUsage }

  function store(db: TenantDatabase, { tenantId, sessionId }: Job, made: Made): Promise<boolean> {
    const { runId, scene, model, older, text, usage } = made
    const { inputTokens, outputTokens, cachedInputTokens } = usage
    const cost = models.prices.costOf(model, usage)
    const used = [inputTokens, outputTokens, cachedInputTokens, cost]
    return changes.commit(db, sessionId, async (sql) => {
      await lockMessages(sql, { tenantId, sessionId })
      const ids = older.flatMap(({ id }) => id ?? [])
      const through = lastSeqOf(older)
      const values = [text, through, model, ids.length, ids, scene.summary?.throughSeq ?? 0]
      const [stored] = text === null ? [] : await sql(storeSummary, [tenantId, sessionId, ...values])
      const [session] = await sql<Session>(countUsage, [tenantId, sessionId, ...used])
      await addUsed(sql, { tenantId, runId }, { usage, cost })
      return { result: stored !== undefined, events: session ? [sessionUpdated(session)] : [] }
    })
  }

  jobs.work<Job>('summary', summarize)

  return {
    offer({ tenantId, sessionId }) {
      jobs
        .send('summary', { tenantId, sessionId }, { singletonKey: sessionId })
        .catch((error) => log.warn({ err: error, sessionId }, 'no summary was asked for'))
    },
  }
}

type Step = { count: (text: string) => number; room: number; maxOutputTokens: number }
type Asked = { model: string; scene: Scene; older: readonly Said[]; step: Step }
type Answer = { text: string; usage: ModelUsage; finishReason: FinishReason }

/** The model's answer; throws where it fails. */
async function ask(
  models: Models,
  { model: modelId, scene: { summary }, older, step }: Asked,
  signal: AbortSignal,
): Promise<Answer> {
  const { provider, model } = models.resolve(modelId)
  const { maxOutputTokens } = step
  const messages = summaryRequest(summary?.content ?? null, withinStep(older, step))
  const request = { model, messages, parameters: { maxOutputTokens }, tools: [] }
  const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  let text = ''
  let finishReason: FinishReason = 'other'
  let usage: ModelUsage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }
  for await (const part of provider.stream(request, ending)) {
    if (part.type === 'text-delta') text += part.text
    else if (part.type === 'usage') usage = part.usage
    else if (part.type === 'end') finishReason = part.finishReason
    else if (part.type === 'error') throw part.error
  }
  ending.throwIfAborted()
  const bare = storable(text.replace(/<think>.*?<\/think>/gsu, '')).trim()
  return { text: bare.slice(0, summaryMaxLength).toWellFormed(), usage, finishReason }
}

/** What was said, as text. Of a turn that passes the step by itself each message is cut to its part of the room. */
function withinStep(said: readonly Said[], { count, room }: Step): ModelMessage[] {
  const texts = said.map(({ message }) => textOf(message))
  const sizes = texts.map(count)
  const isTooLong = sizes.reduce((sum, size) => sum + size, 0) > room
  return said.map(({ message }, index) => {
    const [text = '', size = 0] = [texts[index], sizes[index]]
    const share = room / said.length / size
    const content = isTooLong && share < 1 ? text.slice(0, text.length * share).toWellFormed() : text
    return { ...message, content }
  })
}
