import { type EmbeddingModel, type LanguageModel, toCallOptions } from './ai-sdk-request.ts'
import type { Outbound } from './outbound.ts'
import {
  type FinishReason,
  type ModelInfo,
  type ModelLimits,
  type Provider,
  ProviderError,
  type ToolCall,
} from './provider.ts'
import { type Tell, toldParts } from './told-parts.ts'
import { createWholeCharacters } from './whole-characters.ts'

type StreamResult = Awaited<ReturnType<LanguageModel['doStream']>>
type StreamPart = StreamResult['stream'] extends ReadableStream<infer Part> ? Part : never
type Finish = Extract<StreamPart, { type: 'finish' }>

/**
 * A provider over a vendor's package of the AI SDK. It calls the model itself rather than the SDK's `streamText`:
 * no retries, no loop over tools and no second place that catches errors.
 */
export function createAiSdkProvider({
  name,
  limits = {},
  outbound,
  open,
  openEmbedding,
  list,
}: {
  name: string
  limits?: ModelLimits
  outbound: Outbound
  open(model: string): LanguageModel
  /** Absent where the vendor has no such models. */
  openEmbedding?(model: string): EmbeddingModel
  list(): Promise<ModelInfo[]>
}): Provider {
  return {
    name,
    limits,
    list,
    ...(openEmbedding && { embed: createEmbed(name, outbound, openEmbedding) }),
    stream(request, signal) {
      const answer = async (tell: Tell) => {
        const { stream } = await open(request.model).doStream({
          ...toCallOptions(request),
          abortSignal: signal,
        })
        tell({ type: 'start' })
        await translate(stream, name, tell)
      }
      return toldParts(signal, answer, outbound.toProviderError)
    },
  }
}

function createEmbed(
  provider: string,
  outbound: Outbound,
  openEmbedding: (model: string) => EmbeddingModel,
): NonNullable<Provider['embed']> {
  return async ({ model, texts }, signal) => {
    const { embeddings, usage } = await openEmbedding(model)
      .doEmbed({ values: [...texts], abortSignal: signal })
      .then(undefined, (error: unknown) => {
        signal.throwIfAborted()
        throw outbound.toProviderError(error)
      })
    const length = embeddings[0]?.length
    if (embeddings.length !== texts.length || !length || embeddings.some((each) => each.length !== length))
      throw new ProviderError('connection', `${provider} gave other vectors than it was asked for.`)
    return { vectors: embeddings, inputTokens: usage?.tokens ?? 0 }
  }
}

/** Throws what the provider reports as an error, and a `ProviderError` where the stream is cut. */
async function translate(stream: ReadableStream<StreamPart>, provider: string, tell: Tell): Promise<void> {
  const calls: { name: string; isReadable: boolean }[] = []
  const wholeOf = createWholeCharacters()
  for await (const part of stream) {
    if (part.type === 'text-delta') {
      // A server that cuts its JSON between the two halves of a character sends them as two deltas.
      const text = wholeOf(part.delta)
      if (text) tell({ type: 'text-delta', text })
    } else if (part.type === 'reasoning-delta') {
      tell({ type: 'thinking' })
    } else if (part.type === 'tool-input-start') {
      tell({ type: 'tool-call-start', id: part.id, name: part.toolName })
    } else if (part.type === 'tool-input-delta') {
      if (part.delta) tell({ type: 'tool-call-delta', id: part.id, text: part.delta })
    } else if (part.type === 'tool-call') {
      const input = parseArguments(part.input)
      calls.push({ name: part.toolName, isReadable: input !== undefined })
      if (input)
        tell({ type: 'tool-call', call: { id: part.toolCallId, name: part.toolName, arguments: input } })
    } else if (part.type === 'error') {
      throw part.error
    } else if (part.type === 'finish') {
      return finish(part, calls, provider, tell)
    }
  }
  throw cut(provider)
}

function finish(
  { finishReason: { unified, raw }, usage: { inputTokens, outputTokens } }: Finish,
  calls: readonly { name: string; isReadable: boolean }[],
  provider: string,
  tell: Tell,
): void {
  // The SDK makes up a reason where the provider's stream just stops.
  if (raw === undefined || unified === 'interrupted') throw cut(provider)
  if (inputTokens.total !== undefined || outputTokens.total !== undefined)
    tell({
      type: 'usage',
      usage: {
        inputTokens: inputTokens.total ?? 0,
        outputTokens: outputTokens.total ?? 0,
        cachedInputTokens: inputTokens.cacheRead ?? 0,
      },
    })
  // Arguments that the output limit cut off are no fault of the provider.
  const broken = unified === 'length' ? undefined : calls.find(({ isReadable }) => !isReadable)
  if (broken)
    throw new ProviderError(
      'connection',
      `${provider} called "${broken.name}" with arguments that are no JSON object.`,
    )
  tell({ type: 'end', finishReason: finishReasonOf(unified, calls.length > 0) })
}

/** Some compatible servers say `stop` although they called a tool. */
function finishReasonOf(
  unified: Exclude<Finish['finishReason']['unified'], 'interrupted'>,
  hasCalls: boolean,
): FinishReason {
  if (unified === 'error') return 'other'
  return unified === 'stop' && hasCalls ? 'tool-calls' : unified
}

function parseArguments(json: string): ToolCall['arguments'] | undefined {
  try {
    const value: unknown = JSON.parse(json || '{}')
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function cut(provider: string): ProviderError {
  return new ProviderError('connection', `${provider} broke off its answer.`)
}
