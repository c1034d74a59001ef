import type { ModelSettingsQuery } from '../../../generated/graphql.ts'
import { dollars, inShort } from '../numbers.ts'

export type ListedModel = ModelSettingsQuery['models'][number]

/** Why it cannot be chosen; null where it can. */
export function refusalOf({ status, isAllowed }: ListedModel): string | null {
  if (!isAllowed) return 'Not allowed in this tenant'
  if (status === 'UNAVAILABLE') return 'Its provider does not answer'
  return null
}

export const statusOf = (model: ListedModel): string =>
  refusalOf(model) ??
  { AVAILABLE: 'Available', LOADED: 'Loaded', LOADING: 'Loading', UNAVAILABLE: '' }[model.status]

/** US dollars for a million tokens, as all providers give it. */
function priceOf({ pricing }: ListedModel): string {
  if (!pricing) return 'Price not known'
  if (Number(pricing.input) === 0 && Number(pricing.output) === 0) return 'Free'
  return `${dollars(pricing.input)} in, ${dollars(pricing.output)} out a million`
}

export const factsOf = (model: ListedModel): string =>
  `${model.contextWindow === null ? 'Context not known' : `${inShort(model.contextWindow)} tokens`} · ${priceOf(model)}`

/** Those that write text and fit what was looked for, as groups of their providers. */
export function groupsOf(models: readonly ListedModel[], search: string): [string, ListedModel[]][] {
  const words = search.toLowerCase().split(/\s+/)
  const fitting = models.filter(
    ({ id, capabilities }) =>
      (capabilities.length === 0 || capabilities.includes('TEXT')) &&
      words.every((word) => id.toLowerCase().includes(word)),
  )
  return [...Map.groupBy(fitting, ({ provider }) => provider)]
}
