import { getDatamodel } from './generated/pothos.ts'

type Datamodel = { datamodel: { models: Record<string, { fields: { name: string; kind: string }[] }> } }

/**
 * The columns of a model as a SELECT or RETURNING list that names them as Prisma does, so that rows of hand-written
 * statements and of Prisma look the same. Columns are called as their fields, in snake case. `namePrefix` tells apart
 * the fields of two models in one row; `only` names some of the fields, all of them by default.
 */
export function columnsOf(model: string, table?: string, namePrefix = '', only?: readonly string[]): string {
  const { datamodel } = getDatamodel() as unknown as Datamodel
  const fields = datamodel.models[model]?.fields.filter(({ kind }) => kind !== 'object') ?? []
  const wanted = only ? fields.filter(({ name }) => only.includes(name)) : fields
  if (only && wanted.length !== only.length) throw new Error(`${model} lacks some of ${only.join(', ')}.`)
  const prefix = table ? `${table}.` : ''
  return wanted.map(({ name }) => `${prefix}${snake(name)} AS "${namePrefix}${name}"`).join(', ')
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
