import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { jsonLines } from './json-lines.ts'
import type { Outbound } from './outbound.ts'
import {
  type FinishReason,
  type ModelMessage,
  type ModelRequest,
  type Provider,
  ProviderError,
} from './provider.ts'
import { type Tell, toldParts } from './told-parts.ts'
import { createWholeCharacters } from './whole-characters.ts'

/** What the operator wants of every request. */
export type OllamaSettings = {
  /** How many tokens a model has room for, once it is loaded for it, and how much memory it takes; by default what Ollama gives it. */
  contextTokens?: number | undefined
  /** How long a model stays in memory after a request, in Ollama's words (`10m`, `-1`); by default what Ollama does. */
  keepAlive?: string | undefined
}

const line = z.object({
  message: z
    .object({
      content: z.string().default(''),
      thinking: z.string().default(''),
      tool_calls: z
        .array(
          z.object({
            id: z.string().optional(),
            function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()).nullish() }),
          }),
        )
        .nullish(),
    })
    .optional(),
  done: z.boolean().default(false),
  done_reason: z.string().optional(),
  prompt_eval_count: z.number().optional(),
  prompt_eval_cached_count: z.number().optional(),
  eval_count: z.number().optional(),
})
type Line = z.output<typeof line>

/** Replies through Ollama's own chat API, which takes parameters that its OpenAI-compatible one does not have. */
export function createOllamaChat(
  outbound: Outbound,
  baseUrl: string,
  settings: OllamaSettings,
): Provider['stream'] {
  return (request, signal) => {
    const answer = async (tell: Tell) => {
      const response = await outbound.fetch(`${baseUrl}/api/chat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(toBody(request, settings)),
        signal,
      })
      tell({ type: 'start' })
      await translate(response, tell)
    }
    return toldParts(signal, answer, outbound.toProviderError)
  }
}

/** Throws what the server tells as an error, and a `ProviderError` where it stops without an end. */
async function translate(response: Response, tell: Tell): Promise<void> {
  const wholeOf = createWholeCharacters()
  let hasCalls = false
  for await (const value of jsonLines(response)) {
    if (hasError(value)) throw value
    const { message, ...end } = line.parse(value)
    if (message?.thinking) tell({ type: 'thinking' })
    const text = wholeOf(message?.content ?? '')
    if (text) tell({ type: 'text-delta', text })
    for (const { id = `call_${randomUUID()}`, function: called } of message?.tool_calls ?? []) {
      const { name } = called
      const input = called.arguments ?? {}
      hasCalls = true
      tell({ type: 'tool-call-start', id, name })
      tell({ type: 'tool-call-delta', id, text: JSON.stringify(input) })
      tell({ type: 'tool-call', call: { id, name, arguments: input } })
    }
    if (end.done) return finish(end, hasCalls, tell)
  }
  throw new ProviderError('connection', 'ollama broke off its answer.')
}

const hasError = (value: unknown): boolean => typeof value === 'object' && value !== null && 'error' in value

function finish(end: Omit<Line, 'message'>, hasCalls: boolean, tell: Tell): void {
  const { prompt_eval_count: inputTokens = 0, prompt_eval_cached_count: cached = 0, eval_count } = end
  if (eval_count !== undefined)
    tell({
      type: 'usage',
      usage: { inputTokens, outputTokens: eval_count, cachedInputTokens: Math.min(cached, inputTokens) },
    })
  tell({ type: 'end', finishReason: finishReasonOf(end.done_reason, hasCalls) })
}

function finishReasonOf(reason: string | undefined, hasCalls: boolean): FinishReason {
  if (reason === 'length') return 'length'
  if (reason !== undefined && reason !== 'stop') return 'other'
  return hasCalls ? 'tool-calls' : 'stop'
}

function toBody(
  { model, messages, parameters, tools }: ModelRequest,
  { contextTokens, keepAlive }: OllamaSettings,
) {
  const toolNames = new Map(
    messages.flatMap((message) =>
      message.role === 'assistant' ? message.toolCalls.map(({ id, name }) => [id, name] as const) : [],
    ),
  )
  return {
    model,
    messages: messages.map((message) => toOllamaMessage(message, toolNames)),
    stream: true,
    // What is undefined is not in the JSON.
    keep_alive: keepAlive === undefined ? undefined : toKeepAlive(keepAlive),
    options: {
      num_ctx: contextTokens,
      temperature: parameters.temperature,
      top_p: parameters.topP,
      top_k: parameters.topK,
      num_predict: parameters.maxOutputTokens,
      stop: parameters.stop,
      seed: parameters.seed,
    },
    ...(tools.length > 0 && { tools: tools.map((each) => ({ type: 'function', function: each })) }),
  }
}

/** Seconds are a number there, and durations such as `10m` are text. */
const toKeepAlive = (text: string): number | string => (/^-?\d+$/.test(text) ? Number(text) : text)

/** A result is known by the name of its tool, in newer versions by the id of its call, too. */
function toOllamaMessage(message: ModelMessage, toolNames: ReadonlyMap<string, string>) {
  const { role, content } = message
  if (message.role === 'tool')
    return { role, content, tool_name: toolNames.get(message.toolCallId), tool_call_id: message.toolCallId }
  if (message.role !== 'assistant' || message.toolCalls.length === 0) return { role, content }
  const tool_calls = message.toolCalls.map(({ id, name, arguments: input }) => ({
    id,
    function: { name, arguments: input },
  }))
  return { role, content, tool_calls }
}
