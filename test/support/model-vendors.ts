import { onTestFinished } from 'vitest'
import { createGoogleProvider } from '../../src/llm/google.ts'
import {
  createAnthropicProvider,
  createCompatibleProvider,
  createOllamaProvider,
  createOpenAiProvider,
} from '../../src/llm/vendors.ts'
import { createModelServer, type ModelAnswer } from './model-server.ts'

export const apiKey = 'sk-proj-Zq7Wm2Lx9Vb4'

export const vendors = {
  openai: createOpenAiProvider,
  anthropic: createAnthropicProvider,
  google: createGoogleProvider,
  compatible: (access: { apiKey: string; baseUrl: string }) => createCompatibleProvider('compatible', access),
  ollama: ({ baseUrl }: { baseUrl: string }) => createOllamaProvider({ baseUrl }),
}

export type Vendor = keyof typeof vendors

/** Those that want a key. */
export const keyedVendors = ['openai', 'anthropic', 'google', 'compatible'] as const satisfies Vendor[]

/** A vendor's provider, and the server that it takes for the vendor; both are gone when the test is over. */
export async function setUpVendor(vendor: Vendor) {
  const server = await createModelServer()
  onTestFinished(() => server.close())
  return { server, provider: vendors[vendor]({ apiKey, baseUrl: server.url }) }
}

/** What each of them answers where it lists one model. */
export function listAnswers(vendor: Vendor, name: string): ModelAnswer[] {
  if (vendor === 'google') {
    const models = [{ name: `models/${name}`, supportedGenerationMethods: ['generateContent'] }]
    return [{ status: 200, body: { models } }]
  }
  if (vendor !== 'ollama') return [{ status: 200, body: { data: [{ id: name }] } }]
  // What it has, what of that is in memory, and what the model can do.
  const models = { status: 200, body: { models: [{ name }] } }
  return [models, models, { status: 200, body: { capabilities: ['completion'] } }]
}
