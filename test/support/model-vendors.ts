import { onTestFinished } from 'vitest'
import { createGoogleProvider } from '../../src/llm/google.ts'
import {
  createAnthropicProvider,
  createCompatibleProvider,
  createOpenAiProvider,
} from '../../src/llm/vendors.ts'
import { createModelServer } from './model-server.ts'

export const apiKey = 'sk-proj-Zq7Wm2Lx9Vb4'

export const vendors = {
  openai: createOpenAiProvider,
  anthropic: createAnthropicProvider,
  google: createGoogleProvider,
  compatible: (access: { apiKey: string; baseUrl: string }) => createCompatibleProvider('compatible', access),
}

export type Vendor = keyof typeof vendors

/** A vendor's provider, and the server that it takes for the vendor; both are gone when the test is over. */
export async function setUpVendor(vendor: Vendor) {
  const server = await createModelServer()
  onTestFinished(() => server.close())
  return { server, provider: vendors[vendor]({ apiKey, baseUrl: server.url }) }
}

/** What each of them answers where it lists one model: OpenAI and Anthropic have `data`, Google has `models`. */
export const modelList = (name: string) => ({
  data: [{ id: name }],
  models: [{ name: `models/${name}`, supportedGenerationMethods: ['generateContent'] }],
})
