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
/** In characters. */
const maxRun = 128
const maxSlice = 4_096
/** Pieces whose tokens a tokenizer remembers; each may hold on to its slice, which makes 16 MiB at most. */
const mergesKept = 2_000

/** What was learnt stays on this node, for the models that were used last. */
export function createTokenCounters(): TokenCounters {
  const ratios = new LRUCache<string, number>({ max: 1_000 })
  return {
    async of(modelId) {
      const load = tokenizerOf(modelId)
      if (load) {
        const { countTokens, setMergeCacheSize } = await load()
        setMergeCacheSize(mergesKept)
        // What spells a special token is text like any other.
        const options = { disallowedSpecial: new Set<string>() }
        const count = (text: string) => {
          let tokens = 0
          for (const slice of slicesOf(text)) tokens += countTokens(slice, options)
          return tokens
        }
        return { countedBy: 'TOKENIZER', count }
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

/**
 * The text in slices in which no unbroken run is longer than `maxRun`: a tokenizer's work grows with the square of
 * such a run. A slice ends with a word where that can be, which changes no count; elsewhere the sum is a little too high.
 */
function* slicesOf(text: string): Generator<string> {
  let from = 0
  let wordEnd = 0
  for (const end of wordEndsOf(text)) {
    const isLong = end - wordEnd > maxRun
    if (wordEnd > from && (isLong || end - from > maxSlice)) {
      yield copyOf(text.slice(from, wordEnd))
      from = wordEnd
    }
    while (isLong && end - from > maxRun) {
      const part = withoutHalf(text.slice(from, from + maxRun))
      yield copyOf(part)
      from += part.length
    }
    wordEnd = end
  }
  if (from < text.length) yield copyOf(text.slice(from))
}

/** Where a letter or digit is followed by what no tokenizer takes into one piece with it, and the text's end. */
function* wordEndsOf(text: string): Generator<number> {
  for (const { index, 0: last } of text.matchAll(/[\p{L}\p{N}](?=[^\p{L}\p{N}\p{M}'’])/gu))
    yield index + last.length
  yield text.length
}

/** What a tokenizer remembers of a slice would keep the whole text in memory. */
const copyOf = (slice: string) => Buffer.from(slice).toString()

/** Without the first half of a character whose other half comes next. */
const withoutHalf = (text: string) => (/[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text)

/** Loaded when it is needed first: the tables take half a second. */
function tokenizerOf(modelId: string) {
  if (/^openai:(gpt-4(-|$)|gpt-3\.5)/.test(modelId)) return () => import('gpt-tokenizer/encoding/cl100k_base')
  if (/^openai:(gpt-|o\d|chatgpt-)/.test(modelId)) return () => import('gpt-tokenizer/encoding/o200k_base')
  return null
}
