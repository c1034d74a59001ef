import {
  type FieldNode,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  getArgumentValues,
  getNamedType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql'

/** Look-ahead: the arguments of each selection of a field directly under the field that is being resolved. */
export function selectionsOf(info: GraphQLResolveInfo, fieldName: string): Record<string, unknown>[] {
  const type = getNamedType(info.returnType)
  const field = isObjectType(type) ? (type as GraphQLObjectType).getFields()[fieldName] : undefined
  if (!field) return []
  return info.fieldNodes
    .flatMap(({ selectionSet }) => fieldsOf(info, selectionSet))
    .filter((node) => node.name.value === fieldName)
    .map((node) => getArgumentValues(field, node, info.variableValues))
}

/** Names of fields, from one down to another. */
export type Path = string[]

/** By the nodes of the field, which are those of one parsed document, and by the list of paths. */
const known = new WeakMap<readonly FieldNode[], Map<readonly Path[], ReadonlySet<string>>>()

/**
 * Look-ahead: the names of the fields that are selected at the end of any of these paths below the field. It is remembered
 * by the list of paths, which is to be a constant.
 */
export function fieldNamesAt(info: GraphQLResolveInfo, paths: readonly Path[]): ReadonlySet<string> {
  const ofField = known.get(info.fieldNodes) ?? new Map<readonly Path[], ReadonlySet<string>>()
  known.set(info.fieldNodes, ofField)
  const names = ofField.get(paths) ?? findFieldNames(info, paths)
  ofField.set(paths, names)
  return names
}

function findFieldNames(info: GraphQLResolveInfo, paths: readonly Path[]): ReadonlySet<string> {
  const names = paths.flatMap((path) => {
    let nodes: readonly FieldNode[] = info.fieldNodes
    for (const step of path)
      nodes = nodes
        .flatMap(({ selectionSet }) => fieldsOf(info, selectionSet))
        .filter(({ name }) => name.value === step)
    return nodes.flatMap(({ selectionSet }) => fieldsOf(info, selectionSet)).map(({ name }) => name.value)
  })
  return new Set(names)
}

function fieldsOf(info: GraphQLResolveInfo, selectionSet: SelectionSetNode | undefined): FieldNode[] {
  return (selectionSet?.selections ?? []).flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection]
    const fragment =
      selection.kind === Kind.FRAGMENT_SPREAD ? info.fragments[selection.name.value] : selection
    return fieldsOf(info, fragment?.selectionSet)
  })
}
