import type { Database, Run, Session, Statement, TenantDatabase } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import { storable } from '../../lib/checks.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import type { ModelUsage } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import { summaryRequest } from '../../llm/summary-request.ts'
import type { Log } from '../../telemetry/log.ts'
import { lockMessages } from '../messages/removal.ts'
import { addUsed } from '../quotas/counting.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import { findScene, type Said, type Scene, type SceneRow, sceneOf } from './conversation.ts'
import { textOf } from './fit.ts'
import { defaultKeepLast } from './service.ts'

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
  text: `SELECT r.model, r.user_id AS "userId", r.context_policy AS policy FROM runs r
    JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.tenant_id = $1 AND r.id = $2 AND s.deleted_at IS NULL`,
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
/** Characters of one request: a long history is taken in several steps. */
const stepLength = 60_000
const summaryMaxLength = 8_000
const summaryTokens = 1_000

type Job = { tenantId: string; sessionId: string; runId: string }
type Dependencies = {
  database: Database
  changes: Changes
  models: Models
  quotas: Quotas
  jobs: Jobs
  log: Log
}

export function createSummaries({ database, changes, models, quotas, jobs, log }: Dependencies): Summaries {
  async function read(db: TenantDatabase, { sessionId, runId }: Job) {
    type Found = { model: string; userId: string; policy: ContextPolicy | null }
    const [run] = await db.sql<Found>(findRun, [db.tenantId, runId])
    if (!run) return null
    const policy = run.policy && JSON.stringify(run.policy)
    const values = [db.tenantId, sessionId, null, null, true, null, policy, run.userId, '[]']
    const scene = sceneOf(await db.sql<SceneRow>(findScene, values), null)
    return scene && { model: run.model, userId: run.userId, scene }
  }

  async function summarize(job: Job, signal: AbortSignal): Promise<void> {
    const db = database.forTenant(job.tenantId)
    for (;;) {
      const found = await read(db, job)
      const older = found ? olderTurns(found.scene) : []
      if (!found || older.length === 0 || !(await quotas.hasRoom(db, found.userId))) return
      const { model, scene } = found
      const { text, usage } = await ask(models, model, scene, older, signal)
      const isStored = await store(db, job, { ...found, older, text, usage })
      if (!isStored) return log.info({ sessionId: job.sessionId, model }, 'a summary was not kept')
    }
  }

  type Made = { scene: Scene; model: string; older: readonly Said[]; text: string; usage: ModelUsage }

  function store(db: TenantDatabase, job: Job, { scene, model, older, text, usage }: Made): Promise<boolean> {
    const { tenantId, sessionId, runId } = job
    const { inputTokens, outputTokens, cachedInputTokens } = usage
    const cost = models.prices.costOf(model, usage)
    const used = [inputTokens, outputTokens, cachedInputTokens, cost]
    return changes.commit(db, sessionId, async (sql) => {
      await lockMessages(sql, { tenantId, sessionId })
      const ids = older.flatMap(({ id }) => id ?? [])
      const through = Math.max(...older.map(({ seq }) => seq))
      const values = [text, through, model, ids.length, ids, scene.summary?.throughSeq ?? 0]
      const [stored] = text === '' ? [] : await sql(storeSummary, [tenantId, sessionId, ...values])
      const [session] = await sql<Session>(countUsage, [tenantId, sessionId, ...used])
      await addUsed(sql, { tenantId, runId }, { usage, cost })
      return { result: stored !== undefined, events: session ? [sessionUpdated(session)] : [] }
    })
  }

  jobs.work<Job>('summary', summarize)

  return {
    offer({ tenantId, sessionId, id }) {
      jobs
        .send('summary', { tenantId, sessionId, runId: id }, { singletonKey: sessionId })
        .catch((error) => log.warn({ err: error, sessionId }, 'no summary was asked for'))
    },
  }
}

/** What comes after the summary and before the last messages: whole turns, as many as one step takes. */
function olderTurns({ turns, summary, policy }: Scene): Said[] {
  const open = turns.filter((turn) => turn.some(({ seq }) => seq > (summary?.throughSeq ?? 0)))
  let kept = policy.keepLast ?? defaultKeepLast
  let end = open.length
  while (end > 0 && kept >= (open[end - 1]?.length ?? 0)) {
    kept -= open[end - 1]?.length ?? 0
    end -= 1
  }
  const step: Said[] = []
  let length = 0
  for (const turn of open.slice(0, end)) {
    length += turn.reduce((sum, { message }) => sum + textOf(message).length, 0)
    if (step.length > 0 && length > stepLength) break
    step.push(...turn)
  }
  return step
}

/** The model's answer; throws where it fails, so that the job is tried again. */
async function ask(
  models: Models,
  modelId: string,
  { summary }: Scene,
  older: readonly Said[],
  signal: AbortSignal,
): Promise<{ text: string; usage: ModelUsage }> {
  const { provider, model } = models.resolve(modelId)
  const said = older.map(({ message }) => ({
    ...message,
    content: textOf(message).slice(0, stepLength).toWellFormed(),
  }))
  const messages = summaryRequest(summary?.content ?? null, said)
  const request = { model, messages, parameters: { maxOutputTokens: summaryTokens }, tools: [] }
  const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  let text = ''
  let usage: ModelUsage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }
  for await (const part of provider.stream(request, ending)) {
    if (part.type === 'text-delta') text += part.text
    else if (part.type === 'usage') usage = part.usage
    else if (part.type === 'error') throw part.error
  }
  ending.throwIfAborted()
  const bare = storable(text.replace(/<think>.*?<\/think>/gsu, '')).trim()
  return { text: bare.slice(0, summaryMaxLength).toWellFormed(), usage }
}
