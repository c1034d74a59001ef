import * as fc from 'fast-check'
import { expect, it } from 'vitest'
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
