import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Run, Sql, Statement } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { type FieldFault, invalid, ValidationError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { appendMessages, type Draft, messageAdded } from '../messages/append.ts'
import { lockMessages } from '../messages/removal.ts'
import type { Change, Changes } from '../sessions/changes.ts'
import { sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Claims } from './claims.ts'
import type { Engine } from './engine.ts'
import type { PendingToolCall } from './pausing.ts'
import { runColumns, runQueued, runStarted } from './rows.ts'
import type { Runs } from './service.ts'

export type ToolResults = {
  /**
   * Gives a paused run the results of all calls that it waits for, one each, and has it go on: the results and the next
   * reply are stored with it, all or nothing. Of two who do that at once one gets a `ValidationError`.
   */
  submit(viewer: Viewer, input: unknown): Promise<Submitted>
}

export type Submitted = { run: Run; toolMessages: Message[]; assistantMessage: Message }

const findRun: Statement = {
  name: 'run-by-id',
  text: `SELECT ${runColumns} FROM runs r WHERE r.tenant_id = $1 AND r.id = $2`,
}

const refusal = 'The user refused this call; it was not made.'

type Dependencies = {
  messageMaxLength: number
  sessions: Sessions
  runs: Runs
  claims: Claims
  changes: Changes
  engine: Engine
}

export function createToolResults(dependencies: Dependencies): ToolResults {
  const { messageMaxLength, sessions, runs, claims, changes, engine } = dependencies
  const result = z.object({
    toolCallId: text({ min: 1, max: 1_000 }),
    content: text({ max: messageMaxLength }).nullish(),
    isError: z.boolean().nullish(),
    approved: z.boolean().nullish(),
  })
  const submitInput = z.object({
    runId: z.uuid(),
    results: z.array(result).min(1, 'is empty; one result for each pending call is needed').max(1_000),
  })

  async function store(
    sql: Sql,
    viewer: Viewer,
    { id, sessionId }: Run,
    results: readonly GivenResult[],
  ): Promise<Change<Submitted & { revision: number }>> {
    const { tenantId } = viewer
    const place = { tenantId, sessionId }
    await lockMessages(sql, place)
    const [paused] = await sql<Run>(findRun, [tenantId, id])
    if (paused?.status !== 'REQUIRES_ACTION' || paused.cancelRequestedAt)
      throw invalid('runId', `waits for no results of tools; its status is ${paused?.status ?? 'CANCELLED'}`)
    const pending = paused.pendingToolCalls as unknown as PendingToolCall[]
    checkResults(pending, results)
    const { agentId } = await replyOf(sql, paused)
    const answers = pending.flatMap((call) => results.filter(({ toolCallId }) => toolCallId === call.id))
    const reply = { id: newId(), role: 'ASSISTANT', content: '', agentId, status: 'STREAMING' } as const
    const drafts = [
      ...answers.map((answer) => ({ ...draftOf(answer), authorId: viewer.userId, runId: id })),
      { ...reply, runId: id, model: paused.model },
    ]
    const { session, messages } = await appendMessages(sql, place, drafts)
    const run = await claims.resume(sql, { ...paused, assistantMessageId: reply.id })
    const assistantMessage = messages.at(-1)
    // The wish to cancel is stored without the session's lock.
    if (!run || !assistantMessage)
      throw invalid('runId', 'waits for no results of tools: it is being cancelled')
    const { revision } = session
    return {
      result: { run, toolMessages: messages.slice(0, -1), assistantMessage, revision },
      events: [
        ...messages.map((message) => messageAdded(message, session)),
        run.status === 'RUNNING' ? runStarted(run, session) : runQueued(run, session),
        sessionUpdated(session),
      ],
    }
  }

  return {
    async submit(viewer, asked) {
      const { runId, results } = check(submitInput, asked)
      const run = await runs.find(viewer, runId)
      await sessions.require(viewer, run.sessionId, 'EDITOR')
      const { revision, ...submitted } = await changes.commit(viewer.db, run.sessionId, (sql) =>
        store(sql, viewer, run, results),
      )
      await engine.offer(submitted.run, revision)
      return submitted
    },
  }
}

type GivenResult = {
  toolCallId: string
  content?: string | null | undefined
  isError?: boolean | null | undefined
  approved?: boolean | null | undefined
}

const findAgentOf: Statement = {
  name: 'run-reply-agent',
  text: 'SELECT m.agent_id AS "agentId" FROM messages m WHERE m.tenant_id = $1 AND m.id = $2',
}

async function replyOf(sql: Sql, { tenantId, assistantMessageId }: Run) {
  const [reply] = await sql<Pick<Message, 'agentId'>>(findAgentOf, [tenantId, assistantMessageId])
  return reply ?? { agentId: null }
}

/** Throws a `ValidationError` that names every call without its one result, and every result without its call. */
function checkResults(pending: readonly PendingToolCall[], results: readonly GivenResult[]) {
  const faults: FieldFault[] = []
  const given = new Set<string>()
  for (const [index, { toolCallId, content, approved }] of results.entries()) {
    const fault = (field: string, message: string) =>
      faults.push({ path: `results.${index}.${field}`, message })
    const call = pending.find(({ id }) => id === toolCallId)
    const name = JSON.stringify(toolCallId)
    if (!call) fault('toolCallId', `${name} is no call that the run waits for`)
    else if (given.has(toolCallId)) fault('toolCallId', `${name} has a result already; one each is allowed`)
    else if (call.requiresApproval && approved == null)
      fault('approved', `is missing; ${call.name} is called only where a person approves it`)
    else if (approved !== false && content == null)
      fault('content', 'is missing; only a refused call goes without a result')
    given.add(toolCallId)
  }
  for (const { id, name } of pending)
    if (!given.has(id))
      faults.push({ path: 'results', message: `has no result for ${JSON.stringify(id)} (${name})` })
  if (faults.length > 0) throw new ValidationError(faults)
}

function draftOf({ toolCallId, content, isError, approved }: GivenResult): Draft {
  const isRefused = approved === false
  const metadata = { ...(isError && { isError }), ...(approved != null && { approved }) }
  return {
    id: newId(),
    role: 'TOOL',
    toolCallId,
    metadata,
    content: isRefused ? (content ?? refusal) : (content ?? ''),
  }
}
