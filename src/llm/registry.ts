import type { Config } from '../config.ts'
import { ModelUnavailableError } from '../lib/errors.ts'
import { knownWindow } from './context-windows.ts'
import { createDemoProvider } from './demo.ts'
import type { ModelInfo, Provider } from './provider.ts'
import { createAnthropicProvider, createCompatibleProvider, createOpenAiProvider } from './vendors.ts'

/** `id` is `provider:name`. `UNAVAILABLE`: known from before or by the settings, but out of reach now. */
export type ListedModel = ModelInfo & {
  id: string
  provider: string
  status: 'AVAILABLE' | 'UNAVAILABLE'
}

export type Models = {
  /** The id of the model that answers where nobody chose one. */
  readonly defaultModel: string
  /**
   * The models of all configured providers. Never throws: of a provider that cannot be reached it lists what is
   * known (what it told before, and the default model) as `UNAVAILABLE`; where nothing is known it has no entry.
   */
  list(): Promise<ListedModel[]>
  /** How many tokens fit into a request, as far as that is known by now; null where not. Never waits for a provider. */
  contextWindow(modelId: string): number | null
  /** Whose model it is; does not ask the provider. Throws `ModelUnavailableError`. */
  resolve(modelId: string): { provider: Provider; model: string }
}

type Log = { warn(fields: object, message: string): void }

const freshMs = 30_000
const retryMs = 5_000

/** `providers` are added to the configured ones; one with the same name takes the place of the configured one. */
export function createModels(
  config: Config['llm'],
  { log, providers: extra = [] }: { log?: Log; providers?: readonly Provider[] } = {},
): Models {
  const providers = new Map([...configured(config), ...extra].map((provider) => [provider.name, provider]))
  const listers = new Map(
    [...providers.values()].map((provider) => [provider.name, createLister(provider, config, log)]),
  )
  return {
    defaultModel: config.defaultModel,
    list: async () => (await Promise.all([...listers.values()].map(({ list }) => list()))).flat(),
    contextWindow: (modelId) =>
      knownWindow(modelId) ?? listers.get(modelId.split(':', 1)[0] ?? '')?.contextWindow(modelId) ?? null,
    resolve(modelId) {
      const [, name = '', model] = /^([^:]*):(.+)$/.exec(modelId) ?? []
      const provider = providers.get(name)
      if (provider && model) return { provider, model }
      const names = [...providers.keys()].join(', ')
      const reason = model ? `"${name}" is not configured` : 'an id is written provider:name'
      throw new ModelUnavailableError(
        `The model "${modelId}" is not available: ${reason}. Configured providers: ${names}.`,
      )
    },
  }
}

/** Ollama needs no setting: it is looked for where it lives by default. */
function configured({ demo, openai, anthropic, ollama, compatible }: Config['llm']): Provider[] {
  const { baseUrl } = compatible
  return [
    createDemoProvider(demo),
    ...(openai.apiKey || openai.baseUrl ? [createOpenAiProvider(openai)] : []),
    ...(anthropic.apiKey || anthropic.baseUrl ? [createAnthropicProvider(anthropic)] : []),
    createCompatibleProvider('ollama', { baseUrl: `${ollama.baseUrl.replace(/\/$/, '')}/v1` }),
    ...(baseUrl ? [createCompatibleProvider('compatible', { ...compatible, baseUrl })] : []),
  ]
}

/** Lists one provider's models; answers are kept for a while, and callers at the same time share one request. */
function createLister(provider: Provider, config: Config['llm'], log: Log | undefined) {
  let known: readonly ModelInfo[] = defaultModelOf(provider, config.defaultModel)
  let isReached = true
  let staleAt = Number.NEGATIVE_INFINITY
  let pending: Promise<ListedModel[]> | undefined

  const refresh = async () => {
    try {
      known = await provider.list()
      isReached = true
    } catch (error) {
      // Most machines run no Ollama, and nobody asked for it.
      if (isReached && provider.name !== 'ollama')
        log?.warn({ provider: provider.name, err: error }, 'models cannot be listed')
      isReached = false
    }
    staleAt = Date.now() + (isReached ? freshMs : retryMs)
    const status = isReached ? 'AVAILABLE' : 'UNAVAILABLE'
    return known.map(
      (model): ListedModel => ({
        ...model,
        id: `${provider.name}:${model.name}`,
        provider: provider.name,
        status,
      }),
    )
  }

  const list = (): Promise<ListedModel[]> | [] => {
    if (Date.now() >= staleAt) {
      staleAt = Number.POSITIVE_INFINITY
      pending = refresh()
    }
    return pending ?? []
  }

  return {
    list,
    /** As it was told last; what is stale is asked for again, for the next time. */
    contextWindow(modelId: string): number | null {
      void list()
      const [, name] = /^[^:]*:(.+)$/.exec(modelId) ?? []
      return known.find((model) => model.name === name)?.contextWindow ?? null
    },
  }
}

function defaultModelOf({ name }: Provider, defaultModel: string): ModelInfo[] {
  if (!defaultModel.startsWith(`${name}:`)) return []
  return [{ name: defaultModel.slice(name.length + 1), capabilities: ['TEXT'] }]
}
