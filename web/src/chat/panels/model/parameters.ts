/** The model parameters that the API has, with the bounds that it checks. */
export const parameters = [
  {
    name: 'temperature',
    label: 'Temperature',
    hint: 'Low is steady, high is varied',
    min: 0,
    max: 2,
    step: 0.1,
  },
  { name: 'topP', label: 'Top P', hint: 'Share of likely words to choose from', min: 0, max: 1, step: 0.05 },
  { name: 'topK', label: 'Top K', hint: 'How many likely words to choose from', min: 1, max: 1_000, step: 1 },
  { name: 'maxOutputTokens', label: 'Longest reply', hint: 'Tokens', min: 1, max: 1_000_000, step: 1 },
  { name: 'seed', label: 'Seed', hint: 'The same seed gives similar replies, where the model can', step: 1 },
] as const satisfies readonly Parameter[]

export type Parameter = {
  name: string
  label: string
  hint: string
  min?: number
  max?: number
  step: number
}

/** As people type them; what is empty is inherited. `stop` has one text a line. */
export type ParameterForm = Record<string, string>

type Values = Record<string, unknown>

export const formOf = (values: Values): ParameterForm => ({
  ...Object.fromEntries(
    parameters.map(({ name }) => [name, values[name] === undefined ? '' : String(values[name])]),
  ),
  stop: Array.isArray(values.stop) ? values.stop.join('\n') : '',
})

export function valuesOf(form: ParameterForm): Values {
  const numbers = parameters.flatMap(({ name }) => (form[name] ? [[name, Number(form[name])]] : []))
  const stop = (form.stop ?? '').split('\n').filter(Boolean)
  return { ...Object.fromEntries(numbers), ...(stop.length > 0 && { stop }) }
}

export type Layer = { name: string; values: Values }

/** The value that holds where the session sets none, and whose it is; the last layer that has it wins. */
export function inherited(name: string, layers: readonly Layer[]): { value: unknown; from: string } | null {
  const layer = layers.findLast(({ values }) => values[name] !== undefined && values[name] !== null)
  return layer ? { value: layer.values[name], from: layer.name } : null
}
