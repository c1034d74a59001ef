import type { ModelLimits } from './provider.ts'

/** `contextWindow`: how many tokens fit into one request. */
type KnownModel = ModelLimits & { contextWindow?: number }

/** OpenAI's that reason: nobody tells them how to draw their words, nor where to stop. */
const reasoning = { lacks: ['temperature', 'topP', 'stop'] } as const satisfies KnownModel

/** Claude before it chose by itself how much to think. */
const claude = { contextWindow: 200_000, takesEitherSampling: true } satisfies KnownModel

/**
 * Of models whose providers do not tell, as their documents stood in November 2026: developers.openai.com/api/docs/models,
 * docs.anthropic.com/en/docs/about-claude/models and ai.google.dev/gemini-api/docs/models. The first that fits an id counts.
 * Where a family grows, the smaller window of it stands here, since what is left out of a request is missed less than a
 * request that is refused; and the larger output, so that nothing is refused that would be taken.
 */
const knownModels: readonly (readonly [model: RegExp, known: KnownModel])[] = [
  [/^openai:gpt-5-chat/, { contextWindow: 128_000, maxOutputTokens: 16_384, maxStops: 4 }],
  [/^openai:gpt-5/, { ...reasoning, contextWindow: 272_000, maxOutputTokens: 128_000 }],
  [/^openai:o\d/, { ...reasoning, contextWindow: 200_000, maxOutputTokens: 100_000 }],
  [/^openai:gpt-4\.1/, { contextWindow: 1_047_576, maxOutputTokens: 32_768, maxStops: 4 }],
  [/^openai:gpt-4o-2024-05-13/, { contextWindow: 128_000, maxOutputTokens: 4_096, maxStops: 4 }],
  [
    /^openai:gpt-4o(-mini)?-search-preview/,
    { contextWindow: 128_000, maxOutputTokens: 16_384, lacks: ['temperature', 'topP'], maxStops: 4 },
  ],
  [/^openai:gpt-4o/, { contextWindow: 128_000, maxOutputTokens: 16_384, maxStops: 4 }],
  [/^openai:gpt-4-turbo/, { contextWindow: 128_000, maxOutputTokens: 4_096, maxStops: 4 }],
  [/^openai:gpt-4/, { contextWindow: 8_192, maxOutputTokens: 8_192, maxStops: 4 }],
  [/^openai:gpt-3\.5/, { contextWindow: 16_385, maxOutputTokens: 4_096, maxStops: 4 }],
  [/^anthropic:claude-(opus|sonnet)-4-6/, { ...claude, maxOutputTokens: 128_000 }],
  [/^anthropic:claude-(opus|sonnet|haiku)-4-5/, { ...claude, maxOutputTokens: 64_000 }],
  [/^anthropic:claude-opus-4-([01]|2\d{7})/, { ...claude, maxOutputTokens: 32_000 }],
  [/^anthropic:claude-sonnet-4-(0|2\d{7})/, { ...claude, maxOutputTokens: 64_000 }],
  [/^anthropic:claude-3-haiku/, { ...claude, maxOutputTokens: 4_096 }],
  [/^anthropic:claude-(3|2|v2|instant)/, claude],
  // Newer ones, and those to come.
  [
    /^anthropic:claude/,
    { contextWindow: 200_000, maxOutputTokens: 128_000, lacks: ['temperature', 'topP', 'topK'] },
  ],
  [/^google:gemini-2\.5/, { maxOutputTokens: 65_536, maxStops: 5 }],
]

/** By its id, `provider:name`; empty where nothing is known. */
export const knownOf = (modelId: string): KnownModel =>
  knownModels.find(([model]) => model.test(modelId))?.[1] ?? {}
