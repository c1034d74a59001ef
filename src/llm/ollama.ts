import { z } from 'zod'
import { jsonLines } from './json-lines.ts'
import type { OllamaSettings } from './ollama-chat.ts'
import type { Outbound } from './outbound.ts'
import {
  type ModelCapability,
  type ModelInfo,
  type ModelStore,
  type Provider,
  ProviderError,
  type PullProgress,
} from './provider.ts'

const listTimeoutMs = 3_000

const tags = z.object({
  models: z.array(z.object({ name: z.string(), digest: z.string().default('') })).nullish(),
})
const running = z.object({
  models: z.array(z.object({ name: z.string(), context_length: z.number().nullish() })).nullish(),
})
const shown = z.object({
  capabilities: z.array(z.string()).nullish(),
  /** The lines of a model file: `num_ctx    8192`. */
  parameters: z.string().nullish(),
  model_info: z.record(z.string(), z.unknown()).nullish(),
})
const progress = z.object({
  status: z.string().default(''),
  completed: z.number().optional(),
  total: z.number().optional(),
  error: z.string().optional(),
})

const capabilityNames: Record<string, ModelCapability> = {
  completion: 'TEXT',
  tools: 'TOOLS',
  vision: 'VISION',
  embedding: 'EMBEDDINGS',
}

/** `ownContext`: what its model file asks for. */
type Details = Pick<ModelInfo, 'capabilities'> & { trainedContext?: number; ownContext?: number }

/** The models of an Ollama by its own API: what it has, what is in memory, and what can be done about it. */
export function createOllamaLibrary(
  outbound: Outbound,
  baseUrl: string,
  { contextTokens }: OllamaSettings,
): { list: Provider['list']; store: ModelStore } {
  // What is in a file does not change: one question for each digest.
  let details = new Map<string, Details>()

  const get = async (path: string, signal: AbortSignal) =>
    (await outbound.fetch(`${baseUrl}${path}`, { signal })).json()
  const post = (path: string, body: object, signal: AbortSignal) =>
    outbound.fetch(`${baseUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    })

  /** Of a model that cannot be looked at, the name tells at least whether it makes vectors. */
  async function detailsOf(name: string, signal: AbortSignal): Promise<Details | null> {
    try {
      return readDetails(shown.parse(await (await post('/api/show', { model: name }, signal)).json()), name)
    } catch {
      return null
    }
  }

  async function list(): Promise<ModelInfo[]> {
    const signal = AbortSignal.timeout(listTimeoutMs)
    try {
      const [has, runs] = await Promise.all([
        get('/api/tags', signal).then((answer) => tags.parse(answer).models ?? []),
        get('/api/ps', signal).then((answer) => running.parse(answer).models ?? []),
      ])
      const known = new Map<string, Details>()
      const infos = await Promise.all(
        has.map(async ({ name, digest }): Promise<ModelInfo> => {
          const key = `${name} ${digest}`
          const found = details.get(key) ?? (await detailsOf(name, signal))
          if (found) known.set(key, found)
          const loaded = runs.find((each) => each.name === name)
          const contextWindow = loaded?.context_length ?? contextOf(found, contextTokens)
          return {
            name,
            capabilities: found?.capabilities ?? capabilitiesOfName(name),
            isLoaded: loaded !== undefined,
            contextWindow,
          }
        }),
      )
      details = known
      return infos.filter(({ capabilities }) => capabilities.length > 0)
    } catch (error) {
      throw outbound.toProviderError(error)
    }
  }

  /**
   * A request without a prompt only moves the model; -1 keeps it in memory, 0 lets go of it. A reply that asks for
   * another context would load it again.
   */
  async function keep(model: string, keepAlive: -1 | 0, signal: AbortSignal): Promise<void> {
    const options = contextTokens === undefined ? {} : { options: { num_ctx: contextTokens } }
    try {
      const body = { model, keep_alive: keepAlive, stream: false, ...options }
      const answer = await post('/api/generate', body, signal)
      await answer.text()
    } catch (error) {
      signal.throwIfAborted()
      throw outbound.toProviderError(error)
    }
  }

  async function* pull(model: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
    try {
      const answer = await post('/api/pull', { model, stream: true }, signal)
      for await (const line of jsonLines(answer)) {
        const { status, completed, total, error } = progress.parse(line)
        if (error !== undefined)
          throw new ProviderError('invalid', `ollama cannot fetch "${model}": ${error}`)
        yield {
          detail: status,
          ...(completed !== undefined && { completedBytes: completed }),
          ...(total !== undefined && { totalBytes: total }),
        }
        if (status === 'success') return
      }
      throw new ProviderError('connection', `ollama broke off fetching "${model}".`)
    } catch (error) {
      signal.throwIfAborted()
      throw outbound.toProviderError(error)
    }
  }

  return {
    list,
    store: {
      load: (model, signal) => keep(model, -1, signal),
      unload: (model, signal) => keep(model, 0, signal),
      pull,
    },
  }
}

/**
 * What Ollama loads a model with where nobody asks for more. It may be more, by the machine's memory or its own settings,
 * which shows once the model is loaded; what passes it is cut without a word.
 */
const defaultContext = 4_096

/** What a model has room for once it is loaded; a model file may allow less than the model was trained for. */
const contextOf = (found: Details | null, wanted: number | undefined): number =>
  Math.min(
    ...[wanted ?? found?.ownContext ?? defaultContext, found?.ownContext, found?.trainedContext].filter(
      isKnown,
    ),
  )

const isKnown = (tokens: number | undefined): tokens is number => tokens !== undefined

function readDetails(
  { capabilities, parameters, model_info }: z.output<typeof shown>,
  name: string,
): Details {
  const architecture = model_info?.['general.architecture']
  const trained = model_info?.[`${architecture}.context_length`]
  const own = Number(/^num_ctx\s+(\d+)/m.exec(parameters ?? '')?.[1])
  return {
    capabilities: capabilities
      ? capabilities.flatMap((each) => capabilityNames[each] ?? [])
      : capabilitiesOfName(name),
    ...(typeof trained === 'number' && { trainedContext: trained }),
    ...(own && { ownContext: own }),
  }
}

const capabilitiesOfName = (name: string): ModelCapability[] =>
  /embed/i.test(name) ? ['EMBEDDINGS'] : ['TEXT']
