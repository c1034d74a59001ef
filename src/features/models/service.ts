import { type Price, priceOf } from '../../llm/prices.ts'
import type { ListedModel, Models } from '../../llm/registry.ts'

export type ModelCatalog = {
  readonly defaultModel: string
  /** Every model that can be named in a send, with whether it can be reached now. */
  list(): Promise<ListedModel[]>
  /** What a model costs; null where that is not known. */
  priceOf(modelId: string): Price | null
  /** Throws `ModelUnavailableError` unless the id names a configured provider. */
  require(modelId: string): void
}

export const createModelCatalog = (models: Models): ModelCatalog => ({
  defaultModel: models.defaultModel,
  list: () => models.list(),
  priceOf,
  require: (modelId) => void models.resolve(modelId),
})
