import { z } from 'zod'
import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { TenantDatabase } from '../../db/client.ts'
import { check, modelId as idCheck, modelParameters } from '../../lib/checks.ts'
import { ForbiddenError, invalid, ModelUnavailableError, ValidationError } from '../../lib/errors.ts'
import type { Price } from '../../llm/prices.ts'
import type { ModelParameters } from '../../llm/provider.ts'
import type { ListedModel, Models } from '../../llm/registry.ts'
import type { Broker } from '../../realtime/broker.ts'
import type { Log } from '../../telemetry/log.ts'
import { recordAction } from '../audit/record.ts'
import { createModelActions } from './actions.ts'
import { createModelNews, type ModelProgress } from './news.ts'
import { faultsOf, fitting, type Taken } from './parameters.ts'
import { createModelSettings } from './settings.ts'

/** A model as a tenant sees it. */
export type CatalogModel = Omit<ListedModel, 'status'> & {
  status: ListedModel['status'] | 'LOADING'
  isAllowed: boolean
  defaultParameters: ModelParameters
}

/** `onlyAllowed`: a model of which the tenant says nothing may not be used. */
export type ModelPolicy = { onlyAllowed: boolean }

/** Loads, unloads and downloads concern the whole installation; that they are for admins is settled by the schema. */
export type ModelCatalog = {
  readonly defaultModel: string
  /** Every model that can be named in a send, with whether it can be reached now; for admins, those not allowed, too. */
  list(viewer: Viewer): Promise<CatalogModel[]>
  /** The same by what is known, for who cannot wait: a provider that does not answer at once counts as out of reach. */
  known(viewer: Viewer): Promise<CatalogModel[]>
  /** One of them; null where there is none. */
  find(viewer: Viewer, modelId: string): Promise<CatalogModel | null>
  /** What a model costs; null where that is not known. */
  priceOf(modelId: string): Price | null
  /** What it takes of the parameters, as far as that is known. Throws where the provider is not configured. */
  takenBy(modelId: string): Taken
  /**
   * Throws `ModelUnavailableError` unless the id names a configured provider and the tenant allows the model, and a
   * `ValidationError` where the model does not take one of the parameters. Does not ask the provider.
   */
  require(viewer: Viewer, modelId: string, parameters?: object | null): Promise<void>
  /**
   * Throws a `ValidationError` where the model, which somebody else chose, does not take the parameters: with none, there is
   * nothing to take. Whether it may be used is asked when it is.
   */
  requireTaken(modelId: string, parameters: object | null | undefined): void
  /**
   * The parameters of a run: `layers`, the last over all before it, over the tenant's defaults of the model. Throws as
   * `require` does of what was `asked`, and where the provider is known to be down; what was set for another model and is
   * not taken by this one is left out.
   */
  settle(
    viewer: Viewer,
    modelId: string,
    given: { layers: readonly (object | null | undefined)[]; asked: object | null | undefined },
  ): Promise<object>
  /** Throws `ModelUnavailableError` where the tenant does not allow the model now. */
  requireAllowed(db: TenantDatabase, modelId: string): Promise<void>
  /** Changes the tenant's defaults of a model, and whether it may be used. */
  setDefaults(viewer: Viewer, input: unknown): Promise<CatalogModel>
  /** What holds in the tenant for every model. */
  policyOf(viewer: Viewer): Promise<ModelPolicy>
  setPolicy(viewer: Viewer, policy: ModelPolicy): Promise<ModelPolicy>
  load(viewer: Viewer, modelId: string): Promise<CatalogModel>
  unload(viewer: Viewer, modelId: string): Promise<CatalogModel>
  pull(viewer: Viewer, modelId: string): Promise<ModelProgress>
  /** Where a load or download stands, and each of its steps from now on; throws where the provider is not configured. */
  follow(modelId: string): Promise<AsyncIterableIterator<ModelProgress>>
  start(): void
  stop(): Promise<void>
}

const settingsInput = z.object({
  model: idCheck,
  parameters: modelParameters.nullish(),
  isAllowed: z.boolean().nullish(),
})

type Dependencies = { models: Models; broker: Broker; isManaged: boolean; log: Log }

/** Where models may be fetched from. */
const sources = ['registry.ollama.ai', 'hf.co', 'huggingface.co']

/**
 * A name of three parts begins with the host that Ollama connects to. Which hosts this installation talks to is the
 * operator's to say, not that of a tenant's admin.
 */
function requireKnownSource(id: string): void {
  const name = id.slice(id.indexOf(':') + 1)
  const parts = name.split('/')
  const isElsewhere = name.includes('://') || (parts.length > 2 && !sources.includes(parts[0] ?? ''))
  if (isElsewhere)
    throw invalid('model', `is fetched from elsewhere; allowed are names alone and ${sources.join(', ')}`)
}

