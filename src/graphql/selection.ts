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

function fieldsOf(info: GraphQLResolveInfo, selectionSet: SelectionSetNode | undefined): FieldNode[] {
  return (selectionSet?.selections ?? []).flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection]
    const fragment =
      selection.kind === Kind.FRAGMENT_SPREAD ? info.fragments[selection.name.value] : selection
    return fieldsOf(info, fragment?.selectionSet)
  })
}
