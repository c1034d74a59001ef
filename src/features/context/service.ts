import type { Message, Run, Session, TenantDatabase } from '../../db/client.ts'
import type { ModelMessage, ModelParameters, ModelRequest, ToolCall } from '../../llm/provider.ts'

export type ContextBuilder = {
  /** What the model is sent for a run, without the model's name. */
  build(db: TenantDatabase, run: Run): Promise<Omit<ModelRequest, 'model'>>
}

/** `sendsHistory`: whether earlier turns go along; without it the model gets the system prompt and the question. */
export function createContextBuilder({ sendsHistory }: { sendsHistory: boolean }): ContextBuilder {
  return {
    async build({ prisma, tenantId }, run) {
      const session = await prisma.session.findFirstOrThrow({
        where: { tenantId, id: run.sessionId },
        include: { agent: true },
      })
      const reply = await prisma.message.findFirstOrThrow({
        where: { tenantId, id: run.assistantMessageId },
        select: { seq: true },
      })
      const turns = await prisma.message.findMany({
        where: {
          tenantId,
          sessionId: run.sessionId,
          replacedAt: null,
          seq: { lt: reply.seq },
          ...(sendsHistory ? {} : { id: run.userMessageId }),
        },
        orderBy: { seq: 'asc' },
      })
      return {
        messages: [...systemMessage(session), ...answeredCalls(turns).flatMap(toModelMessage)],
        parameters: run.parameters as ModelParameters,
        tools: [],
      }
    },
  }
}

function systemMessage(session: Session & { agent: { systemPrompt: string | null } | null }): ModelMessage[] {
  const content = session.systemPrompt ?? session.agent?.systemPrompt
  return content ? [{ role: 'system', content }] : []
}

/** Providers refuse a tool call without its result, and a result without its call: both are left out. */
function answeredCalls(turns: readonly Message[]): Turn[] {
  const results = new Set(turns.map(({ toolCallId }) => toolCallId))
  const calls = new Set(turns.flatMap(({ toolCalls }) => (toolCalls as ToolCall[]).map(({ id }) => id)))
  return turns
    .filter(({ toolCallId }) => toolCallId === null || calls.has(toolCallId))
    .map((turn) => ({
      ...turn,
      toolCalls: (turn.toolCalls as ToolCall[]).filter(({ id }) => results.has(id)),
    }))
}

type Turn = Omit<Message, 'toolCalls'> & { toolCalls: ToolCall[] }

/** Replies that never got a word (queued, failed at once) say nothing to the model. */
function toModelMessage({ role, content, toolCalls, toolCallId }: Turn): ModelMessage[] {
  if (role === 'TOOL') return toolCallId ? [{ role: 'tool', content: content ?? '', toolCallId }] : []
  if (role === 'ASSISTANT')
    return content || toolCalls.length > 0 ? [{ role: 'assistant', content: content ?? '', toolCalls }] : []
  return content ? [{ role: role === 'SYSTEM' ? 'system' : 'user', content }] : []
}