export function createModelCatalog({ models, broker, isManaged, log }: Dependencies): ModelCatalog {
  const news = createModelNews({ broker, log })
  const settings = createModelSettings()
  const actions = createModelActions({ models, news, log })
  const takenBy = (id: string): Taken => ({ ...models.limitsOf(id), contextWindow: models.contextWindow(id) })

  function requireTaken(id: string, parameters: ModelParameters | null | undefined): void {
    if (!parameters || Object.keys(parameters).length === 0) return
    const faults = faultsOf(id, takenBy(id), parameters)
    if (faults.length > 0) throw new ValidationError(faults)
  }

  async function requireAllowed(db: TenantDatabase, id: string) {
    const set = await settings.of(db)
    if (!set.allows(id)) throw new ModelUnavailableError(`The model "${id}" is not allowed in this tenant.`)
    return set
  }

  async function requireUsable({ db }: Viewer, id: string, parameters: object | null | undefined) {
    models.resolve(id)
    const set = await requireAllowed(db, id)
    requireTaken(id, parameters)
    return set
  }

  async function all(viewer: Viewer, listing: Promise<ListedModel[]>): Promise<CatalogModel[]> {
    const [listed, set] = await Promise.all([listing, settings.of(viewer.db)])
    return listed.map((model) => ({
      ...model,
      status: model.status === 'AVAILABLE' && actions.isLoading(model.id) ? 'LOADING' : model.status,
      isAllowed: set.allows(model.id),
      defaultParameters: set.parametersOf(model.id),
    }))
  }

  const seenBy = async (viewer: Viewer, listing: Promise<ListedModel[]>) =>
    (await all(viewer, listing)).filter(({ isAllowed }) => isAllowed || actsForTenant(viewer))

  const list = (viewer: Viewer) => seenBy(viewer, models.list())

  const find = async (viewer: Viewer, id: string) =>
    (await list(viewer)).find((model) => model.id === id) ?? null

  /** A model need not be listed to have settings, and may leave the list between two looks. */
  async function shown(viewer: Viewer, id: string): Promise<CatalogModel> {
    const { provider, model: name } = models.resolve(id)
    const set = await settings.of(viewer.db)
    return (
      (await find(viewer, id)) ?? {
        ...{ id, provider: provider.name, name, capabilities: [], status: 'UNAVAILABLE' },
        isAllowed: set.allows(id),
        defaultParameters: set.parametersOf(id),
      }
    )
  }

  function requireManaged(): void {
    if (!isManaged)
      throw new ForbiddenError('The operator keeps the models of this installation (MODEL_MANAGEMENT).')
  }

  return {
    defaultModel: models.defaultModel,
    list,
    known: (viewer) => seenBy(viewer, models.known()),
    find,
    priceOf: models.prices.of,
    takenBy,
    async require(viewer, id, parameters) {
      await requireUsable(viewer, id, parameters)
    },
    requireTaken,
    async settle(viewer, id, { layers, asked }) {
      const set = await requireUsable(viewer, id, asked)
      const { provider } = models.resolve(id)
      if (models.isDown(provider.name))
        throw new ModelUnavailableError(
          `"${provider.name}" cannot be reached now, so "${id}" is not available.`,
        )
      return fitting(takenBy(id), [set.parametersOf(id), ...layers, asked])
    },
    async requireAllowed(db, id) {
      await requireAllowed(db, id)
    },
    async setDefaults(viewer, input) {
      const { model, parameters, isAllowed } = check(settingsInput, input)
      models.resolve(model)
      requireTaken(model, parameters)
      await settings.set(viewer, model, {
        ...(parameters !== undefined && { parameters: (parameters ?? {}) as ModelParameters }),
        ...(isAllowed !== undefined && { isAllowed }),
      })
      await news.tell({ type: 'settings', tenantId: viewer.tenantId })
      return shown(viewer, model)
    },
    policyOf: ({ db }) => settings.of(db),
    async setPolicy(viewer, { onlyAllowed }) {
      await settings.setOnlyAllowed(viewer, onlyAllowed)
      await news.tell({ type: 'settings', tenantId: viewer.tenantId })
      return { onlyAllowed }
    },
    async load(viewer, id) {
      requireManaged()
      await recordAction(viewer.db.sql, viewer, { action: 'loadModel', target: id })
      await actions.load(id)
      return shown(viewer, id)
    },
    async unload(viewer, id) {
      requireManaged()
      await recordAction(viewer.db.sql, viewer, { action: 'unloadModel', target: id })
      await actions.unload(id)
      return shown(viewer, id)
    },
    async pull(viewer, id) {
      requireManaged()
      requireKnownSource(id)
      await recordAction(viewer.db.sql, viewer, { action: 'pullModel', target: id })
      return actions.pull(id)
    },
    async follow(id) {
      models.resolve(id)
      return news.follow(id)
    },
    start: () =>
      news.start((tidings) => {
        if (tidings === null) settings.forget()
        else if (tidings.type === 'settings') settings.forget(tidings.tenantId)
        else actions.hear(tidings)
      }),
    async stop() {
      await actions.stop()
      news.stop()
    },
  }
}
