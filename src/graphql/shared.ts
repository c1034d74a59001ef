import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  GraphQLObjectType,
  GraphQLSchema,
  getNamedType,
  isAbstractType,
  isCompositeType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  typeFromAST,
} from 'graphql'
import type { Shareable } from '../realtime/fan-out.ts'
import type { Membership, Reader, Rendering, Sharing } from '../realtime/fan-out-source.ts'

/**
 * A subscription whose `subscribe` gives a `SharedStream` is served to many readers by one execution of each event. Its
 * argument `after` says where the reader stands; every other one says what is followed. `subscribe` has decided the right
 * of the one reader it was called for.
 */
export type SharedStream = Shareable<unknown>
export type SharedReader = Reader
export type SharedMembership = Membership
export type Shared = Sharing<unknown>
export type SharedRendering = Rendering<unknown>

export const cursorArgument = 'after'

export const isSharedStream = (stream: object): stream is SharedStream =>
  'join' in stream && 'topic' in stream

/** For the `extensions` of a root field of Subscription: it gives what `subscribe` yields as it is. */
export const eventAsItIs = { eventAsItIs: true } as const

/**
 * The schema by which the events of subscriptions are resolved: a root field that gives them as they are does nothing
 * else, since the right and the arguments were looked at by `subscribe`.
 */
export function schemaOfEvents(schema: GraphQLSchema): GraphQLSchema {
  const subscription = schema.getSubscriptionType()
  if (!subscription) return schema
  const { fields, ...config } = subscription.toConfig()
  const plain = Object.entries(fields).map(([name, field]) => [
    name,
    field.extensions?.eventAsItIs ? { ...field, resolve: (event: unknown) => event } : field,
  ])
  const { types, ...rest } = schema.toConfig()
  return new GraphQLSchema({
    ...rest,
    types: types.filter((type) => type !== subscription),
    subscription: new GraphQLObjectType({ ...config, fields: Object.fromEntries(plain) }),
  })
}

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
