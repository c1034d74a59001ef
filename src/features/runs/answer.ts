import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../../config.ts'
import type { Database, Run, Statement, TenantDatabase } from '../../db/client.ts'
import { ModelUnavailableError, ParleyError, QuotaError, RateLimitedError } from '../../lib/errors.ts'
import type { TurnEnd } from '../../lib/turn.ts'
import type { ModelPart } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { AgentTool } from '../agents/checks.ts'
import type { Context, ContextBuilder } from '../context/service.ts'
import type { Summaries } from '../context/summaries.ts'
import type { MemoryTools } from '../memory/tools.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Beats, Keeping } from './beats.ts'
import type { Claims } from './claims.ts'
import { createClock } from './clock.ts'
import { type Ended, endRunOnce } from './ending.ts'
import { callModel } from './model-call.ts'
import { outcomeOf, type StopReason } from './outcome.ts'
import { goOn, isAnswered, withOwnResults } from './own-tools.ts'
import { pauseRunOnce, pendingCalls } from './pausing.ts'
import { createReply, type Reply } from './reply.ts'
import type { Claimed } from './rows.ts'
import { type Ending, noUsage, type PendingToolCall } from './settling.ts'
import type { Titles } from './titles.ts'

export type AnswerDependencies = {
  config: Config['runs']
  database: Database
  claims: Claims
  beats: Beats
  changes: Changes
  feed: Feed
  models: Models
  requireAllowed: ModelCatalog['requireAllowed']
  context: ContextBuilder
  titles: Titles
  summaries: Summaries
  memoryTools: MemoryTools
  atTurnEnd: TurnEnd
  quotas: Quotas
  log: Log
}

const markBegun: Statement = {
  name: 'run-mark-begun',
  text: `UPDATE runs r SET has_begun = true, updated_at = clock_timestamp(),
      first_token_at = coalesce(r.first_token_at, CASE WHEN $4 THEN clock_timestamp() END)
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING' RETURNING r.id`,
}

/** What comes after an answer: the run anew, where it is to go on at once, and whether others wait that may now begin. */
export type Answered = { next: Claimed | null; mayWait: boolean }

export const lookAgain: Answered = { next: null, mayWait: true }

/** Answers one claimed run from the first event to the last. */
export async function answer(
  dependencies: AnswerDependencies,
  claimed: Claimed,
  aborting: AbortController,
): Promise<Answered> {
  const { run, revision } = claimed
  const { config, claims, beats, context, feed, titles, summaries, atTurnEnd, log } = dependencies
  const stop = (reason: StopReason) => aborting.abort(reason)
  const reply = createReply({
    feed,
    place: { sessionId: run.sessionId, messageId: run.assistantMessageId, fence: revision ?? 0 },
    coalesceMs: config.coalesceMs,
    maxTextBytes: config.maxTextBytes,
    atTurnEnd,
    onFull: () => stop('full'),
    onOvertaken: () => stop('lost'),
    onLogLost: () => keeping.hasten(),
  })
  const clock = createClock(config, stop)
  const keeping = beats.keep({ run, reply, clock, stop })
  let failure: unknown
  let heard: Heard = { sent: null, hasBegun: false, isTaken: false }
  try {
    void reply.flush()
    // A run that waited in a session that was deleted meanwhile ends here, before it costs anything.
    if (revision === null) stop('lost')
    else
      heard = await hear(dependencies, claimed, keeping, aborting, (part) => {
        if (part.type !== 'start') clock.partCame(part.type === 'text-delta')
        reply.take(part)
      })
  } catch (error) {
    if (error instanceof QuotaError) log.info({ runId: run.id }, 'a run failed: a quota is used up')
    else if (error instanceof ModelUnavailableError)
      log.info({ runId: run.id }, 'a run failed: its model may not be used')
    else log.error({ err: error, runId: run.id }, 'a run failed')
    failure = error
  } finally {
    keeping.leave()
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
    // Somebody may have asked for its end meanwhile.
    if (!(await claims.release(run))) await persist(() => finish(dependencies, run, ending, null))
    return lookAgain
  }
  const called = pendingCalls(ending, heard.sent?.tools ?? [])
  const { sent } = heard
  if (reply.error?.isUnreached && !heard.isTaken)
    dependencies.models.foundDown(dependencies.models.resolve(run.model).provider.name)
  const mayGoOn = sent !== null && run.toolRounds < config.maxToolRounds
  const pending = mayGoOn ? await persist(() => withOwnResults(dependencies, run, sent, called)) : called
  const ended = await persist(() => finish(dependencies, run, ending, pending))
  if (sent) context.learn(run.model, sent, reply.usage.inputTokens)
  if (!ended) return lookAgain
  const { run: now, mayWait } = ended
  if (now.status === 'REQUIRES_ACTION' && pending && isAnswered(pending))
    return { next: await persist(() => goOn(dependencies, now)), mayWait }
  if (now.status !== 'COMPLETED') return { next: null, mayWait }
  titles.offer(now)
  if (sent?.wantsSummary) summaries.offer(now)
  return { next: null, mayWait }
}

