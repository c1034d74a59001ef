import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  typeFromAST,
} from 'graphql'
import type { Membership, Shareable } from '../realtime/fan-out.ts'
import type { Reader, Sharing } from '../realtime/fan-out-source.ts'

/**
 * A subscription whose `subscribe` gives a `SharedStream` is served to many readers by one execution of each event. Its
 * argument `after` says where the reader stands; every other one says what is followed. Its root field gives the event
 * as it is. `subscribe` has decided the right of the one reader it was called for.
 */
export type SharedStream = Shareable<unknown>
export type SharedReader = Reader
export type SharedMembership = Membership
export type SharedRendering = Sharing<unknown>

export const cursorArgument = 'after'

export const isSharedStream = (stream: object): stream is SharedStream =>
  'join' in stream && 'topic' in stream

/** For the `extensions` of a field: it reads nothing of who asks, only what its parent holds. */
export const sameForAll = { sameForAll: true } as const

/**
 * Whether an operation gives the same to every viewer that may see its root value. A field counts as such where it shows a
 * plain property of its parent without a rule of access, is a global id, or says so (`sameForAll`); all others may
 * depend on the viewer.
 */
export function isSameForAll(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): boolean {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)

  const isFieldSame = (type: GraphQLObjectType, node: FieldNode): boolean => {
    if (node.name.value === '__typename') return true
    const field = type.getFields()[node.name.value]
    if (!field || !readsParentOnly(type, field)) return false
    const next = getNamedType(field.type)
    return !node.selectionSet || (isCompositeType(next) && isSetSame(next, node.selectionSet))
  }

  const isSetSame = (type: GraphQLCompositeType, { selections }: SelectionSetNode): boolean =>
    selections.every((selection) => {
      if (selection.kind === Kind.FIELD)
        return objectTypesOf(schema, type).every((each) => isFieldSame(each, selection))
      const fragment =
        selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection
      const condition = fragment?.typeCondition
      const narrowed = condition ? typeFromAST(schema, condition) : type
      return fragment !== undefined && isCompositeType(narrowed) && isSetSame(narrowed, fragment.selectionSet)
    })

  const root = schema.getRootType(operation.operation)
  return (
    root != null &&
    operation.selectionSet.selections.every((selection) => {
      if (selection.kind !== Kind.FIELD) return false
      const field = root.getFields()[selection.name.value]
      const type = field && getNamedType(field.type)
      return (
        isCompositeType(type) &&
        selection.selectionSet !== undefined &&
        isSetSame(type, selection.selectionSet)
      )
    })
  )
}

const objectTypesOf = (schema: GraphQLSchema, type: GraphQLCompositeType): readonly GraphQLObjectType[] =>
  isAbstractType(type) ? schema.getPossibleTypes(type) : [type]

export function readsParentOnly(type: GraphQLObjectType, field: GraphQLField<unknown, unknown>): boolean {
  if (hasAccessRule(type) || type.getInterfaces().some(hasAccessRule) || hasAccessRule(field)) return false
  const { pothosExposedField, sameForAll: isMarked } = field.extensions
  const isGlobalId = field.name === 'id' && type.getInterfaces().some(({ name }) => name === 'Node')
  return isMarked === true || isGlobalId || (pothosExposedField !== undefined && field.args.length === 0)
}

const hasAccessRule = ({ extensions }: { extensions: Readonly<Record<string, unknown>> }): boolean => {
  const options = extensions.pothosOptions as Record<string, unknown> | undefined
  return options?.authScopes !== undefined || options?.runScopesOnType === true
}
