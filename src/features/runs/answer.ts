import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import type { Database, Run, Statement, TenantDatabase } from '../../db/client.ts'
import { ParleyError, QuotaError } from '../../lib/errors.ts'
import type { TurnEnd } from '../../lib/turn.ts'
import type { ModelPart } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { AgentTool } from '../agents/checks.ts'
import type { Context, ContextBuilder } from '../context/service.ts'
import type { Summaries } from '../context/summaries.ts'
import type { MemoryTools } from '../memory/tools.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Claims } from './claims.ts'
import { createClock } from './clock.ts'
import { type Ending, endRunOnce, noUsage } from './ending.ts'
import { callModel } from './model-call.ts'
import { outcomeOf, type StopReason } from './outcome.ts'
import { goOn, isAnswered, withOwnResults } from './own-tools.ts'
import { type PendingToolCall, pauseRunOnce, pendingCalls } from './pausing.ts'
import { createReply, type Reply } from './reply.ts'
import type { Claimed } from './rows.ts'
import type { Titles } from './titles.ts'

export type AnswerDependencies = {
  config: Config['runs']
  database: Database
  claims: Claims
  changes: Changes
  feed: Feed
  models: Models
  context: ContextBuilder
  titles: Titles
  summaries: Summaries
  memoryTools: MemoryTools
  atTurnEnd: TurnEnd
  quotas: Quotas
  log: Log
}

// Heartbeat, checkpoint and the question whether to go on, in one statement. A run without a row here is lost: ended,
// taken over, or its session was deleted.
const beatRun: Statement = {
  name: 'run-beat',
  text: `WITH beat AS (
      UPDATE runs r SET lease_until = clock_timestamp() + $6 * interval '1 ms', has_begun = has_begun OR $4 <> '',
        first_token_at = coalesce(r.first_token_at, statement_timestamp() - $5 * interval '1 ms'),
        updated_at = clock_timestamp()
      FROM sessions s
      WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING'
        AND s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
      RETURNING r.tenant_id, r.assistant_message_id, r.cancel_requested_at)
    UPDATE messages m SET content = $4, updated_at = clock_timestamp() FROM beat
    WHERE m.tenant_id = beat.tenant_id AND m.id = beat.assistant_message_id
    RETURNING beat.cancel_requested_at AS "cancelRequestedAt"`,
}

const markBegun: Statement = {
  name: 'run-mark-begun',
  text: `UPDATE runs r SET has_begun = true, updated_at = clock_timestamp(),
      first_token_at = coalesce(r.first_token_at, CASE WHEN $4 THEN clock_timestamp() END)
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING' RETURNING r.id`,
}

/** Answers one claimed run from the first event to the last. Gives the run anew where it is to go on at once. */
export async function answer(
  dependencies: AnswerDependencies,
  { run, revision }: Claimed,
  aborting: AbortController,
): Promise<Claimed | null> {
  const { config, database, claims, context, feed, titles, summaries, atTurnEnd, log } = dependencies
  const db = database.forTenant(run.tenantId)
  const stop = (reason: StopReason) => aborting.abort(reason)
  const reply = createReply({
    feed,
    place: { sessionId: run.sessionId, messageId: run.assistantMessageId, fence: revision ?? 0 },
    coalesceMs: config.coalesceMs,
    maxTextBytes: config.maxTextBytes,
    atTurnEnd,
    onFull: () => stop('full'),
    onOvertaken: () => stop('lost'),
  })
  const clock = createClock(config, stop)
  const beating = setInterval(
    () => {
      void reply.flush()
      beat(db, run, reply, clock.sinceFirstTokenMs, config.leaseMs)
        .then((reason) => reason && stop(reason))
        .catch((error) => log.warn({ err: error, runId: run.id }, 'a checkpoint failed'))
    },
    Math.min(config.checkpointMs, config.leaseMs / 3),
  )
  let failure: unknown
  let heard: Heard = { sent: null, hasBegun: false }
  try {
    void reply.flush()
    // A run that waited in a session that was deleted meanwhile ends here, before it costs anything.
    if (revision === null) stop('lost')
    else
      heard = await hear(dependencies, run, aborting, (part) => {
        if (part.type !== 'start') clock.partCame(part.type === 'text-delta')
        reply.take(part)
      })
  } catch (error) {
    if (error instanceof QuotaError) log.info({ runId: run.id }, 'a run failed: a quota is used up')
    else log.error({ err: error, runId: run.id }, 'a run failed')
    failure = error
  } finally {
    clearInterval(beating)
    clock.stop()
    await reply.flush()
  }
  const reason = aborting.signal.aborted ? (aborting.signal.reason as StopReason) : null
  const usage = await usageOf(context, run, reply, heard)
  const ending: Ending = {
    ...outcomeOf(reply, reason, failure),
    usage,
    cost: dependencies.models.prices.costOf(run.model, usage),
    sinceFirstTokenMs: clock.sinceFirstTokenMs,
  }
  // Nothing of it was told: whoever takes it next, this node when it is back or another one, begins anew.
  if (reason === 'shutdown' && !heard.hasBegun && ending.status === 'INTERRUPTED') {
    await claims.release(run)
    return null
  }
  const called = pendingCalls(ending, heard.sent?.tools ?? [])
  const { sent } = heard
  const mayGoOn = sent !== null && run.toolRounds < config.maxToolRounds
  const pending = mayGoOn ? await persist(() => withOwnResults(dependencies, run, sent, called)) : called
  const ended = await persist(() => finish(dependencies, run, ending, pending))
  if (sent) context.learn(run.model, sent, reply.usage.inputTokens)
  if (ended?.status === 'REQUIRES_ACTION' && isAnswered(pending))
    return persist(() => goOn(dependencies, ended))
  if (ended?.status !== 'COMPLETED') return null
  titles.offer(ended)
  if (sent?.wantsSummary) summaries.offer(ended)
  return null
}

