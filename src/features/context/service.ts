import type { Message, Run, Statement, TenantDatabase } from '../../db/client.ts'
import type { ModelMessage, ModelParameters, ModelRequest, ToolCall } from '../../llm/provider.ts'

export type ContextBuilder = {
  /** What the model is sent for a run, without the model's name. */
  build(db: TenantDatabase, run: Run): Promise<Omit<ModelRequest, 'model'>>
}

// The system prompt comes first, as what it is to the model: an instruction before all others.
const findTurns: Statement = {
  name: 'context-turns',
  text: `SELECT 0 AS seq, 'SYSTEM'::"MessageRole" AS role, coalesce(s.system_prompt, a.system_prompt) AS content,
      '[]'::jsonb AS "toolCalls", NULL AS "toolCallId"
    FROM sessions s LEFT JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id
    WHERE s.tenant_id = $1 AND s.id = $2
    UNION ALL
    SELECT m.seq, m.role, m.content, m.tool_calls, m.tool_call_id FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.replaced_at IS NULL
      AND m.seq < (SELECT r.seq FROM messages r WHERE r.tenant_id = $1 AND r.id = $3) AND ($5 OR m.id = $4)
    ORDER BY seq`,
}

/** `sendsHistory`: whether earlier turns go along; without it the model gets the system prompt and the question. */
export function createContextBuilder({ sendsHistory }: { sendsHistory: boolean }): ContextBuilder {
  return {
    async build({ sql, tenantId }, run) {
      const { sessionId, assistantMessageId, userMessageId } = run
      const values = [tenantId, sessionId, assistantMessageId, userMessageId, sendsHistory]
      const turns = await sql<Turn>(findTurns, values)
      return {
        messages: [...systemMessage(turns), ...answeredCalls(turns).flatMap(toModelMessage)],
        parameters: run.parameters as ModelParameters,
        tools: [],
      }
    },
  }
}

type Turn = Pick<Message, 'role' | 'content' | 'toolCallId'> & { toolCalls: ToolCall[] }

/** Models take one, as the first message: the instructions that stand in the conversation join the system prompt. */
function systemMessage(turns: readonly Turn[]): ModelMessage[] {
  const instructions = turns.flatMap(({ role, content }) => (role === 'SYSTEM' && content ? [content] : []))
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