/**
 * A reply whose provider told nothing, as of one that was cut short, is reckoned from when the provider had the request,
 * so that what it read and thought before the first word is not had for nothing.
 */
async function usageOf(context: ContextBuilder, run: Run, reply: Reply, { sent, isTaken }: Heard) {
  if (!sent || !isTaken || reply.usage !== noUsage) return reply.usage
  const calls = reply.toolCalls.map(({ arguments: values }) => JSON.stringify(values))
  return context.estimate(run.model, sent, reply.text + calls.join(''))
}

/** `isTaken`: the provider had the request, and did not just refuse it. */
type Heard = { sent: Context | null; hasBegun: boolean; isTaken: boolean }

/** Asks the model and hands on what it says; stops where the run is another's meanwhile. */
async function hear(
  { config, database, models, requireAllowed, context, quotas }: AnswerDependencies,
  { run, read }: Claimed,
  { isHeld }: Pick<Keeping, 'isHeld'>,
  aborting: AbortController,
  take: (part: ModelPart) => void,
): Promise<Heard> {
  const db = database.forTenant(run.tenantId)
  const { provider, model } = models.resolve(run.model)
  // What others used meanwhile counts, and what an admin forbade: a send is checked before, where it waits in line or goes
  // on with tools long before.
  const requireRoom = async () => {
    if (!read) await quotas.require(db, run.userId)
    else if (read.excess) throw read.excess
  }
  const [sent] = await persist(() =>
    Promise.all([context.build(db, run, read?.scene), requireRoom(), requireAllowed(db, run.model)]),
  )
  const { messages, parameters, tools } = sent
  const asked = { messages, parameters, model, tools: tools.map(toDefinition) }
  let hasBegun = false
  let hasThought = false
  let isTaken = false
  // Another node must not begin anew with what readers have seen the beginning of.
  const takeFirst = async (part: ModelPart) => {
    hasBegun = true
    const isLost = await persist(() => isLostAt(db, run, part))
    if (isLost) aborting.abort('lost' satisfies StopReason)
    else take(part)
    return !isLost
  }
  const mayCall = () => persist(async () => isHeld())
  await callModel(provider, asked, aborting.signal, config, mayCall, (part) => {
    hasThought ||= part.type === 'thinking'
    if (part.type === 'start') isTaken = true
    else if (part.type === 'error') isTaken = hasBegun || hasThought
    if (!hasBegun && beginsReply(part)) return takeFirst(part)
    take(part)
    return true
  })
  return { sent, hasBegun, isTaken: isTaken || hasBegun || hasThought }
}

/** Ends the run, or lets go of it where its reply calls tools; `pending` null: it may not go on. */
async function finish(
  { config, changes, database }: AnswerDependencies,
  run: Run,
  ending: Ending,
  pending: readonly PendingToolCall[] | null,
): Promise<Ended | null> {
  const db = database.forTenant(run.tenantId)
  const end = (changed?: Partial<Ending>) =>
    endRunOnce(changes, db, run, ['RUNNING'], { ...ending, ...changed })
  if (!pending) return end({ status: 'CANCELLED', finishReason: 'CANCELLED' })
  if (pending.length === 0) return end()
  if (run.toolRounds >= config.maxToolRounds) {
    const message = `The model asked for tools more than ${config.maxToolRounds} times within one reply; no more is allowed (RUN_MAX_TOOL_ROUNDS).`
    return end({ status: 'FAILED', finishReason: 'LENGTH', error: { code: 'LIMIT_EXCEEDED', message } })
  }
  const timeoutMs = isAnswered(pending) ? goOnWithinMs : config.actionTimeoutMs
  const paused = await pauseRunOnce(changes, db, run, ending, { pending, timeoutMs })
  // A wish to cancel that came with the last word: what has ended has ended, what would wait does not.
  return paused ? { run: paused, mayWait: true } : end({ status: 'CANCELLED', finishReason: 'CANCELLED' })
}

/** Whoever asks waits no longer than this for a run whose node stopped before it went on. */
const goOnWithinMs = 30_000

const toDefinition = ({ name, description, parameters }: AgentTool) => ({ name, description, parameters })

const beginsReply = ({ type }: ModelPart) => type === 'text-delta' || type.startsWith('tool-call')

/** Stores that something of the reply is about to be told; whether the run is another's meanwhile, or has ended. */
async function isLostAt(db: TenantDatabase, run: Run, { type }: ModelPart): Promise<boolean> {
  const rows = await db.sql(markBegun, [run.tenantId, run.id, run.attempt, type === 'text-delta'])
  return rows.length === 0
}

/** What must not be lost to a database that is away for a moment; after the lease the sweep takes over. */
async function persist<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      // A database that has too much to do says so as others do.
      const isLasting = error instanceof ParleyError && !(error instanceof RateLimitedError)
      if (attempt === 6 || isLasting) throw error
      await sleep(100 * 2 ** attempt)
    }
  }
}
