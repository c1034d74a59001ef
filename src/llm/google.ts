import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { z } from 'zod'
import { createAiSdkProvider } from './ai-sdk.ts'
import { createOutbound, type Outbound } from './outbound.ts'
import type { ModelCapability, ModelInfo, Provider } from './provider.ts'

const listTimeoutMs = 3_000

const answer = z.object({
  models: z
    .array(
      z.object({
        /** `models/gemini-2.5-flash` */
        name: z.string(),
        inputTokenLimit: z.number().optional(),
        outputTokenLimit: z.number().optional(),
        supportedGenerationMethods: z.array(z.string()).default([]),
      }),
    )
    .default([]),
})

/** Gemini through Google's own API. */
export function createGoogleProvider({
  apiKey = '',
  baseUrl: given = 'https://generativelanguage.googleapis.com/v1beta',
}: {
  apiKey?: string
  baseUrl?: string
}): Provider {
  const baseUrl = given.replace(/\/$/, '')
  const outbound = createOutbound('google', apiKey)
  const google = createGoogleGenerativeAI({ apiKey, baseURL: baseUrl, fetch: outbound.fetch })
  return createAiSdkProvider({
    name: 'google',
    outbound,
    open: (model) => google(model),
    openEmbedding: (model) => google.embeddingModel(model),
    list: () => listModels(outbound, baseUrl, apiKey),
  })
}

async function listModels(outbound: Outbound, baseUrl: string, apiKey: string): Promise<ModelInfo[]> {
  try {
    const response = await outbound.fetch(`${baseUrl}/models?pageSize=1000`, {
      headers: { 'x-goog-api-key': apiKey },
      signal: AbortSignal.timeout(listTimeoutMs),
    })
    const { models } = answer.parse(await response.json())
    return models.flatMap(({ name: path, inputTokenLimit, outputTokenLimit, supportedGenerationMethods }) => {
      const name = path.replace(/^models\//, '')
      const capabilities = capabilitiesOf(name, supportedGenerationMethods)
      if (capabilities.length === 0) return []
      return [
        {
          ...{ name, capabilities },
          ...(inputTokenLimit && { contextWindow: inputTokenLimit }),
          ...(outputTokenLimit && { maxOutputTokens: outputTokenLimit }),
        },
      ]
    })
  } catch (error) {
    throw outbound.toProviderError(error)
  }
}

/** Of what makes pictures or speech the methods are the same; the name tells. */
function capabilitiesOf(name: string, methods: readonly string[]): ModelCapability[] {
  if (methods.includes('embedContent')) return ['EMBEDDINGS']
  if (!methods.includes('generateContent') || /image|tts|audio|video|live/.test(name)) return []
  return name.startsWith('gemini') ? ['TEXT', 'TOOLS', 'VISION'] : ['TEXT']
}
