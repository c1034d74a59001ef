import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Run } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { type FieldFault, ValidationError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import type { Draft } from '../messages/append.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Claims } from './claims.ts'
import type { Engine } from './engine.ts'
import { isOpen } from './pausing.ts'
import { ownResult, resumeRun } from './resuming.ts'
import type { Runs } from './service.ts'
import type { PendingToolCall } from './settling.ts'

export type ToolResults = {
  /**
   * Gives a paused run the results of all calls that it waits for, one each, and has it go on: the results and the next
   * reply are stored with it, all or nothing. Of two who do that at once one gets a `ValidationError`.
   */
  submit(viewer: Viewer, input: unknown): Promise<Submitted>
}

export type Submitted = { run: Run; toolMessages: Message[]; assistantMessage: Message }

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

  /** In the order of the calls. */
  function draftsOf(viewer: Viewer, pending: readonly PendingToolCall[], results: readonly GivenResult[]) {
    checkResults(pending.filter(isOpen), results)
    return pending.flatMap((call): Draft[] => {
      if (!isOpen(call)) return [ownResult(call)]
      const given = results.filter(({ toolCallId }) => toolCallId === call.id)
      return given.map((result) => ({ ...draftOf(result), authorId: viewer.userId }))
    })
  }

  return {
    async submit(viewer, asked) {
      const { runId, results } = check(submitInput, asked)
      const run = await runs.find(viewer, runId)
      await sessions.requirePlace(viewer, run.sessionId, 'EDITOR')
      const submitted = await changes.commit(viewer.db, run.sessionId, (sql) =>
        resumeRun(sql, claims, run, (pending) => draftsOf(viewer, pending, results)),
      )
      await engine.offer(submitted)
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
