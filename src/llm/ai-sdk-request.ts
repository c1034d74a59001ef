import type { createOpenAI } from '@ai-sdk/openai'
import type { ModelMessage, ModelRequest, ToolDefinition } from './provider.ts'

/** A language model of the AI SDK; the vendors' packages all give the same type. */
export type LanguageModel = ReturnType<ReturnType<typeof createOpenAI>['chat']>

/** The same for vectors. */
export type EmbeddingModel = ReturnType<ReturnType<typeof createOpenAI>['embeddingModel']>

type CallOptions = Parameters<LanguageModel['doStream']>[0]
type Prompt = CallOptions['prompt']

/** Our request in the AI SDK's words. */
export function toCallOptions({ messages, parameters, tools }: ModelRequest): CallOptions {
  const { stop, ...rest } = parameters
  return {
    ...rest,
    prompt: toPrompt(messages),
    ...(stop && { stopSequences: [...stop] }),
    ...(tools.length > 0 && { tools: tools.map(toFunctionTool) }),
  }
}

function toFunctionTool({ name, description, parameters }: ToolDefinition) {
  return { type: 'function' as const, name, description, inputSchema: parameters }
}

function toPrompt(messages: readonly ModelMessage[]): Prompt {
  const toolNames = new Map(
    messages.flatMap((message) =>
      message.role === 'assistant' ? message.toolCalls.map(({ id, name }) => [id, name] as const) : [],
    ),
  )
  // A reply that was stopped before its first word is empty; providers refuse an empty message.
  return messages
    .map((message) => toPromptMessage(message, toolNames))
    .filter(({ role, content }) => role !== 'assistant' || content.length > 0)
}

function toPromptMessage(message: ModelMessage, toolNames: ReadonlyMap<string, string>): Prompt[number] {
  if (message.role === 'assistant') {
    const text = message.content === '' ? [] : [{ type: 'text' as const, text: message.content }]
    const calls = message.toolCalls.map(({ id, name, arguments: input }) => ({
      type: 'tool-call' as const,
      toolCallId: id,
      toolName: name,
      input,
    }))
    return { role: 'assistant', content: [...text, ...calls] }
  }
  if (message.role === 'tool') {
    const { toolCallId, content } = message
    // Google knows a result by the name of its tool, the others by the id of its call.
    const toolName = toolNames.get(toolCallId) ?? toolCallId
    const output = { type: 'text' as const, value: content }
    return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output }] }
  }
  const { role, content } = message
  return role === 'system' ? { role, content } : { role, content: [{ type: 'text', text: content }] }
}
