import type { Message, Run, Sql, Statement } from '../../db/client.ts'
import { runStep } from '../../db/steps.ts'
import { invalid } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { appending, type Draft, messageAdded } from '../messages/append.ts'
import { lockMessages } from '../messages/removal.ts'
import type { Change } from '../sessions/changes.ts'
import { sessionUpdated } from '../sessions/rows.ts'
import type { Claims } from './claims.ts'
import { runColumns, runQueued, runStarted } from './rows.ts'
import type { PendingToolCall } from './settling.ts'

export type Resumed = { run: Run; toolMessages: Message[]; assistantMessage: Message; revision: number }

const findRun: Statement = {
  name: 'run-by-id',
  text: `SELECT ${runColumns} FROM runs r WHERE r.tenant_id = $1 AND r.id = $2`,
}

const findAgentOf: Statement = {
  name: 'run-reply-agent',
  text: 'SELECT m.agent_id AS "agentId" FROM messages m WHERE m.tenant_id = $1 AND m.id = $2',
}

/**
 * Has a paused run go on, as part of the caller's transaction: the results of its calls and the next reply are stored
 * with it. Throws a `ValidationError` where it waits for none any more.
 */
export async function resumeRun(
  sql: Sql,
  claims: Claims,
  { tenantId, id, sessionId }: Pick<Run, 'tenantId' | 'id' | 'sessionId'>,
  resultsOf: (pending: readonly PendingToolCall[]) => readonly Draft[],
): Promise<Change<Resumed>> {
  const place = { tenantId, sessionId }
  await lockMessages(sql, place)
  const [paused] = await sql<Run>(findRun, [tenantId, id])
  if (paused?.status !== 'REQUIRES_ACTION' || paused.cancelRequestedAt)
    throw invalid('runId', `waits for no results of tools; its status is ${paused?.status ?? 'CANCELLED'}`)
  const results = resultsOf(paused.pendingToolCalls as unknown as PendingToolCall[])
  const [last] = await sql<Pick<Message, 'agentId'>>(findAgentOf, [tenantId, paused.assistantMessageId])
  const agentId = last?.agentId ?? null
  const reply = { id: newId(), role: 'ASSISTANT', content: '', agentId, status: 'STREAMING' } as const
  const drafts = [
    ...results.map((result) => ({ ...result, runId: id })),
    { ...reply, runId: id, model: paused.model },
  ]
  const { session, messages } = await runStep(sql, appending(place, drafts))
  const run = await claims.resume(sql, { ...paused, assistantMessageId: reply.id })
  const assistantMessage = messages.at(-1)
  // The wish to cancel is stored without the session's lock.
  if (!run || !assistantMessage)
    throw invalid('runId', 'waits for no results of tools: it is being cancelled')
  return {
    result: { run, toolMessages: messages.slice(0, -1), assistantMessage, revision: session.revision },
    events: [
      ...messages.map((message) => messageAdded(message, session)),
      run.status === 'RUNNING' ? runStarted(run, session) : runQueued(run, session),
      sessionUpdated(session),
    ],
  }
}

/** The result of a call that the server has carried out itself. */
export const ownResult = ({ id, result }: PendingToolCall): Draft => ({
  ...{ id: newId(), role: 'TOOL', toolCallId: id, content: result ?? '' },
})
