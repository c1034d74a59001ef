import type { Database, Run, Session, Statement, TenantDatabase } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import { storable } from '../../lib/checks.ts'
import type { ModelUsage } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import { titleRequest } from '../../llm/title-request.ts'
import type { Log } from '../../telemetry/log.ts'
import { addUsed } from '../quotas/counting.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import { noUsage } from './settling.ts'

/**
 * Titles that a model writes. The work is a job: no reply waits for it, and it survives a restart. Where a crash
 * comes before the job is stored, the next reply of the session brings it about, since the title is still a made one.
 */
export type Titles = {
  /** Has the session of a completed run given a title, unless a person or a model gave it one; returns at once. */
  offer(run: Run): void
}

const findUntitled: Statement = {
  name: 'title-untitled',
  text: `SELECT s.id AS "sessionId", r.user_id AS "userId", q.content AS question, a.content AS reply FROM runs r
    JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    JOIN messages q ON q.tenant_id = r.tenant_id AND q.id = r.user_message_id
    JOIN messages a ON a.tenant_id = r.tenant_id AND a.id = r.assistant_message_id
    WHERE r.tenant_id = $1 AND r.id = $2 AND s.deleted_at IS NULL AND NOT s.is_stateless AND s.title_source IS DISTINCT FROM 'PERSON'
      AND s.title_source IS DISTINCT FROM 'MODEL' AND q.content IS NOT NULL AND a.content <> ''`,
}

type Untitled = { sessionId: string; userId: string; question: string; reply: string }

// What a person set meanwhile stays; the call was made all the same.
const storeTitle: Statement = {
  name: 'title-store',
  text: `UPDATE sessions s SET revision = revision + 1, updated_at = clock_timestamp(),
      title = CASE WHEN s.title_source = 'PERSON' THEN s.title ELSE coalesce($3, s.title) END,
      title_source = CASE WHEN s.title_source = 'PERSON' OR $3::text IS NULL THEN s.title_source ELSE 'MODEL' END,
      input_tokens = input_tokens + $4, output_tokens = output_tokens + $5,
      cached_input_tokens = cached_input_tokens + $6, cost = cost + coalesce($7::numeric, 0)
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

const timeoutMs = 60_000

/** A model that thinks aloud may do so for a while before the title comes. */
const answerMaxLength = 20_000

type Dependencies = {
  config: { titleModel: string | undefined; titleMaxLength: number }
  database: Database
  changes: Changes
  models: Models
  quotas: Quotas
  jobs: Jobs
  log: Log
}

export function createTitles({ config, database, changes, models, quotas, jobs, log }: Dependencies): Titles {
  const { titleModel, titleMaxLength } = config
  if (titleModel === undefined) return { offer: () => {} }

  const find = async (db: TenantDatabase, runId: string) =>
    (await db.sql<Untitled>(findUntitled, [db.tenantId, runId]))[0]

  async function write(db: TenantDatabase, runId: string, signal: AbortSignal): Promise<void> {
    const untitled = await find(db, runId)
    if (!untitled || !(await quotas.hasRoom(db, untitled.userId))) return
    const { text, usage } = await askFor(models, titleModel as string, untitled, signal)
    const title = titleIn(text, titleMaxLength)
    if (title === null) log.warn({ runId, model: titleModel }, 'the title model gave no title')
    const { inputTokens, outputTokens, cachedInputTokens } = usage
    const cost = models.prices.costOf(titleModel as string, usage)
    const used = [inputTokens, outputTokens, cachedInputTokens, cost]
    await changes.commit(db, untitled.sessionId, async (sql) => {
      const [session] = await sql<Session>(storeTitle, [db.tenantId, untitled.sessionId, title, ...used])
      await addUsed(sql, { tenantId: db.tenantId, runId }, { usage, cost })
      return { result: undefined, events: session?.deletedAt === null ? [sessionUpdated(session)] : [] }
    })
  }

  jobs.work<{ tenantId: string; runId: string }>('title', ({ tenantId, runId }, signal) =>
    write(database.forTenant(tenantId), runId, signal),
  )

  async function send({ tenantId, sessionId, id }: Run) {
    if (await find(database.forTenant(tenantId), id))
      await jobs.send('title', { tenantId, runId: id }, { singletonKey: sessionId })
  }

  return {
    offer: (run) =>
      void send(run).catch((error) => log.warn({ err: error, runId: run.id }, 'no title was asked for')),
  }
}

/** The model's answer; throws where it fails, so that the job is tried again. */
async function askFor(
  models: Models,
  modelId: string,
  { question, reply }: Untitled,
  signal: AbortSignal,
): Promise<{ text: string; usage: ModelUsage }> {
  const { provider, model } = models.resolve(modelId)
  const request = { model, messages: titleRequest(question, reply), parameters: {}, tools: [] }
  const ending = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  let text = ''
  let usage = noUsage
  for await (const part of provider.stream(request, ending)) {
    if (part.type === 'text-delta' && text.length < answerMaxLength) text += part.text
    else if (part.type === 'usage') usage = part.usage
    else if (part.type === 'error') throw part.error
  }
  ending.throwIfAborted()
  return { text, usage }
}

/** The title in a model's answer: its first line, without what models like to put around it. */
export function titleIn(answer: string, maxLength: number): string | null {
  const lines = storable(answer)
    .replace(/<think>.*?<\/think>/gsu, '')
    .split('\n')
  const line = lines.find((each) => /[\p{L}\p{N}]/u.test(each)) ?? ''
  const bare = line
    .replace(/^[\s\p{P}\p{S}]*title\s*:/iu, '')
    .replace(/^[\s"'`*_#«»‹›“”„‘’「」『』]+|[\s"'`*_.。«»‹›“”„‘’「」『』]+$/gu, '')
    .replace(/\s+/gu, ' ')
  return (
    bare
      .slice(0, maxLength)
      .toWellFormed()
      .replace(/\ufffd$/u, '')
      .trim() || null
  )
}
