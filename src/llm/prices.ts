import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ConfigError } from '../config.ts'
import type { ModelUsage } from './provider.ts'

/** US dollars per million tokens, as decimal text. */
export type Price = { input: string; output: string; cachedInput: string }

/**
 * What the vendors ask for standard requests, as public tables quoted them in November 2026; the vendors' own are at
 * developers.openai.com/api/docs/pricing, docs.anthropic.com/en/docs/about-claude/pricing and
 * ai.google.dev/gemini-api/docs/pricing. Left out is what usage does not tell: surcharges for long inputs and for writing
 * to a cache, discounts for batches. For a bill, the vendor's word counts.
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
  ['openai:text-embedding-3-large', ['0.13', '0', '0.13']],
  ['openai:text-embedding-3-small', ['0.02', '0', '0.02']],
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
  ['google:gemini-2.5-pro', ['1.25', '10', '0.125']],
  ['google:gemini-2.5-flash', ['0.3', '2.5', '0.03']],
  ['google:gemini-2.5-flash-lite', ['0.1', '0.4', '0.01']],
])

/** Run on the operator's own machine: nobody sends a bill. */
const free = new Set(['demo', 'ollama', 'local'])

export type Prices = {
  /** What a model costs, by its id (`provider:name`); null where that is not known. A dated name counts as its model. */
  of(modelId: string): Price | null
  /**
   * The cost of a run in US dollars, as decimal text with nine places, rounded half up; null where the price is not
   * known. Reckoned in whole numbers throughout.
   */
  costOf(modelId: string, usage: ModelUsage): string | null
}

/** `own` go over what is known here; null takes a price away. */
export function createPrices(own: ReadonlyMap<string, Price | null> = new Map()): Prices {
  const priceOf = (modelId: string): Price | null => {
    const found = own.get(modelId) ?? own.get(undated(modelId))
    return own.has(modelId) || found !== undefined ? (found ?? null) : knownPriceOf(modelId)
  }
  return {
    of: priceOf,
    costOf(modelId, usage) {
      const price = priceOf(modelId)
      return price && costAt(price, usage)
    },
  }
}

// More places than six would be lost in a sum of whole numbers.
const decimal = z
  .union(
    [z.string(), z.number()],
    'is not an amount; allowed are dollars for a million tokens, such as "1.25"',
  )
  .transform(String)
  .refine(
    (text) => /^\d{1,7}(\.\d{1,6})?$/.test(text),
    'is not an amount; allowed are dollars for a million tokens, from 0 to 9999999 with at most six places',
  )

const priceFile = z.record(
  z.string().regex(/^[a-z][a-z0-9-]*:\S+$/, 'is not a model id; allowed is provider:name'),
  z
    .strictObject(
      { input: decimal, output: decimal, cachedInput: decimal.optional() },
      'is not a price; allowed are null and an object with input, output and, where it differs from input, cachedInput',
    )
    .nullable(),
  'is not an object of prices by model id',
)

/** The prices of the operator's file over those that are known here. Throws a `ConfigError` that lists every fault. */
export async function openPrices(path: string | undefined): Promise<Prices> {
  if (path === undefined) return createPrices()
  const refuse = (faults: readonly string[]) =>
    new ConfigError(faults.map((fault) => `MODEL_PRICES_FILE: ${JSON.stringify(path)} ${fault}`))
  let given: unknown
  try {
    given = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    const isJson = !(error instanceof SyntaxError)
    throw refuse([isJson ? `cannot be read (${(error as NodeJS.ErrnoException).code})` : 'is not JSON'])
  }
  const parsed = priceFile.safeParse(given)
  if (!parsed.success) throw refuse(parsed.error.issues.map((issue) => describe(issue)))
  return createPrices(
    new Map(
      Object.entries(parsed.data).map(([id, price]) => [id, price && { cachedInput: price.input, ...price }]),
    ),
  )
}

function describe(issue: z.core.$ZodIssue): string {
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message
  return issue.path.length > 0 ? `at ${issue.path.join(' > ')}: ${message}` : message
}

const undated = (modelId: string) => modelId.replace(/-(latest|\d{8}|\d{4}-\d\d-\d\d)$/, '')

function knownPriceOf(modelId: string): Price | null {
  if (free.has(modelId.split(':', 1)[0] ?? '')) return { input: '0', output: '0', cachedInput: '0' }
  const found = prices.get(modelId) ?? prices.get(undated(modelId))
  return found ? { input: found[0], output: found[1], cachedInput: found[2] } : null
}

function costAt(price: Price, usage: ModelUsage): string {
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
