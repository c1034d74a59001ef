import { type ASTVisitor, GraphQLError, Kind, type SelectionSetNode, type ValidationContext } from 'graphql'

/**
 * The field of a subscription cannot be left out by a condition: an operation that follows nothing could only fail. The
 * September 2025 edition of the specification forbids it, too.
 */
export function unconditionalSubscriptions(context: ValidationContext): ASTVisitor {
  function check(selectionSet: SelectionSetNode, seen: Set<string>): void {
    for (const selection of selectionSet.selections) {
      const condition = selection.directives?.find(({ name }) => ['include', 'skip'].includes(name.value))
      if (condition)
        context.reportError(
          new GraphQLError('The field of a subscription must not have @include or @skip.', {
            nodes: condition,
          }),
        )
      if (selection.kind === Kind.INLINE_FRAGMENT) check(selection.selectionSet, seen)
      if (selection.kind !== Kind.FRAGMENT_SPREAD || seen.has(selection.name.value)) continue
      const fragment = context.getFragment(selection.name.value)
      seen.add(selection.name.value)
      if (fragment) check(fragment.selectionSet, seen)
    }
  }
  return {
    OperationDefinition(node) {
      if (node.operation === 'subscription') check(node.selectionSet, new Set())
      return false
    },
    FragmentDefinition: () => false,
  }
}
