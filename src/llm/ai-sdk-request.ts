import type { createOpenAI } from '@ai-sdk/openai'
import type { ModelMessage, ModelRequest, ToolDefinition } from './provider.ts'

/** A language model of the AI SDK; the vendors' packages all give the same type. */
export type LanguageModel = ReturnType<ReturnType<typeof createOpenAI>['chat']>

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
  const toolNames = new Map<string, string>()
  const prompt: Prompt = []
  for (const message of messages) {
    if (message.role === 'system') prompt.push({ role: 'system', content: message.content })
    else if (message.role === 'user')
      prompt.push({ role: 'user', content: [{ type: 'text', text: message.content }] })
    else if (message.role === 'tool') {
      const { toolCallId, content } = message
      const output = { type: 'text' as const, value: content }
      const toolName = toolNames.get(toolCallId) ?? toolCallId
      prompt.push({ role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output }] })
    } else {
      const { content, toolCalls } = message
      for (const { id, name } of toolCalls) toolNames.set(id, name)
      const calls = toolCalls.map(({ id, name, arguments: input }) => ({
        type: 'tool-call' as const,
        toolCallId: id,
        toolName: name,
        input,
      }))
      const text = content === '' ? [] : [{ type: 'text' as const, text: content }]
      // A reply that was stopped before its first word is empty; providers refuse an empty message.
      if (text.length + calls.length > 0) prompt.push({ role: 'assistant', content: [...text, ...calls] })
    }
  }
  return prompt
}
