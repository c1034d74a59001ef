import type { FieldFault } from '../../lib/errors.ts'
import type { ModelLimits, ModelParameters } from '../../llm/provider.ts'

/** What a model takes: its limits, and its context window, which is null where nobody knows it. */
export type Taken = ModelLimits & { contextWindow: number | null }

/** In the order of the input. */
const names = ['temperature', 'topP', 'topK', 'maxOutputTokens', 'stop', 'seed'] as const

/** The names of the parameters that a model takes. */
export const namesTaken = ({ lacks = [] }: ModelLimits): string[] =>
  names.filter((name) => !lacks.includes(name))

/** Each names the parameter, what is wrong with it, and what the model takes. */
export function faultsOf(modelId: string, taken: Taken, parameters: ModelParameters): FieldFault[] {
  return names.flatMap((name) => {
    const fault = faultOf(name, taken, parameters)
    return fault ? [{ path: `parameters.${name}`, message: fault(`"${modelId}"`) }] : []
  })
}

/**
 * The parameters of `layers`, the last over all before it, without what the model does not take: it was set for another
 * one.
 */
export function fitting(
  taken: Taken,
  layers: readonly (ModelParameters | null | undefined)[],
): ModelParameters {
  const merged: ModelParameters = {}
  for (const layer of layers) {
    // Of the two it takes but one, and that is the word said last.
    if (taken.takesEitherSampling && layer?.topP !== undefined) delete merged.temperature
    Object.assign(merged, layer)
    if (taken.takesEitherSampling && layer?.temperature !== undefined) delete merged.topP
  }
  for (const name of names) if (faultOf(name, taken, merged)) delete merged[name]
  return merged
}

type Fault = (model: string) => string

function faultOf(
  name: keyof ModelParameters,
  { lacks = [], temperatureMax = 2, maxStops, maxOutputTokens, contextWindow, takesEitherSampling }: Taken,
  parameters: ModelParameters,
): Fault | null {
  if (parameters[name] === undefined) return null
  if (lacks.includes(name)) return (model) => `is not taken by ${model}; leave it out`
  const { temperature = 0, stop = [], maxOutputTokens: asked = 0 } = parameters
  if (name === 'temperature' && temperature > temperatureMax)
    return (model) => `is above ${temperatureMax}, the most that ${model} takes`
  if (name === 'topP' && takesEitherSampling && parameters.temperature !== undefined)
    return (model) => `is not taken by ${model} beside temperature; leave one of them out`
  if (name === 'stop' && maxStops !== undefined && stop.length > maxStops)
    return (model) => `has ${stop.length} entries; ${model} takes ${maxStops}`
  if (name !== 'maxOutputTokens') return null
  if (maxOutputTokens !== undefined && asked > maxOutputTokens)
    return (model) => `is above ${maxOutputTokens}, the most that ${model} writes`
  if (contextWindow !== null && asked > contextWindow)
    return (model) => `is above ${contextWindow}, the context window of ${model}`
  return null
}
