import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { fitting } from '../../src/features/models/parameters.ts'
import type { ModelParameters } from '../../src/llm/provider.ts'
import { createModels } from '../../src/llm/registry.ts'
import { setUpVendor } from '../support/model-vendors.ts'
import { collect, neverAborted, requestFor } from './provider.suite.ts'

/** What the vendors call each parameter. */
const wireNames: Record<keyof ModelParameters, string[]> = {
  temperature: ['temperature'],
  topP: ['top_p', 'topP'],
  topK: ['top_k', 'topK'],
  maxOutputTokens: ['max_completion_tokens', 'max_tokens', 'maxOutputTokens'],
  stop: ['stop', 'stop_sequences', 'stopSequences'],
  seed: ['seed'],
}

// What is known of models is checked in; the vendors' packages have a word of their own, and drop what they think is not taken.
it.each([
  ['openai', 'gpt-5-chat-latest'],
  ['openai', 'gpt-5-mini'],
  ['openai', 'gpt-5.5'],
  ['openai', 'o4-mini'],
  ['openai', 'gpt-4.1-mini'],
  ['openai', 'gpt-4o-2024-11-20'],
  ['openai', 'gpt-4o-search-preview'],
  ['openai', 'someone-elses'],
  ['anthropic', 'claude-opus-5'],
  ['anthropic', 'claude-sonnet-5'],
  ['anthropic', 'claude-opus-4-8'],
  ['anthropic', 'claude-opus-4-7'],
  ['anthropic', 'claude-opus-4-6'],
  ['anthropic', 'claude-sonnet-4-6'],
  ['anthropic', 'claude-opus-4-5'],
  ['anthropic', 'claude-sonnet-4-5-20250929'],
  ['anthropic', 'claude-haiku-4-5'],
  ['anthropic', 'claude-opus-4-1'],
  ['anthropic', 'claude-opus-4-20250514'],
  ['anthropic', 'claude-sonnet-4-20250514'],
  ['anthropic', 'claude-3-5-sonnet-20241022'],
  ['anthropic', 'claude-3-haiku-20240307'],
  ['anthropic', 'claude-nova-7'],
  ['google', 'gemini-2.5-flash'],
  ['google', 'gemini-3-pro-preview'],
] as const)('to %s carry for %s all that it is said to take', async (vendor, name) => {
  const { server, provider } = await setUpVendor(vendor)
  const models = createModels(loadConfig({ OLLAMA_BASE_URL: 'http://127.0.0.1:1' }).llm, {
    providers: [provider],
  })
  const limits = models.limitsOf(`${vendor}:${name}`)
  const asked = {
    ...{ temperature: limits.temperatureMax ?? 2, topP: 0.9, topK: 5, seed: 7 },
    ...{ maxOutputTokens: limits.maxOutputTokens ?? 4_000, stop: ['A', 'B', 'C', 'D'] },
  }
  const parameters = fitting({ ...limits, contextWindow: null }, [asked])
  server.answer({ speech: { text: ['Yes.'] } })
  await collect(provider.stream({ ...requestFor(name)('A question'), parameters }, neverAborted()))
  const { body } = server.requests.find(({ method }) => method === 'POST') ?? {}
  const sent = { ...body, ...(body?.generationConfig as object | undefined) }
  const carried = Object.entries(wireNames).flatMap(([name, words]) => {
    const word = words.find((each) => each in sent)
    return word ? [[name, sent[word as keyof typeof sent]]] : []
  })
  expect(Object.fromEntries(carried)).toEqual(parameters)
})
