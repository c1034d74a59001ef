import { ModelUnavailableError } from '../../lib/errors.ts'
import { type ModelStore, ProviderError, type PullProgress } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ModelNews, ModelProgress, ModelTidings } from './news.ts'

/** What can be done about models that are files on a machine of ours. Each throws `ModelUnavailableError`. */
export type ModelActions = {
  /** Begins to bring the model into memory; `news` tells how that goes. */
  load(modelId: string): Promise<ModelProgress>
  /** Resolves when the model is out of memory. */
  unload(modelId: string): Promise<void>
  /** Begins to fetch the model; one that this node is fetching already goes on. */
  pull(modelId: string): ModelProgress
  /** Whether the model is being brought into memory, through this node or another. */
  isLoading(modelId: string): boolean
  /** Takes in what another node told. */
  hear(tidings: ModelTidings | null): void
  /** Gives up what is under way here. */
  stop(): Promise<void>
}

type Dependencies = { models: Models; news: ModelNews; log: Log }
type Work = (store: ModelStore, model: string, signal: AbortSignal) => AsyncIterable<PullProgress>

/** Bytes are told this often at most; another word of the provider at once. */
const tellEveryMs = 250
/** A load that a node began and never told the end of is not waited for any longer. */
const loadTakesAtMostMs = 10 * 60_000

export function createModelActions({ models, news, log }: Dependencies): ModelActions {
  const latest = new Map<string, ModelProgress>()
  const own = new Map<string, Promise<void>>()
  const stopping = new AbortController()
  const keyOf = ({ action, model }: Pick<ModelProgress, 'action' | 'model'>) => `${action} ${model}`

  function take(progress: ModelProgress): void {
    if (progress.status === 'RUNNING') latest.set(keyOf(progress), progress)
    else {
      latest.delete(keyOf(progress))
      // Another node may have providers that this one does not know.
      models.forget(progress.model.split(':', 1)[0] ?? '')
    }
  }

  const tell = (progress: ModelProgress) => {
    take(progress)
    return news.tell({ type: 'progress', progress })
  }

  async function work(begun: ModelProgress, steps: AsyncIterable<PullProgress>): Promise<void> {
    const now = () => ({ ...begun, at: Date.now() })
    let told = begun
    await tell(begun)
    try {
      for await (const { detail, completedBytes = null, totalBytes = null } of steps) {
        const step = { ...now(), detail, completedBytes, totalBytes }
        const isWorthTelling = detail !== told.detail || step.at - told.at >= tellEveryMs
        if (!isWorthTelling) continue
        told = step
        await tell(step)
      }
      await tell({ ...now(), status: 'DONE' })
    } catch (error) {
      const detail =
        error instanceof ProviderError ? error.message : 'It was given up: the server that did it stopped.'
      if (!(error instanceof ProviderError) && !stopping.signal.aborted)
        log.error({ err: error, model: begun.model }, 'a model could not be loaded or fetched')
      await tell({ ...now(), status: 'FAILED', detail })
    }
  }

  function begin(modelId: string, action: ModelProgress['action'], steps: Work): ModelProgress {
    const { store, model } = reachable(modelId)
    const key = keyOf({ action, model: modelId })
    const going = latest.get(key)
    if (own.has(key) && going) return going
    const begun: ModelProgress = {
      ...{ model: modelId, action, status: 'RUNNING', detail: null },
      ...{ completedBytes: null, totalBytes: null, at: Date.now() },
    }
    const done = work(begun, steps(store, model, stopping.signal)).finally(() => own.delete(key))
    own.set(key, done)
    return begun
  }

  function reachable(modelId: string) {
    const { provider, model } = models.resolve(modelId)
    if (!provider.store)
      throw new ModelUnavailableError(
        `The models of "${provider.name}" are not kept by this installation: there is nothing to load or to fetch.`,
      )
    if (models.isDown(provider.name))
      throw new ModelUnavailableError(
        `"${provider.name}" cannot be reached now, so "${modelId}" is not available.`,
      )
    return { store: provider.store, model }
  }

  async function requireListed(modelId: string): Promise<void> {
    const listed = await models.list()
    // Of one that is down nothing may be listed: that it is down is what its caller needs to know.
    const { store } = reachable(modelId)
    if (listed.some(({ id }) => id === modelId)) return
    const way = store.pull ? 'pullModel fetches models' : "files are put into its provider's folder by hand"
    throw new ModelUnavailableError(`There is no model "${modelId}" here; ${way}.`)
  }

  return {
    async load(modelId) {
      reachable(modelId)
      await requireListed(modelId)
      return begin(modelId, 'LOAD', loading)
    },
    async unload(modelId) {
      const { store, model } = reachable(modelId)
      await requireListed(modelId)
      try {
        await store.unload(model, stopping.signal)
      } catch (error) {
        if (error instanceof ProviderError) throw new ModelUnavailableError(error.message)
        throw error
      }
      models.forget(models.resolve(modelId).provider.name)
    },
    pull(modelId) {
      const { pull } = reachable(modelId).store
      if (!pull)
        throw new ModelUnavailableError(
          `The models of "${models.resolve(modelId).provider.name}" are put into its folder by hand; none can be fetched.`,
        )
      return begin(modelId, 'PULL', (_store, model, signal) => pull(model, signal))
    },
    isLoading(modelId) {
      const progress = latest.get(keyOf({ action: 'LOAD', model: modelId }))
      return progress !== undefined && Date.now() - progress.at < loadTakesAtMostMs
    },
    hear(tidings) {
      if (tidings?.type === 'progress') take(tidings.progress)
    },
    async stop() {
      stopping.abort()
      await Promise.all(own.values())
    },
  }
}

async function* loading(store: ModelStore, model: string, signal: AbortSignal): AsyncGenerator<PullProgress> {
  yield { detail: 'loading' }
  await store.load(model, signal)
}
