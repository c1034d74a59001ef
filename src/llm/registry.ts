import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { ModelUnavailableError } from '../lib/errors.ts'
import { createDemoProvider } from './demo.ts'
import { createGoogleProvider } from './google.ts'
import { knownOf } from './known-models.ts'
import { createLocalProvider } from './local.ts'
import { createPrices, type Prices } from './prices.ts'
import { type ModelInfo, type ModelLimits, type Provider, ProviderError } from './provider.ts'
import {
  createAnthropicProvider,
  createCompatibleProvider,
  createOllamaProvider,
  createOpenAiProvider,
} from './vendors.ts'

/**
 * `id` is `provider:name`. `LOADED`: in memory, where the provider tells it; `UNAVAILABLE`: known from before or by the
 * settings, but out of reach now.
 */
export type ListedModel = ModelInfo & {
  id: string
  provider: string
  status: 'AVAILABLE' | 'LOADED' | 'UNAVAILABLE'
}

export type Models = {
  /** The id of the model that answers where nobody chose one. */
  readonly defaultModel: string
  /** What they cost. */
  readonly prices: Prices
  /**
   * The models of all configured providers. Never throws: of a provider that cannot be reached it lists what is
   * known (what it told before, and the default model) as `UNAVAILABLE`; where nothing is known it has no entry.
   */
  list(): Promise<ListedModel[]>
  /**
   * The same within a second: of a provider that has not answered by then it lists what is known, as it was found last, or
   * as `UNAVAILABLE` where it never answered.
   */
  known(): Promise<ListedModel[]>
  /**
   * How many tokens fit into a request; null where nobody knows, or the provider has not told yet. Waits for nothing; has
   * what grew old looked at anew in the background.
   */
  contextWindow(modelId: string): number | null
  /** What it takes of the parameters, as far as anybody knows; waits for nothing. Throws `ModelUnavailableError`. */
  limitsOf(modelId: string): ModelLimits
  /** Whose model it is; does not ask the provider. Throws `ModelUnavailableError`. */
  resolve(modelId: string): { provider: Provider; model: string }
  /**
   * Whether the provider was found out of reach a moment ago; waits for nothing. Each such question has it looked at
   * anew in the background where that is long ago, so that one that is gone or back is known within seconds of being
   * wanted.
   */
  isDown(providerName: string): boolean
  /** A call did not reach the provider: it counts as down, until a look at it, which begins now, tells better. */
  foundDown(providerName: string): void
  /** What is known of the provider's models may have changed: the next list asks anew. */
  forget(providerName: string): void
  /** Lets go of models that are in this process. */
  close(): Promise<void>
}

type Log = { warn(fields: object, message: string): void }

const freshMs = 30_000
const retryMs = 5_000
const knownWithinMs = 1_000
/** Nobody looked for longer than this: the provider may be back, and a call of it tells. */
const downForMs = 15_000

/**
 * `providers` are added to the configured ones; one with the same name takes the place of the configured one. Each is
 * looked at now, in the background: what it has and whether it is there is known before the first send as a rule.
 */
export function createModels(
  config: Config['llm'],
  {
    log,
    providers: extra = [],
    prices = createPrices(),
  }: { log?: Log; providers?: readonly Provider[]; prices?: Prices } = {},
): Models {
  const providers = new Map([...configured(config), ...extra].map((provider) => [provider.name, provider]))
  const listers = new Map(
    [...providers.values()].map((provider) => [provider.name, createLister(provider, config, log)]),
  )
  for (const { list } of listers.values()) void list()

  const told = (modelId: string) => listers.get(modelId.split(':', 1)[0] ?? '')?.told(modelId)

  function resolve(modelId: string) {
    const [, name = '', model] = /^([^:]*):(.+)$/.exec(modelId) ?? []
    const provider = providers.get(name)
    if (provider && model) return { provider, model }
    const names = [...providers.keys()].join(', ')
    const reason = model ? `"${name}" is not configured` : 'an id is written provider:name'
    throw new ModelUnavailableError(
      `The model "${modelId}" is not available: ${reason}. Configured providers: ${names}.`,
    )
  }

  return {
    defaultModel: config.defaultModel,
    prices,
    list: async () => (await Promise.all([...listers.values()].map(({ list }) => list()))).flat(),
    known: async () => (await Promise.all([...listers.values()].map(({ known }) => known()))).flat(),
    contextWindow: (modelId) => knownOf(modelId).contextWindow ?? told(modelId)?.contextWindow ?? null,
    limitsOf(modelId) {
      const { limits = {} } = resolve(modelId).provider
      const { contextWindow: _, ...known } = knownOf(modelId)
      const maxOutputTokens = told(modelId)?.maxOutputTokens
      return {
        ...limits,
        ...known,
        lacks: [...new Set([...(limits.lacks ?? []), ...(known.lacks ?? [])])],
        ...(maxOutputTokens && { maxOutputTokens }),
      }
    },
    isDown: (name) => listers.get(name)?.isDown() ?? false,
    foundDown: (name) => listers.get(name)?.foundDown(),
    forget: (name) => listers.get(name)?.forget(),
    close: async () =>
      void (await Promise.all([...providers.values()].map((provider) => provider.close?.()))),
    resolve,
  }
}

