import { type GraphQLField, type GraphQLObjectType, getNamedType, isLeafType, isObjectType } from 'graphql'
import { schema } from '../../src/schema.ts'

/** Where ways begin that need an id. */
export type Ids = { session: string; message: string; run: string }

type Options = {
  /** What is searched for. */
  word?: string
  /** Single values that are not asked for, as `Type.field`. */
  leftOut?: readonly string[]
}

type Plan = { given: Readonly<Record<string, readonly string[]>>; leftOut: readonly string[] }

/** What fields are asked with; one that needs something and has nothing here is an error. */
const argumentsWith = ({ session, message, run }: Ids, word: string): Plan['given'] => ({
  'Query.document': [`id: "${session}"`],
  'Query.message': [`id: "${message}"`],
  'Query.model': ['id: "demo:chat"'],
  'Query.retrieve': [`query: "${word}"`],
  'Query.run': [`id: "${run}"`],
  'Query.search': [`query: "${word}"`],
  'Query.session': [`id: "${session}"`],
  // As their lists show them when asked for others than usual, too.
  'Query.sessions': ['', 'filter: { isActive: false }', 'filter: { deleted: true }'],
  'Query.template': [`id: "${session}"`],
  'Query.usage': [
    'from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z", interval: MONTH, groupBy: SESSION',
  ],
})

/** From the root; `nodes` of a list count as the list. */
const fieldsAtMost = 2

/**
 * Queries for all that the schema leads to, made from it: each goes down by objects, passing none twice, and asks for all
 * single values at its end. Edges have what nodes have.
 */
export function waysFromQuery(ids: Ids, { word = 'hello', leftOut = [] }: Options = {}): string[] {
  const query = schema.getQueryType()
  if (!query) throw new Error('The schema has no queries.')
  return [...waysOf(query, fieldsAtMost, [], { given: argumentsWith(ids, word), leftOut })]
}

function* waysOf(
  type: GraphQLObjectType,
  length: number,
  passed: readonly string[],
  plan: Plan,
): Generator<string> {
  for (const field of Object.values(type.getFields())) {
    const target = getNamedType(field.type)
    if (!isObjectType(target) || passed.includes(target.name) || field.name === 'edges') continue
    const place = `${type.name}.${field.name}`
    const given = plan.given[place] ?? ['']
    if (needsArguments(field) && given[0] === '') throw new Error(`No arguments are given for ${place}.`)
    for (const each of given) {
      const step = each ? `${field.name}(${each})` : field.name
      yield `${step} { ${['__typename', ...leavesOf(target, plan)].join(' ')} }`
      const left = field.name === 'nodes' ? length : length - 1
      if (left > 0 || target.name.endsWith('Connection'))
        for (const rest of waysOf(target, left, [...passed, target.name], plan)) yield `${step} { ${rest} }`
    }
  }
}

const needsArguments = ({ args }: GraphQLField<unknown, unknown>) =>
  args.some(({ type, defaultValue }) => type.toString().endsWith('!') && defaultValue === undefined)

function leavesOf(type: GraphQLObjectType, { given, leftOut }: Plan): string[] {
  return Object.values(type.getFields())
    .filter((field) => isLeafType(getNamedType(field.type)))
    .map((field) => ({ place: `${type.name}.${field.name}`, field }))
    .filter(({ place }) => !leftOut.includes(place))
    .map(({ place, field }) => {
      const [first] = given[place] ?? []
      if (!first && needsArguments(field)) throw new Error(`No arguments are given for ${place}.`)
      return first ? `${field.name}(${first})` : field.name
    })
}
