import * as fc from 'fast-check'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { describe, expect, it, vi } from 'vitest'
import { createTokenCounters } from '../../src/llm/tokens.ts'

it('counts with the tokenizer of OpenAI models, special tokens as the text that they are', async () => {
  const counters = createTokenCounters()
  for (const model of ['openai:gpt-5-mini', 'openai:gpt-4', 'openai:o3']) {
    const { count, countedBy } = await counters.of(model)
    expect(countedBy).toBe('TOKENIZER')
    expect(count('Hello world')).toBe(2)
    expect(count('<|endoftext|>')).toBeGreaterThan(1)
  }
})

it('counts others by four characters, until a provider has counted', async () => {
  const counters = createTokenCounters()
  const model = 'ollama:llama'
  expect(await counters.of(model)).toMatchObject({ countedBy: 'DEFAULT_RATIO' })
  expect((await counters.of(model)).count('x'.repeat(41))).toBe(11)
  counters.learn(model, 100, 50)
  expect((await counters.of(model)).countedBy).toBe('DEFAULT_RATIO')
  counters.learn(model, 1_000, 500)
  const measured = await counters.of(model)
  expect(measured.countedBy).toBe('MEASURED_RATIO')
  expect(measured.count('x'.repeat(41))).toBe(21)
  expect((await counters.of('ollama:other')).countedBy).toBe('DEFAULT_RATIO')
})

it('never counts more tokens than there are bytes', async () => {
  const counters = createTokenCounters()
  counters.learn('demo:chat', 1_000, 900_000)
  const all = await Promise.all(['openai:gpt-4o', 'demo:chat', 'x:y'].map((model) => counters.of(model)))
  await fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const { count } of all) expect(count(text)).toBeLessThanOrEqual(Buffer.byteLength(text))
    }),
  )
})

describe('a text without an end of a word', () => {
  const kib256 = 2 ** 18
  const repeated = (piece: string, length: number) => piece.repeat(length / piece.length)
  const models = ['openai:gpt-5-mini', 'openai:gpt-4']

  /** The longest text that was merged at once, in characters: the work for it grows with the square of that. */
  async function longestMerged(model: string, text: string) {
    const encode = vi.spyOn(TextEncoder.prototype, 'encode')
    try {
      const { count } = await createTokenCounters().of(model)
      const tokens = count(text)
      const lengths = encode.mock.calls.map(([piece = '']) => piece.length)
      return { tokens, longest: Math.max(...lengths) }
    } finally {
      encode.mockRestore()
    }
  }

  it.each(models)('is counted piece by piece for %s', async (model) => {
    for (const length of [2 ** 11, kib256])
      for (const piece of ['a', '😀', '/\n', '漢字', '!', 'ab', ' \t'])
        expect((await longestMerged(model, repeated(piece, length))).longest, piece).toBeLessThanOrEqual(256)
  })

  it('has hardly more tokens than all at once, and others exactly as many', async () => {
    const { count } = await createTokenCounters().of('openai:gpt-5-mini')
    const few = { disallowedSpecial: new Set<string>() }
    const word = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom("it's", ' ', '\n', 'naïve', '1234567', '{"a":1}', '漢字。', '// '),
    )
    const words = fc.array(word, { minLength: 200, maxLength: 600 }).map((all) => all.join(' x '))
    await fc.assert(
      fc.property(words, (text) => {
        expect(count(text)).toBe(countTokens(text, few))
      }),
      { numRuns: 30 },
    )
    for (const text of [repeated('a', 2 ** 11), repeated('漢字仮名', 2 ** 11), repeated('😀', 2 ** 11)]) {
      const exact = countTokens(text, few)
      expect(count(text)).toBeGreaterThanOrEqual(exact)
      expect(count(text)).toBeLessThanOrEqual(exact * 1.05)
    }
  })
})
