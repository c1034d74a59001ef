import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ConfigError } from '../../src/config.ts'
import { createPrices, openPrices } from '../../src/llm/prices.ts'

const { of: priceOf, costOf } = createPrices()

const usage = (inputTokens: number, outputTokens: number, cachedInputTokens = 0) => ({
  inputTokens,
  outputTokens,
  cachedInputTokens,
})

describe('a price', () => {
  it('is found by the name of the model, dated or not', () => {
    const price = { input: '0.15', output: '0.6', cachedInput: '0.075' }
    for (const name of ['gpt-4o-mini', 'gpt-4o-mini-2024-07-18', 'gpt-4o-mini-latest'])
      expect(priceOf(`openai:${name}`)).toEqual(price)
    expect(priceOf('anthropic:claude-sonnet-4-5-20250929')).toEqual(priceOf('anthropic:claude-sonnet-4-5'))
  })

  it('is nothing on an own machine, and null where nobody knows it', () => {
    for (const id of ['demo:chat', 'ollama:llama3:8b'])
      expect(priceOf(id)).toEqual({ input: '0', output: '0', cachedInput: '0' })
    for (const id of [
      'openai:gpt-0',
      'compatible:gpt-4o',
      'anthropic:gpt-4o',
      'constructor:x',
      'openai:constructor',
      '',
    ])
      expect(priceOf(id), id).toBeNull()
  })
})

describe('a cost', () => {
  it('counts cached tokens at their own price and rounds at nine places', () => {
    expect(costOf('openai:gpt-4o', usage(1_000_000, 1_000_000))).toBe('12.500000000')
    expect(costOf('openai:gpt-4o', usage(1_000_000, 0, 400_000))).toBe('2.000000000')
    expect(costOf('openai:gpt-5-nano', usage(1, 0, 1))).toBe('0.000000005')
    expect(costOf('openai:gpt-4o-mini', usage(0, 1))).toBe('0.000000600')
    expect(costOf('demo:chat', usage(5, 5))).toBe('0.000000000')
    expect(costOf('openai:gpt-0', usage(5, 5))).toBeNull()
  })

  it('is never negative, whatever a provider reports as cached', () => {
    expect(costOf('openai:gpt-4o', usage(10, 0, 20))).toBe('0.000025000')
  })

  it('is exact where a float would not be', () => {
    const tokens = fc.integer({ min: 0, max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(tokens, tokens, tokens, (uncached, output, cached) => {
        // gpt-5.4-mini: 0.75, 4.5 and 0.075 dollars for a million, in thousandths of a nanodollar for a token.
        const pico = BigInt(uncached) * 750_000n + BigInt(output) * 4_500_000n + BigInt(cached) * 75_000n
        const cost = costOf('openai:gpt-5.4-mini', usage(uncached + cached, output, cached)) ?? ''
        expect(cost).toMatch(/^\d+\.\d{9}$/)
        const nano = BigInt(cost.replace('.', ''))
        expect(nano * 1_000n - pico).toBeGreaterThan(-500n)
        expect(nano * 1_000n - pico).toBeLessThanOrEqual(500n)
      }),
    )
  })
})

describe("an operator's prices", () => {
  const write = async (content: unknown) => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-prices-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const path = join(folder, 'prices.json')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  const faultsOf = async (content: unknown) => {
    const failure = await openPrices(await write(content)).then(
      () => null,
      (error: unknown) => error,
    )
    expect(failure).toBeInstanceOf(ConfigError)
    return (failure as ConfigError).faults
  }

  it('go over the known ones, for dated names too, and null takes one away', async () => {
    const prices = await openPrices(
      await write({
        'openai:gpt-4o': { input: 1, output: '2.5', cachedInput: 0 },
        'compatible:qwen': { input: '0.000001', output: 0.5 },
        'openai:gpt-5': null,
        'ollama:big': { input: 1, output: 1 },
      }),
    )
    const own = { input: '1', output: '2.5', cachedInput: '0' }
    for (const id of ['openai:gpt-4o', 'openai:gpt-4o-2024-08-06']) expect(prices.of(id)).toEqual(own)
    expect(prices.of('compatible:qwen')).toEqual({
      input: '0.000001',
      output: '0.5',
      cachedInput: '0.000001',
    })
    expect(prices.of('openai:gpt-5')).toBeNull()
    expect(prices.of('openai:gpt-5-2026-01-01')).toBeNull()
    expect(prices.costOf('openai:gpt-5', usage(5, 5))).toBeNull()
    expect(prices.costOf('ollama:big', usage(1_000_000, 0))).toBe('1.000000000')
    expect(prices.of('openai:gpt-5-mini')).toEqual(priceOf('openai:gpt-5-mini'))
  })

  it('are refused at the start with every fault', async () => {
    const faults = await faultsOf({
      gpt: { input: 1, output: 1 },
      'openai:a': { input: -1, output: '1.1234567' },
      'openai:b': { input: 1 },
      'openai:c': { input: 1, output: 1, reasoning: 1 },
      'openai:d': 4,
      'openai:e': { input: 1e-9, output: 'free' },
    })
    const text = faults.join('\n')
    for (const part of [
      'at gpt: is not a model id',
      'at openai:a > input: is not an amount',
      'at openai:a > output: is not an amount',
      'at openai:b > output: is not an amount',
      'at openai:c: is not a price',
      'at openai:d: is not a price',
      'at openai:e > input: is not an amount',
      'at openai:e > output: is not an amount',
    ])
      expect(text).toContain(part)
    expect(faults).toHaveLength(8)
    for (const fault of faults) expect(fault).toMatch(/^MODEL_PRICES_FILE: "/)
  })

  it('are refused where the file is none', async () => {
    expect(await faultsOf('{"openai:a":')).toEqual([expect.stringContaining('is not JSON')])
    expect(await faultsOf([1])).toEqual([expect.stringContaining('is not an object of prices')])
    await expect(openPrices('/nowhere/prices.json')).rejects.toThrow(
      'MODEL_PRICES_FILE: "/nowhere/prices.json" cannot be read (ENOENT)',
    )
  })
})
