import { z } from 'zod'
import { address, flag, modelId, whole } from './setting-kinds.ts'

/** The settings of models and of those who provide them. */
export const modelSettings = z.object({
  DEFAULT_MODEL: modelId.default('demo:chat'),
  EMBEDDING_MODEL: modelId.optional(),
  MODEL_MANAGEMENT: flag.default(true),
  MODEL_PRICES_FILE: z.string().optional(),
  DEMO_TOKENS_PER_SECOND: whole(40, 1, 100_000),
  OPENAI_API_KEY: z.string().optional(),
  OPENAI_BASE_URL: address(['http', 'https']).optional(),
  ANTHROPIC_API_KEY: z.string().optional(),
  ANTHROPIC_BASE_URL: address(['http', 'https']).optional(),
  GOOGLE_API_KEY: z.string().optional(),
  GOOGLE_BASE_URL: address(['http', 'https']).optional(),
  OLLAMA_BASE_URL: address(['http', 'https']).default('http://127.0.0.1:11434'),
  OLLAMA_CONTEXT_TOKENS: whole(0, 0, 10_000_000),
  OLLAMA_KEEP_ALIVE: z
    .string()
    .regex(/^-?\d+(ms|s|m|h)?$/, 'is not a duration; allowed are a number with s, m or h, and -1')
    .optional(),
  COMPATIBLE_BASE_URL: address(['http', 'https']).optional(),
  COMPATIBLE_API_KEY: z.string().optional(),
  LOCAL_MODELS_DIR: z.string().optional(),
  LOCAL_MODELS_CONTEXT_TOKENS: whole(8_192, 256, 10_000_000),
  LOCAL_MODELS_PARALLEL: whole(1, 1, 64),
  LOCAL_MODELS_THREADS: whole(0, 0, 1_024),
})

export function arrangeModels(s: z.output<typeof modelSettings>) {
  return {
    defaultModel: s.DEFAULT_MODEL,
    /** Absent: documents are found by their words alone. */
    embeddingModel: s.EMBEDDING_MODEL,
    /** Whether admins of tenants may load, unload and fetch the models of this installation. */
    isManaged: s.MODEL_MANAGEMENT,
    /** Prices of models over those that are known. */
    pricesFile: s.MODEL_PRICES_FILE,
    demo: { tokensPerSecond: s.DEMO_TOKENS_PER_SECOND },
    openai: { apiKey: s.OPENAI_API_KEY, baseUrl: s.OPENAI_BASE_URL },
    anthropic: { apiKey: s.ANTHROPIC_API_KEY, baseUrl: s.ANTHROPIC_BASE_URL },
    google: { apiKey: s.GOOGLE_API_KEY, baseUrl: s.GOOGLE_BASE_URL },
    ollama: {
      baseUrl: s.OLLAMA_BASE_URL,
      contextTokens: s.OLLAMA_CONTEXT_TOKENS || undefined,
      keepAlive: s.OLLAMA_KEEP_ALIVE,
    },
    compatible: { apiKey: s.COMPATIBLE_API_KEY, baseUrl: s.COMPATIBLE_BASE_URL },
    local: {
      directory: s.LOCAL_MODELS_DIR,
      contextTokens: s.LOCAL_MODELS_CONTEXT_TOKENS,
      parallel: s.LOCAL_MODELS_PARALLEL,
      threads: s.LOCAL_MODELS_THREADS,
    },
  }
}