/** A reply whose provider told nothing, as of one that was cut short, is reckoned, so that it is not had for nothing. */
async function usageOf(context: ContextBuilder, run: Run, reply: Reply, { sent, hasBegun }: Heard) {
  if (!sent || !hasBegun || reply.usage !== noUsage) return reply.usage
  const calls = reply.toolCalls.map(({ arguments: values }) => JSON.stringify(values))
  return context.estimate(run.model, sent, reply.text + calls.join(''))
}

type Heard = { sent: Context | null; hasBegun: boolean }

/** Asks the model and hands on what it says; stops where the run is another's meanwhile. */
async function hear(
  { config, database, models, context, quotas }: AnswerDependencies,
  run: Run,
  aborting: AbortController,
  take: (part: ModelPart) => void,
): Promise<Heard> {
  const db = database.forTenant(run.tenantId)
  const { provider, model } = models.resolve(run.model)
  // What others used meanwhile counts: a send is checked long before, where it waits in line or goes on with tools.
  const [sent] = await persist(() => Promise.all([context.build(db, run), quotas.require(db, run.userId)]))
  const { messages, parameters, tools } = sent
  const asked = { messages, parameters, model, tools: tools.map(toDefinition) }
  let hasBegun = false
  // Another node must not begin anew with what readers have seen the beginning of.
  const takeFirst = async (part: ModelPart) => {
    hasBegun = true
    const isLost = await persist(() => isTaken(db, run, part))
    if (isLost) aborting.abort('lost' satisfies StopReason)
    else take(part)
    return !isLost
  }
  await callModel(provider, asked, aborting.signal, config, (part) => {
    if (!hasBegun && beginsReply(part)) return takeFirst(part)
    take(part)
    return true
  })
  return { sent, hasBegun }
}

/** Ends the run, or lets go of it where its reply calls tools. */
async function finish(
  { config, changes, database }: AnswerDependencies,
  run: Run,
  ending: Ending,
  pending: readonly PendingToolCall[],
): Promise<Run | null> {
  const db = database.forTenant(run.tenantId)
  const end = (changed?: Partial<Ending>) =>
    endRunOnce(changes, db, run, ['RUNNING'], { ...ending, ...changed })
  if (pending.length === 0) return end()
  if (run.toolRounds >= config.maxToolRounds) {
    const message = `The model asked for tools more than ${config.maxToolRounds} times within one reply; no more is allowed (RUN_MAX_TOOL_ROUNDS).`
    return end({ status: 'FAILED', finishReason: 'LENGTH', error: { code: 'LIMIT_EXCEEDED', message } })
  }
  const timeoutMs = isAnswered(pending) ? goOnWithinMs : config.actionTimeoutMs
  const paused = await pauseRunOnce(changes, db, run, ending, { pending, timeoutMs })
  // A wish to cancel that came with the last word: what has ended has ended, what would wait does not.
  return paused ?? end({ status: 'CANCELLED', finishReason: 'CANCELLED' })
}

/** Whoever asks waits no longer than this for a run whose node stopped before it went on. */
const goOnWithinMs = 30_000

const toDefinition = ({ name, description, parameters }: AgentTool) => ({ name, description, parameters })

const beginsReply = ({ type }: ModelPart) => type === 'text-delta' || type.startsWith('tool-call')

/** Stores that something of the reply is about to be told; whether the run is another's meanwhile, or has ended. */
async function isTaken(db: TenantDatabase, run: Run, { type }: ModelPart): Promise<boolean> {
  const rows = await db.sql(markBegun, [run.tenantId, run.id, run.attempt, type === 'text-delta'])
  return rows.length === 0
}

/** Stores the text so far and renews the lease; tells why the run must stop, if it must. */
async function beat(
  db: TenantDatabase,
  run: Run,
  reply: Reply,
  sinceFirstTokenMs: number | null,
  leaseMs: number,
): Promise<StopReason | null> {
  const values = [run.tenantId, run.id, run.attempt, reply.text, sinceFirstTokenMs, leaseMs]
  const [row] = await db.sql<{ cancelRequestedAt: Date | null }>(beatRun, values)
  if (!row) return 'lost'
  return row.cancelRequestedAt ? 'cancelled' : null
}

/** What must not be lost to a database that is away for a moment; after the lease the sweep takes over. */
async function persist<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 6 || error instanceof ParleyError) throw error
      await sleep(100 * 2 ** attempt)
    }
  }
}
