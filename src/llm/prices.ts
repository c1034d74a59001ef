import type { ModelUsage } from './provider.ts'

/** US dollars per million tokens, as decimal text. */
export type Price = { input: string; output: string; cachedInput: string }

/**
 * What the vendors ask for standard requests, as public tables quoted them in November 2026; the vendors' own are at
 * developers.openai.com/api/docs/pricing and docs.anthropic.com/en/docs/about-claude/pricing. Left out is what usage
 * does not tell: surcharges for long inputs and for writing to a cache, discounts for batches. For a bill, the
 * vendor's word counts.
 */
const prices = new Map<string, readonly [input: string, output: string, cachedInput: string]>([
  ['openai:gpt-5.5', ['5', '30', '0.5']],
  ['openai:gpt-5.4', ['2.5', '15', '0.25']],
  ['openai:gpt-5.4-mini', ['0.75', '4.5', '0.075']],
  ['openai:gpt-5.4-nano', ['0.2', '1.25', '0.02']],
  ['openai:gpt-5.2', ['1.75', '14', '0.175']],
  ['openai:gpt-5.1', ['1.25', '10', '0.125']],
  ['openai:gpt-5', ['1.25', '10', '0.125']],
  ['openai:gpt-5-mini', ['0.25', '2', '0.025']],
  ['openai:gpt-5-nano', ['0.05', '0.4', '0.005']],
  ['openai:gpt-4.1', ['2', '8', '0.5']],
  ['openai:gpt-4.1-mini', ['0.4', '1.6', '0.1']],
  ['openai:gpt-4.1-nano', ['0.1', '0.4', '0.025']],
  ['openai:gpt-4o', ['2.5', '10', '1.25']],
  ['openai:gpt-4o-mini', ['0.15', '0.6', '0.075']],
  ['openai:o3', ['2', '8', '0.5']],
  ['openai:o4-mini', ['1.1', '4.4', '0.275']],
  ['anthropic:claude-opus-5', ['5', '25', '0.5']],
  ['anthropic:claude-opus-4-8', ['5', '25', '0.5']],
  ['anthropic:claude-opus-4-7', ['5', '25', '0.5']],
  ['anthropic:claude-opus-4-6', ['5', '25', '0.5']],
  ['anthropic:claude-opus-4-5', ['5', '25', '0.5']],
  ['anthropic:claude-opus-4-1', ['15', '75', '1.5']],
  ['anthropic:claude-sonnet-5', ['2', '10', '0.2']],
  ['anthropic:claude-sonnet-4-6', ['3', '15', '0.3']],
  ['anthropic:claude-sonnet-4-5', ['3', '15', '0.3']],
  ['anthropic:claude-haiku-4-5', ['1', '5', '0.1']],
])

/** Run on the operator's own machine: nobody sends a bill. */
const free = new Set(['demo', 'ollama'])

/** What a model costs, by its id (`provider:name`); null where that is not known. A dated name counts as its model. */
export function priceOf(modelId: string): Price | null {
  if (free.has(modelId.split(':', 1)[0] ?? '')) return { input: '0', output: '0', cachedInput: '0' }
  const found = prices.get(modelId) ?? prices.get(modelId.replace(/-(latest|\d{8}|\d{4}-\d\d-\d\d)$/, ''))
  return found ? { input: found[0], output: found[1], cachedInput: found[2] } : null
}

/**
 * The cost of a run in US dollars, as decimal text with nine places, rounded half up; null where the price is not
 * known. Reckoned in whole numbers throughout.
 */
export function costOf(modelId: string, usage: ModelUsage): string | null {
  const price = priceOf(modelId)
  if (!price) return null
  const { inputTokens, outputTokens, cachedInputTokens } = usage
  // A provider that reports more from its cache than was sent in all must not make the rest negative.
  const uncached = Math.max(0, inputTokens - cachedInputTokens)
  const picodollars =
    BigInt(uncached) * picodollarsPerToken(price.input) +
    BigInt(cachedInputTokens) * picodollarsPerToken(price.cachedInput) +
    BigInt(outputTokens) * picodollarsPerToken(price.output)
  const nanodollars = ((picodollars + 500n) / 1_000n).toString().padStart(10, '0')
  return `${nanodollars.slice(0, -9)}.${nanodollars.slice(-9)}`
}

/** A dollar per million tokens is a million picodollars per token: the price without its point, at six places. */
function picodollarsPerToken(dollarsPerMillion: string): bigint {
  const [whole = '', fraction = ''] = dollarsPerMillion.split('.')
  return BigInt(whole + fraction.padEnd(6, '0'))
}
