import type { Message, Run, Statement, TenantDatabase } from '../../db/client.ts'
import type { ModelMessage, ModelParameters, ModelRequest, ToolCall } from '../../llm/provider.ts'
import type { AgentTool } from '../agents/checks.ts'

export type ContextBuilder = {
  /** What the model is sent for a run, without the model's name. */
  build(db: TenantDatabase, run: Run): Promise<Context>
}

export type Context = Omit<ModelRequest, 'model' | 'tools'> & { tools: readonly AgentTool[] }

// The system prompt comes first, as what it is to the model: an instruction before all others. What waits in line was
// not said yet. What the run itself has said and was answered goes along even without the history.
const findTurns: Statement = {
  name: 'context-turns',
  text: `SELECT 0 AS seq, 'SYSTEM'::"MessageRole" AS role, coalesce(s.system_prompt, a.system_prompt) AS content,
      '[]'::jsonb AS "toolCalls", NULL AS "toolCallId", NULL AS "runId", coalesce(a.tools, '[]') AS tools
    FROM sessions s LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id
    WHERE s.tenant_id = $1 AND s.id = $2
    UNION ALL
    SELECT m.seq, m.role, m.content, m.tool_calls, m.tool_call_id, m.run_id, NULL FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.replaced_at IS NULL AND m.id <> $3
      AND (m.id = $4 OR m.run_id = $6 OR ($5
        AND (m.run_id IS NOT NULL OR m.seq < (SELECT min(r.seq) FROM messages r
          WHERE r.tenant_id = $1 AND r.run_id = $6 AND r.role = 'ASSISTANT'))
        AND coalesce(m.run_id <> ALL (ARRAY(SELECT o.id FROM runs o WHERE o.tenant_id = $1 AND o.session_id = $2
          AND o.status = 'QUEUED')), true)))
    ORDER BY seq`,
}

type Options = {
  /** Whether earlier turns go along; without them the model gets the system prompt and the question. */
  sendsHistory: boolean
  /** What the documents of the session have to say to the question, as a part of the system prompt. */
  passages: (db: TenantDatabase, run: Run) => Promise<string | null>
}

export function createContextBuilder({ sendsHistory, passages }: Options): ContextBuilder {
  return {
    async build(db, run) {
      const { sql, tenantId } = db
      const { id, sessionId, assistantMessageId, userMessageId } = run
      const values = [tenantId, sessionId, assistantMessageId, userMessageId, sendsHistory, id]
      const [turns, excerpts] = await Promise.all([sql<Turn>(findTurns, values), passages(db, run)])
      return {
        messages: [
          ...systemMessage(turns, excerpts),
          ...answeredCalls(inOrderOfRuns(turns, id)).flatMap(toModelMessage),
        ],
        parameters: run.parameters as ModelParameters,
        tools: turns[0]?.tools ?? [],
      }
    },
  }
}

/** The first one, which is the system prompt's, has the tools. */
type Turn = Pick<Message, 'seq' | 'role' | 'content' | 'toolCallId' | 'runId'> & {
  toolCalls: ToolCall[]
  tools: AgentTool[] | null
}

/**
 * What a run said after it was given results stands behind what was sent meanwhile, but was said before that was
 * answered, and providers want a result right after its call. Hence each run stands whole where its first reply does,
 * and the one that is answered now comes last.
 */
function inOrderOfRuns(turns: readonly Turn[], runId: string): Turn[] {
  const replies = new Map<string, number>()
  for (const turn of turns)
    if (turn.runId && turn.role === 'ASSISTANT' && !replies.has(turn.runId)) replies.set(turn.runId, turn.seq)
  const placeOf = (turn: Turn) =>
    turn.runId === runId ? Number.POSITIVE_INFINITY : (replies.get(turn.runId ?? '') ?? turn.seq)
  return [...turns].sort((a, b) => (placeOf(a) === placeOf(b) ? a.seq - b.seq : placeOf(a) - placeOf(b)))
}

/** Models take one, as the first message: the instructions that stand in the conversation join the system prompt. */
function systemMessage(turns: readonly Turn[], excerpts: string | null): ModelMessage[] {
  const instructions = turns.flatMap(({ role, content }) => (role === 'SYSTEM' && content ? [content] : []))
  // Last, so that what stays the same from turn to turn stands before what changes.
  if (excerpts) instructions.push(excerpts)
  return instructions.length > 0 ? [{ role: 'system', content: instructions.join('\n\n') }] : []
}

/** Providers refuse a tool call without its result, and a result without its call: both are left out. */
function answeredCalls(turns: readonly Turn[]): Turn[] {
  const results = new Set(turns.map(({ toolCallId }) => toolCallId))
  const calls = new Set(turns.flatMap(({ toolCalls }) => toolCalls.map(({ id }) => id)))
  return turns
    .filter(({ toolCallId }) => toolCallId === null || calls.has(toolCallId))
    .map((turn) => ({ ...turn, toolCalls: turn.toolCalls.filter(({ id }) => results.has(id)) }))
}

/** Replies that never got a word (queued, failed at once) say nothing to the model. */
function toModelMessage({ role, content, toolCalls, toolCallId }: Turn): ModelMessage[] {
  if (role === 'TOOL') return toolCallId ? [{ role: 'tool', content: content ?? '', toolCallId }] : []
  if (role === 'ASSISTANT')
    return content || toolCalls.length > 0 ? [{ role: 'assistant', content: content ?? '', toolCalls }] : []
  return role === 'USER' && content ? [{ role: 'user', content }] : []
}
