import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { costOf, priceOf } from '../../src/llm/prices.ts'

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
