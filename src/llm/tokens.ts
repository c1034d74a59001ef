import { LRUCache } from 'lru-cache'

/** Counts the tokens of a text as one model would, or as near to that as is known. */
export type TokenCounter = {
  readonly countedBy: CountedBy
  /** Never more than the text has bytes. */
  count(text: string): number
}

/**
 * `TOKENIZER` the model's own; `MEASURED_RATIO` characters per token as the provider has counted before;
 * `DEFAULT_RATIO` four characters per token.
 */
export type CountedBy = 'TOKENIZER' | 'MEASURED_RATIO' | 'DEFAULT_RATIO'

export type TokenCounters = {
  of(modelId: string): Promise<TokenCounter>
  /** What a provider counted for a request of this many characters. */
  learn(modelId: string, characters: number, tokens: number): void
}

const defaultRatio = 4
/** Below this many characters, what a provider adds to each message says more than its ratio. */
const learnsFrom = 400
const weightOfNew = 0.3

/** What was learnt stays on this node, for the models that were used last. */
export function createTokenCounters(): TokenCounters {
  const ratios = new LRUCache<string, number>({ max: 1_000 })
  return {
    async of(modelId) {
      const load = tokenizerOf(modelId)
      if (load) {
        const { countTokens } = await load()
        // What spells a special token is text like any other.
        const options = { disallowedSpecial: new Set<string>() }
        return { countedBy: 'TOKENIZER', count: (text) => countTokens(text, options) }
      }
      const ratio = ratios.get(modelId)
      return {
        countedBy: ratio === undefined ? 'DEFAULT_RATIO' : 'MEASURED_RATIO',
        count: (text) => Math.ceil(text.length / (ratio ?? defaultRatio)),
      }
    },
    learn(modelId, characters, tokens) {
      if (characters < learnsFrom || tokens <= 0) return
      const measured = Math.min(8, Math.max(1, characters / tokens))
      const known = ratios.get(modelId) ?? measured
      ratios.set(modelId, known + (measured - known) * weightOfNew)
    },
  }
}

/** Loaded when it is needed first: the tables take half a second. */
function tokenizerOf(modelId: string) {
  if (/^openai:(gpt-4(-|$)|gpt-3\.5)/.test(modelId)) return () => import('gpt-tokenizer/encoding/cl100k_base')
  if (/^openai:(gpt-|o\d|chatgpt-)/.test(modelId)) return () => import('gpt-tokenizer/encoding/o200k_base')
  return null
}
