/**
 * The contract between Parley and whatever produces words. Every implementation passes
 * `test/contract/provider.suite.ts`. Only files of `llm/` know a vendor's package.
 *
 * Guarantees that an implementation gives:
 * - `stream` never throws before iteration; every failure arrives as one `error` part and ends the stream.
 * - Parts come in the provider's order: `start` (the provider has taken the request; before it only a failure
 *   or a cancel), then text, tool and `thinking` parts, then `usage` where the provider tells it, then exactly
 *   one of `end` and `error`, and nothing after that. A stream that just stops is an error, `connection`.
 * - When `signal` aborts, the request to the provider is aborted and the stream ends within a second with
 *   `{ type: 'end', finishReason: 'cancelled' }`. Who stops reading early aborts, else the request stays open.
 * - Text arrives whole: a code point that the network split over chunks is joined before it is delivered.
 * - A stream that is `Polled` is read without a promise for each part: what a provider gives whose replies are many.
 * - A provider retries nothing by itself; the caller decides, and only before the first text.
 */
export type Provider = {
  /** Stable key, the part before the colon of a model id: `openai`, `demo`. */
  readonly name: string
  /** The models that can be asked for now. Throws a `ProviderError` when none came within 3 s. */
  list(): Promise<ModelInfo[]>
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelPart>
  /**
   * A vector for each text, in order, all of one length; absent where the provider has no such models. Throws a
   * `ProviderError`, and the signal's reason within a second where that aborts.
   */
  embed?(request: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings>
  /** What holds for all its models: what passes it is refused where it is asked for, and else left out. */
  readonly limits?: ModelLimits
  /** For providers whose models are files on a machine of ours. */
  readonly store?: ModelStore
  /** Lets go of all that it holds; for providers that hold something. Nothing is asked of it afterwards. */
  close?(): Promise<void>
}

/** Each throws a `ProviderError`, and the signal's reason within a second where that aborts. */
export type ModelStore = {
  /** Brings a model into memory, where it stays until `unload`; resolves when it is there. */
  load(model: string, signal: AbortSignal): Promise<void>
  /** Lets go of its memory; does nothing where it is not there. */
  unload(model: string, signal: AbortSignal): Promise<void>
  /**
   * Fetches a model, or its newer version, and tells how far it is; ends when it is there whole. Absent where models are
   * put there by hand.
   */
  pull?(model: string, signal: AbortSignal): AsyncIterable<PullProgress>
}

/** `detail` is the provider's own word for what it does; the bytes are those of the file that it speaks of. */
export type PullProgress = { detail: string; completedBytes?: number; totalBytes?: number }

/** `model` without the provider; at most 100 texts. */
export type EmbeddingRequest = { model: string; texts: readonly string[] }

/** `inputTokens` is 0 where the provider does not tell it. */
export type Embeddings = { vectors: readonly (readonly number[])[]; inputTokens: number }

export type ModelInfo = {
  /** Name without the provider: `gpt-5-mini`. */
  name: string
  /** In tokens; absent when the provider does not tell it. */
  contextWindow?: number
  /** The most tokens that it writes in one reply; absent when the provider does not tell it. */
  maxOutputTokens?: number
  capabilities: readonly ModelCapability[]
  /** Whether it is in memory; absent where the provider does not tell it. */
  isLoaded?: boolean
}

export type ModelCapability = 'TEXT' | 'TOOLS' | 'VISION' | 'EMBEDDINGS'

export type ModelRequest = {
  /** Name without the provider. */
  model: string
  /** Oldest first. At most one system message, and it is the first. */
  messages: readonly ModelMessage[]
  parameters: ModelParameters
  tools: readonly ToolDefinition[]
}

export type ModelMessage =
  | { role: 'system' | 'user'; content: string }
  | { role: 'assistant'; content: string; toolCalls: readonly ToolCall[] }
  | { role: 'tool'; content: string; toolCallId: string }

/** All optional; what is absent is left to the provider's default. */
export type ModelParameters = {
  /** 0 to 2. */
  temperature?: number
  /** 0 to 1. */
  topP?: number
  topK?: number
  maxOutputTokens?: number
  stop?: readonly string[]
  seed?: number
}

/** What a model takes of the parameters. Of what is absent nobody knows a limit. */
export type ModelLimits = {
  /** The most tokens that it writes in one reply. */
  maxOutputTokens?: number
  /** Those that it refuses, or leaves unheard. */
  lacks?: readonly (keyof ModelParameters)[]
  /** The highest temperature, where that is below 2. */
  temperatureMax?: number
  /** The most entries of `stop`. */
  maxStops?: number
  /** Whether it takes `temperature` or `topP`, but not both at once. */
  takesEitherSampling?: boolean
}

/** `parameters` is a JSON schema of the arguments object. */
export type ToolDefinition = { name: string; description: string; parameters: Record<string, unknown> }

/** `arguments` is the parsed object that the model produced. */
export type ToolCall = { id: string; name: string; arguments: Record<string, unknown> }

/** In tokens. `cachedInputTokens` is a part of `inputTokens`. */
export type ModelUsage = { inputTokens: number; outputTokens: number; cachedInputTokens: number }

/** `length` the output limit was reached; `content-filter` the provider withheld text. */
export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'content-filter' | 'cancelled' | 'other'

export type ModelPart =
  | { type: 'start' }
  | { type: 'text-delta'; text: string }
  /** The model works on what is not shown: a sign of life, nothing more. */
  | { type: 'thinking' }
  | { type: 'tool-call-start'; id: string; name: string }
  /** A piece of the arguments as JSON text; the pieces of one call concatenate to its arguments. */
  | { type: 'tool-call-delta'; id: string; text: string }
  | { type: 'tool-call'; call: ToolCall }
  | { type: 'usage'; usage: ModelUsage }
  | { type: 'end'; finishReason: FinishReason }
  | { type: 'error'; error: ProviderError }

/**
 * `unauthorized` our key was refused; `rate-limited` and `overloaded` may pass (HTTP 429, 5xx); `invalid` the
 * request was refused as malformed (other 4xx); `connection` the provider was not reached, or its answer was cut
 * or cannot be read.
 */
export type ProviderErrorKind = 'unauthorized' | 'rate-limited' | 'overloaded' | 'invalid' | 'connection'

/** Safe to show and to log as a whole: it holds no key, no header and no address with credentials. */
export class ProviderError extends Error {
  readonly kind: ProviderErrorKind
  /** When the provider wants to be asked again, where it says so. */
  readonly retryAfterMs: number | undefined
  /** Of kind `connection` by the network's own word (refused, not found, late, cut), not for what an answer held. */
  readonly isUnreached: boolean
  constructor(
    kind: ProviderErrorKind,
    message: string,
    {
      retryAfterMs,
      isUnreached = false,
      ...options
    }: ErrorOptions & { retryAfterMs?: number | undefined; isUnreached?: boolean } = {},
  ) {
    super(message, options)
    this.name = 'ProviderError'
    this.kind = kind
    this.retryAfterMs = retryAfterMs
    this.isUnreached = isUnreached
  }
}
