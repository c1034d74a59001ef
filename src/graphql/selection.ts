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

/** Look-ahead: the names of the fields that are selected at the end of any of these paths below the field. */
export function fieldNamesAt(
  info: GraphQLResolveInfo,
  paths: readonly (readonly string[])[],
): ReadonlySet<string> {
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
