import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { createAiSdkProvider } from './ai-sdk.ts'
import { listModels } from './model-list.ts'
import { createOllamaLibrary } from './ollama.ts'
import { createOllamaChat, type OllamaSettings } from './ollama-chat.ts'
import { createOutbound } from './outbound.ts'
import type { ModelCapability, Provider } from './provider.ts'

type Access = { apiKey?: string; baseUrl?: string }

/**
 * Speaks the chat completions API, not the newer responses API: it takes `stop` and `seed`, keeps nothing at the
 * vendor, and is what servers behind an own `baseUrl` understand.
 */
export function createOpenAiProvider({
  apiKey = '',
  baseUrl = 'https://api.openai.com/v1',
}: Access): Provider {
  const outbound = createOutbound('openai', apiKey)
  const openai = createOpenAI({ apiKey, baseURL: baseUrl, fetch: outbound.fetch })
  return createAiSdkProvider({
    name: 'openai',
    limits: { lacks: ['topK'] },
    outbound,
    open: (model) => openai.chat(model),
    openEmbedding: (model) => openai.embeddingModel(model),
    list: () =>
      listModels(outbound, {
        url: `${trimmed(baseUrl)}/models`,
        headers: { authorization: `Bearer ${apiKey}` },
        capabilitiesOf: capabilitiesOfOpenAi,
      }),
  })
}

export function createAnthropicProvider({
  apiKey = '',
  baseUrl: given = 'https://api.anthropic.com',
}: Access): Provider {
  // Anthropic's own tools take the address without the version, the SDK takes it with.
  const baseUrl = new URL(given).pathname === '/' ? `${trimmed(given)}/v1` : trimmed(given)
  const outbound = createOutbound('anthropic', apiKey)
  const anthropic = createAnthropic({ apiKey, baseURL: baseUrl, fetch: outbound.fetch })
  return createAiSdkProvider({
    name: 'anthropic',
    limits: { lacks: ['seed'], temperatureMax: 1 },
    outbound,
    open: (model) => anthropic(model),
    list: () =>
      listModels(outbound, {
        url: `${baseUrl}/models?limit=1000`,
        headers: { 'x-api-key': apiKey, 'anthropic-version': '2023-06-01' },
        capabilitiesOf: () => ['TEXT', 'TOOLS', 'VISION'],
      }),
  })
}

/** Ollama by its own API; only vectors come through the OpenAI-compatible one under its `/v1`. */
export function createOllamaProvider({
  baseUrl: given,
  ...settings
}: { baseUrl: string } & OllamaSettings): Provider {
  const baseUrl = trimmed(given)
  const outbound = createOutbound('ollama', undefined)
  const { embed } = createCompatibleProvider('ollama', { baseUrl: `${baseUrl}/v1` })
  return {
    name: 'ollama',
    stream: createOllamaChat(outbound, baseUrl, settings),
    ...createOllamaLibrary(outbound, baseUrl, settings),
    ...(embed && { embed }),
  }
}

/** Any server that speaks the chat completions API under `baseUrl`. */
export function createCompatibleProvider(
  name: string,
  { apiKey, baseUrl }: { apiKey?: string; baseUrl: string },
): Provider {
  const outbound = createOutbound(name, apiKey)
  const compatible = createOpenAICompatible({
    name,
    baseURL: baseUrl,
    ...(apiKey && { apiKey }),
    includeUsage: true,
    fetch: outbound.fetch,
  })
  return createAiSdkProvider({
    name,
    limits: { lacks: ['topK'] },
    outbound,
    open: (model) => compatible(model),
    openEmbedding: (model) => compatible.embeddingModel(model),
    list: () =>
      listModels(outbound, {
        url: `${trimmed(baseUrl)}/models`,
        headers: apiKey ? { authorization: `Bearer ${apiKey}` } : {},
        capabilitiesOf: (model) => (/embed/i.test(model) ? ['EMBEDDINGS'] : ['TEXT']),
      }),
  })
}

/** The list has speech, pictures and moderation in it, and does not tell which is which but by the name. */
function capabilitiesOfOpenAi(model: string): ModelCapability[] {
  if (/embedding/.test(model)) return ['EMBEDDINGS']
  if (/audio|dall-e|image|moderation|realtime|sora|transcribe|tts|whisper/.test(model)) return []
  return ['TEXT', 'TOOLS']
}

function trimmed(baseUrl: string): string {
  return baseUrl.replace(/\/$/, '')
}
