import type { Message, Run, Statement } from '../../db/client.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import type { ModelMessage, ToolCall } from '../../llm/provider.ts'
import type { AgentTool } from '../agents/checks.ts'
import { memoryToolDefinitions } from '../memory/tools.ts'

/** What one statement reads of a session for a reply: so that a send waits for no second one. */
export type Scene = {
  /** The instructions: the system prompt, and those that stand in the conversation. */
  instructions: string
  /** What was said before the question, oldest first; what belongs together is one turn. */
  turns: Turn[]
  /** The question, and what its run has said so far. */
  current: Turn
  tools: readonly AgentTool[]
  policy: ContextPolicy
  memoryTools: boolean
  /** The documents that the reply may draw on. */
  documentIds: readonly string[]
  /** Whose memories and past sessions these are: who asks, or the owner where somebody acts for it. */
  personId: string
  summary: { content: string; throughSeq: number } | null
}

export type Said = { id: string | null; seq: number; message: ModelMessage }
export type Turn = readonly Said[]

// The system prompt comes first, as what it is to the model: an instruction before all others. What waits in line was
// not said yet. What the run itself has said and was answered goes along even without the history.
const sceneStatement = (name: string, condition: string): Statement => ({
  name,
  text: `SELECT NULL AS id, 0 AS seq, 'SYSTEM'::"MessageRole" AS role,
      coalesce(s.system_prompt, a.system_prompt) AS content, '[]'::jsonb AS "toolCalls", NULL AS "toolCallId",
      NULL AS "runId", jsonb_build_object('tools', coalesce((SELECT o.tools FROM runs o WHERE o.tenant_id = $1 AND o.id = $6),
          a.tools, '[]'),
        'policy', coalesce($7::jsonb, s.context_policy, a.context_policy, '{"kind": "FULL"}'),
        'memoryTools', coalesce(a.memory_tools, false) AND NOT s.is_stateless,
        'documentIds', coalesce($9::jsonb, (SELECT jsonb_agg(d.document_id) FROM session_documents d
          WHERE d.tenant_id = $1 AND d.session_id = $2), '[]'),
        'personId', CASE WHEN EXISTS (SELECT FROM participants p WHERE p.tenant_id = $1 AND p.session_id = $2
          AND p.user_id = $8) THEN $8 ELSE s.user_id END,
        'summary', (SELECT jsonb_build_object('content', y.content, 'throughSeq', y.through_seq) FROM summaries y
          WHERE y.tenant_id = $1 AND y.session_id = $2 AND $5)) AS settings
    FROM sessions s LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id
    WHERE s.tenant_id = $1 AND s.id = $2 AND ${condition}
    UNION ALL
    SELECT m.id, m.seq, m.role, m.content, m.tool_calls, m.tool_call_id, m.run_id, NULL FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.replaced_at IS NULL AND m.id IS DISTINCT FROM $3
      AND ${condition} AND (m.id = $4 OR m.run_id = $6 OR ($5
        AND (m.run_id IS NOT NULL OR $6::uuid IS NULL OR m.seq < (SELECT min(r.seq) FROM messages r
          WHERE r.tenant_id = $1 AND r.run_id = $6 AND r.role = 'ASSISTANT'))
        AND coalesce(m.run_id <> ALL (ARRAY(SELECT o.id FROM runs o WHERE o.tenant_id = $1 AND o.session_id = $2
          AND o.status = 'QUEUED')), true)))
    ORDER BY seq`,
})

export const findScene = sceneStatement('context-turns', 'true')

/** No row where the run does not run. */
export const findSceneOfClaimed = sceneStatement(
  'context-turns-of-claimed',
  "EXISTS (SELECT FROM runs c WHERE c.tenant_id = $1 AND c.id = $6 AND c.status = 'RUNNING')",
)

/** Whose scene is asked for; without a run, that of a question that is not stored. */
export type SceneAsked = {
  sessionId: string
  userId: string
  policy: ContextPolicy | null
  runId: string | null
  assistantMessageId: string | null
  messageId: string | null
  documentIds: readonly string[] | null
}

/** What the scene of a run depends on. */
export type RunOfScene = Pick<
  Run,
  'tenantId' | 'id' | 'sessionId' | 'userId' | 'userMessageId' | 'assistantMessageId'
> & { contextPolicy: unknown; documentIds: unknown }

export const askedFor = (run: RunOfScene): SceneAsked => ({
  sessionId: run.sessionId,
  userId: run.userId,
  runId: run.id,
  messageId: run.userMessageId,
  assistantMessageId: run.assistantMessageId,
  policy: run.contextPolicy as ContextPolicy | null,
  documentIds: run.documentIds as readonly string[] | null,
})

export function sceneValues(tenantId: string, sendsHistory: boolean, asked: SceneAsked): unknown[] {
  const { sessionId, assistantMessageId, messageId, runId, policy, userId, documentIds } = asked
  return [
    ...[tenantId, sessionId, assistantMessageId, messageId, sendsHistory, runId],
    ...[policy && JSON.stringify(policy), userId, documentIds && JSON.stringify(documentIds)],
  ]
}

