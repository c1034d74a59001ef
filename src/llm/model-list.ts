import { z } from 'zod'
import type { Outbound } from './outbound.ts'
import type { ModelCapability, ModelInfo } from './provider.ts'

const listTimeoutMs = 3_000

/** All vendors answer with `data` and `id`; for the limits every server has names of its own, if any. */
const answer = z.object({
  data: z
    .array(
      z.object({
        id: z.string(),
        context_length: z.number().nullish(),
        context_window: z.number().nullish(),
        max_input_tokens: z.number().nullish(),
        max_model_len: z.number().nullish(),
        max_output_tokens: z.number().nullish(),
        max_completion_tokens: z.number().nullish(),
      }),
    )
    // Ollama without a model says null.
    .nullable(),
})

/** Asks a provider for its models; those without a capability are left out. Throws a `ProviderError`. */
export async function listModels(
  outbound: Outbound,
  {
    url,
    headers,
    capabilitiesOf,
  }: { url: string; headers: Record<string, string>; capabilitiesOf(model: string): ModelCapability[] },
): Promise<ModelInfo[]> {
  try {
    const response = await outbound.fetch(url, { headers, signal: AbortSignal.timeout(listTimeoutMs) })
    const { data } = answer.parse(await response.json())
    return (data ?? []).flatMap((model) => {
      const capabilities = capabilitiesOf(model.id)
      const contextWindow =
        model.max_model_len ?? model.context_length ?? model.context_window ?? model.max_input_tokens
      const maxOutputTokens = model.max_output_tokens ?? model.max_completion_tokens
      if (capabilities.length === 0) return []
      return [
        {
          ...{ name: model.id, capabilities },
          ...(contextWindow && { contextWindow }),
          ...(maxOutputTokens && { maxOutputTokens }),
        },
      ]
    })
  } catch (error) {
    throw outbound.toProviderError(error)
  }
}
