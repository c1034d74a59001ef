import type { ListedModel, Models } from '../../llm/registry.ts'

export type ModelCatalog = {
  readonly defaultModel: string
  /** Every model that can be named in a send, with whether it can be reached now. */
  list(): Promise<ListedModel[]>
  /** Throws `ModelUnavailableError` unless the id names a configured provider. */
  require(modelId: string): void
}

export const createModelCatalog = (models: Models): ModelCatalog => ({
  defaultModel: models.defaultModel,
  list: () => models.list(),
  require: (modelId) => void models.resolve(modelId),
})