/** Ollama needs no setting: it is looked for where it lives by default. */
function configured({
  demo,
  openai,
  anthropic,
  google,
  ollama,
  compatible,
  local,
}: Config['llm']): Provider[] {
  const { baseUrl } = compatible
  const { directory } = local
  return [
    createDemoProvider(demo),
    ...(openai.apiKey || openai.baseUrl ? [createOpenAiProvider(openai)] : []),
    ...(anthropic.apiKey || anthropic.baseUrl ? [createAnthropicProvider(anthropic)] : []),
    ...(google.apiKey || google.baseUrl ? [createGoogleProvider(google)] : []),
    createOllamaProvider(ollama),
    ...(baseUrl ? [createCompatibleProvider('compatible', { ...compatible, baseUrl })] : []),
    ...(directory ? [createLocalProvider({ ...local, directory })] : []),
  ]
}

/** Lists one provider's models; answers are kept for a while, and callers at the same time share one request. */
function createLister(provider: Provider, config: Config['llm'], log: Log | undefined) {
  let known: readonly ModelInfo[] = defaultModelOf(provider, config.defaultModel)
  let isReached = true
  let hasTold = false
  let staleAt = Number.NEGATIVE_INFINITY
  let pending: Promise<ListedModel[]> | undefined
  let isForgotten = false
  let downUntil = Number.NEGATIVE_INFINITY

  /** Once is no proof: a connection that was kept has ended unseen, or this process was halted and its time is over. */
  const ask = () =>
    provider.list().catch((error: unknown) => {
      if (isUnreached(error)) return provider.list()
      throw error
    })

  const refresh = async () => {
    isForgotten = false
    try {
      known = await ask()
      isReached = true
      downUntil = Number.NEGATIVE_INFINITY
    } catch (error) {
      // One that refuses to list, or cannot, may answer all the same.
      downUntil = isUnreached(error) ? Date.now() + downForMs : Number.NEGATIVE_INFINITY
      // Most machines run no Ollama, and nobody asked for it.
      if (isReached && provider.name !== 'ollama')
        log?.warn({ provider: provider.name, err: error }, 'models cannot be listed')
      isReached = false
    }
    hasTold = true
    staleAt = isForgotten ? Date.now() : Date.now() + (isReached ? freshMs : retryMs)
    return listed()
  }

  const listed = () =>
    known.map(
      (model): ListedModel => ({
        ...model,
        id: `${provider.name}:${model.name}`,
        provider: provider.name,
        status: !isReached || !hasTold ? 'UNAVAILABLE' : model.isLoaded ? 'LOADED' : 'AVAILABLE',
      }),
    )

  const list = (): Promise<ListedModel[]> | [] => {
    if (Date.now() >= staleAt) {
      staleAt = Number.POSITIVE_INFINITY
      pending = refresh()
    }
    return pending ?? []
  }

  function forget() {
    isForgotten = true
    if (staleAt !== Number.POSITIVE_INFINITY) staleAt = Date.now()
  }

  return {
    list,
    async known() {
      const late = new AbortController()
      const asFoundLast = sleep(knownWithinMs, undefined, { signal: late.signal, ref: false }).then(
        listed,
        listed,
      )
      const answer = await Promise.race([list(), asFoundLast])
      late.abort()
      return answer
    },
    /** As the list told it last. */
    told(modelId: string): ModelInfo | undefined {
      void list()
      const [, name] = /^[^:]*:(.+)$/.exec(modelId) ?? []
      return known.find((model) => model.name === name)
    },
    isDown() {
      void list()
      return Date.now() < downUntil
    },
    foundDown() {
      downUntil = Date.now() + downForMs
      forget()
      void list()
    },
    forget,
  }
}

function defaultModelOf({ name }: Provider, defaultModel: string): ModelInfo[] {
  if (!defaultModel.startsWith(`${name}:`)) return []
  return [{ name: defaultModel.slice(name.length + 1), capabilities: ['TEXT'] }]
}

const isUnreached = (error: unknown) => error instanceof ProviderError && error.isUnreached
