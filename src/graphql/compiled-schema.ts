import {
  extendSchema,
  GraphQLNonNull,
  type GraphQLObjectType,
  GraphQLScalarType,
  type GraphQLSchema,
  isInterfaceType,
  parse,
} from 'graphql'
import { encodeId, type IdType } from '../lib/ids.ts'

/**
 * The schema for the compiler of operations: it gives the same results as the one that clients see. A global id has no
 * resolver here, but a type of its own that writes it, which the compiler puts in the place of a call, a promise and a
 * path for each row. The rows of these types hold their UUID as `id`. Not for introspection, which would show those types.
 */
export function schemaForCompiler(schema: GraphQLSchema): GraphQLSchema {
  // An extension, if only by a scalar, gives a copy of each type.
  const copy = extendSchema(schema, parse('scalar CompiledId'), { assumeValid: true })
  const node = copy.getType('Node')
  if (isInterfaceType(node)) for (const type of copy.getPossibleTypes(node)) writeIdsOf(type)
  return copy
}

function writeIdsOf(type: GraphQLObjectType): void {
  const { id } = type.getFields()
  if (!id) return
  const serialize = (uuid: unknown) => encodeId(type.name as IdType, uuid as string)
  id.type = new GraphQLNonNull(new GraphQLScalarType({ name: `${type.name}Id`, serialize }))
  delete id.resolve
}
