import { getDatamodel } from './generated/pothos.ts'

type Datamodel = { datamodel: { models: Record<string, { fields: { name: string; kind: string }[] }> } }

/**
 * The columns of a model as a SELECT or RETURNING list that names them as Prisma does, so that rows of hand-written
 * statements and of Prisma look the same. Columns are called as their fields, in snake case. `namePrefix` tells apart
 * the fields of two models in one row.
 */
export function columnsOf(model: string, table?: string, namePrefix = ''): string {
  const { datamodel } = getDatamodel() as unknown as Datamodel
  const fields = datamodel.models[model]?.fields.filter(({ kind }) => kind !== 'object') ?? []
  const prefix = table ? `${table}.` : ''
  return fields.map(({ name }) => `${prefix}${snake(name)} AS "${namePrefix}${name}"`).join(', ')
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