/** The first row, which is the system prompt's, has the settings. */
export type SceneRow = Pick<Message, 'seq' | 'role' | 'content' | 'toolCallId' | 'runId'> & {
  id: string | null
  toolCalls: ToolCall[]
  settings: Pick<Scene, 'tools' | 'policy' | 'memoryTools' | 'documentIds' | 'personId' | 'summary'> | null
}

/** `asked` is the run that is to answer and the message that it answers; null before anything is sent. */
export function sceneOf(
  rows: readonly SceneRow[],
  asked: { runId: string; messageId: string } | null,
): Scene | null {
  const settings = rows[0]?.settings
  if (!settings) return null
  const all = answeredCalls(inOrderOfRuns(rows, asked?.runId ?? null)).flatMap(toSaid)
  const question = asked ? all.findIndex(({ id }) => id === asked.messageId) : all.length
  const start = question < 0 ? all.length : question
  const instructions = rows.flatMap(({ role, content }) => (role === 'SYSTEM' && content ? [content] : []))
  return {
    ...settings,
    tools: offered(settings),
    instructions: instructions.join('\n\n'),
    turns: turnsOf(all.slice(0, start)),
    current: all.slice(start),
  }
}

/** A tool of the agent goes before one of memory that is called the same. */
function offered({ tools, memoryTools }: Pick<Scene, 'tools' | 'memoryTools'>): Scene['tools'] {
  if (!memoryTools) return tools
  return [...tools, ...memoryToolDefinitions.filter(({ name }) => tools.every((each) => each.name !== name))]
}

/**
 * What a run said after it was given results stands behind what was sent meanwhile, but was said before that was
 * answered, and providers want a result right after its call. Hence each run stands whole where its first reply does,
 * and the one that is answered now comes last.
 */
function inOrderOfRuns(rows: readonly SceneRow[], runId: string | null): SceneRow[] {
  const replies = new Map<string, number>()
  for (const row of rows)
    if (row.runId && row.role === 'ASSISTANT' && !replies.has(row.runId)) replies.set(row.runId, row.seq)
  const placeOf = (row: SceneRow) =>
    row.runId !== null && row.runId === runId
      ? Number.POSITIVE_INFINITY
      : (replies.get(row.runId ?? '') ?? row.seq)
  return [...rows].sort((a, b) => (placeOf(a) === placeOf(b) ? a.seq - b.seq : placeOf(a) - placeOf(b)))
}

/** The place of the call that each result answers, by the result's own: clients may use an id again, so the nearest before. */
function callsOfResults(rows: readonly { calls: readonly ToolCall[]; answers: string | null }[]) {
  const lastCalls = new Map<string, number>()
  const answered = new Map<number, number>()
  for (const [index, { calls, answers }] of rows.entries()) {
    const call = answers === null ? undefined : lastCalls.get(answers)
    if (call !== undefined) answered.set(index, call)
    for (const { id } of calls) lastCalls.set(id, index)
  }
  return answered
}

/** Providers refuse a tool call without its result, and a result without its call: both are left out. */
function answeredCalls(rows: readonly SceneRow[]): SceneRow[] {
  const callOf = callsOfResults(
    rows.map(({ toolCalls, toolCallId }) => ({ calls: toolCalls, answers: toolCallId })),
  )
  const answered = new Set([...callOf].map(([result, call]) => `${call} ${rows[result]?.toolCallId}`))
  return rows.flatMap((row, index) => {
    if (row.toolCallId !== null && !callOf.has(index)) return []
    return { ...row, toolCalls: row.toolCalls.filter(({ id }) => answered.has(`${index} ${id}`)) }
  })
}

/** Replies that never got a word (queued, failed at once) say nothing to the model. */
function toSaid({ id, seq, role, content, toolCalls, toolCallId }: SceneRow): Said[] {
  const said = (message: ModelMessage) => [{ id, seq, message }]
  if (role === 'TOOL') return toolCallId ? said({ role: 'tool', content: content ?? '', toolCallId }) : []
  if (role === 'ASSISTANT')
    return content || toolCalls.length > 0
      ? said({ role: 'assistant', content: content ?? '', toolCalls })
      : []
  return role === 'USER' && content ? said({ role: 'user', content }) : []
}

/** A turn begins with a person's message, unless a tool call of the turn before has its result behind it. */
export function turnsOf(all: readonly Said[]): Turn[] {
  const callOf = callsOfResults(
    all.map(({ message }) => ({
      calls: message.role === 'assistant' ? message.toolCalls : [],
      answers: message.role === 'tool' ? message.toolCallId : null,
    })),
  )
  const lastResultOf = new Map([...callOf].map(([result, call]) => [call, result]))
  const turns: Said[][] = []
  let openUntil = -1
  for (const [index, said] of all.entries()) {
    const last = turns.at(-1)
    if (!last || (said.message.role === 'user' && index > openUntil)) turns.push([said])
    else last.push(said)
    openUntil = Math.max(openUntil, lastResultOf.get(index) ?? -1)
  }
  return turns
}
