import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isNonNullType,
  isObjectType,
} from 'graphql'
import type { Random } from './random.ts'
import { valueFor } from './values.ts'

export type Operation = {
  type: 'query' | 'mutation' | 'subscription'
  query: string
  variables: Record<string, unknown>
}

/** Makes operations of the schema: most of them valid, some nearly. */
export function createOperations(schema: GraphQLSchema, random: Random, ids: readonly string[]) {
  function operation(): Operation {
    const type = random.pick(['query', 'query', 'query', 'mutation', 'mutation', 'subscription'] as const)
    const root = {
      query: schema.getQueryType(),
      mutation: schema.getMutationType(),
      subscription: schema.getSubscriptionType(),
    }[type]
    const variables: Record<string, unknown> = {}
    const declared: string[] = []

    function argumentsOf(field: GraphQLField<unknown, unknown>): string {
      const given = field.args
        .filter((argument) => (isNonNullType(argument.type) ? random.chance(0.995) : random.chance(0.4)))
        .map((argument) => {
          const name = `v${declared.length}`
          declared.push(`$${name}: ${argument.type}`)
          variables[name] = valueFor(argument.type, random, {
            ids,
            name: argument.name === 'id' ? field.name : argument.name,
          })
          return `${argument.name}: $${name}`
        })
      if (random.chance(0.002)) given.push('unheard: 1')
      return given.length > 0 ? `(${given.join(', ')})` : ''
    }

    function selectionOf(type: GraphQLOutputType, depth: number): string {
      const named = getNamedType(type)
      if (!isCompositeType(named)) return ''
      if (isAbstractType(named)) {
        const types = schema.getPossibleTypes(named).filter(() => random.chance(0.6))
        const parts = types.map(
          (possible) => `... on ${possible.name} ${fieldsOf(possible, depth, differing(types))}`,
        )
        return `{ __typename ${parts.join(' ')} }`
      }
      return isObjectType(named) ? fieldsOf(named, depth) : '{ __typename }'
    }

    function fieldsOf(
      type: GraphQLObjectType,
      depth: number,
      leftOut: ReadonlySet<string> = new Set(),
    ): string {
      const chosen = Object.values(type.getFields()).filter((field) => {
        if (leftOut.has(field.name) && !random.chance(0.02)) return false
        const isLeaf = !isCompositeType(getNamedType(field.type))
        return isLeaf ? random.chance(0.5) : depth > 0 && random.chance(0.3)
      })
      return `{ __typename ${chosen.map((field) => fieldText(field, depth - 1)).join(' ')} }`
    }

    function fieldText(field: GraphQLField<unknown, unknown>, depth: number): string {
      // Fields of one name with other arguments cannot be merged; with an alias of their own they can.
      const alias = field.args.length > 0 || random.chance(0.02) ? `a${random.below(1_000_000)}: ` : ''
      const name = random.chance(0.0007) ? `${field.name}x` : field.name
      const directive = random.chance(0.02) ? ` @include(if: ${random.chance(0.5)})` : ''
      return `${alias}${name}${argumentsOf(field)}${directive} ${selectionOf(field.type, depth)}`
    }

    const fields = Object.values(root?.getFields() ?? {})
    const count = type === 'subscription' ? 1 : 1 + random.below(2)
    const body = Array.from({ length: count }, () =>
      fieldText(random.pick(fields), 1 + random.below(4)),
    ).join(' ')
    const head = declared.length > 0 ? `(${declared.join(', ')})` : ''
    return { type, query: spoilt(`${type} ${head} { ${body} }`, random), variables }
  }
  return operation
}

/** Names of fields that cannot stand beside each other in one selection, since their types differ. */
function differing(types: readonly GraphQLObjectType[]): ReadonlySet<string> {
  const seen = new Map<string, string>()
  const names = new Set<string>()
  for (const { name, type } of types.flatMap((each) => Object.values(each.getFields()))) {
    if ((seen.get(name) ?? `${type}`) !== `${type}`) names.add(name)
    seen.set(name, `${type}`)
  }
  return names
}

/** Once in a while a character is lost, doubled, or another one. */
export function spoilt(text: string, random: Random): string {
  if (!random.chance(0.03)) return text
  const at = random.below(text.length)
  const put = random.pick(['', '{', '}', '"', '\\', '...', '$', '\0', '\u2028', text[at] ?? ''])
  return text.slice(0, at) + put + text.slice(at + 1)
}
