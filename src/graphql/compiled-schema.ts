import {
  extendSchema,
  type GraphQLField,
  GraphQLNonNull,
  GraphQLScalarType,
  type GraphQLSchema,
  isInterfaceType,
  isObjectType,
  parse,
} from 'graphql'
import { encodeId, type IdType } from '../lib/ids.ts'
import type { GlobalIdField } from './ids.ts'

type Field = GraphQLField<unknown, unknown>

/**
 * The schema for the compiler of operations: it gives the same results as the one that clients see. A global id has no
 * resolver here, but a type of its own that writes it, which the compiler puts in the place of a call, a promise and a
 * path for each row. The rows of these types hold their UUID as `id`; others that show one say where it is (`globalIdIn`). Not for introspection, which would show those types.
 */
export function schemaForCompiler(schema: GraphQLSchema): GraphQLSchema {
  // An extension, if only by a scalar, gives a copy of each type.
  const copy = extendSchema(schema, parse('scalar CompiledId'), { assumeValid: true })
  const node = copy.getType('Node')
  if (isInterfaceType(node))
    for (const type of copy.getPossibleTypes(node)) writeId(type.getFields().id, type.name as IdType)
  for (const type of Object.values(copy.getTypeMap()))
    if (isObjectType(type)) for (const field of Object.values(type.getFields())) writeGlobalId(field)
  return copy
}

/** The compiler reads the property that has the field's name. */
function writeGlobalId(field: Field): void {
  const { globalId } = field.extensions as { globalId?: GlobalIdField }
  if (globalId?.property === field.name) writeId(field, globalId.type)
}

function writeId(field: Field | undefined, type: IdType): void {
  if (!field) return
  field.type = idTypes.get(type) ?? idTypeOf(type)
  delete field.resolve
}

const idTypes = new Map<IdType, GraphQLNonNull<GraphQLScalarType>>()

function idTypeOf(type: IdType) {
  const serialize = (uuid: unknown) => encodeId(type, uuid as string)
  const made = new GraphQLNonNull(new GraphQLScalarType({ name: `${type}Id`, serialize }))
  idTypes.set(type, made)
  return made
}
