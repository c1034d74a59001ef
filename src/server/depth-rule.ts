import { GraphQLError, Kind, type SelectionSetNode, type ValidationRule } from 'graphql'

/**
 * Refuses operations whose fields are nested deeper than this. A fragment counts for what it holds, wherever and however
 * often it is spread, and is looked at once: the work grows with the length of the document alone.
 */
export const depthLimit =
  (maxDepth: number): ValidationRule =>
  (context) => {
    // A fragment that spreads itself is the fault of another rule; here it adds nothing.
    const depths = new Map<string, number>()

    function depthOfFragment(name: string): number {
      const known = depths.get(name)
      if (known !== undefined) return known
      depths.set(name, 0)
      const depth = depthOf(context.getFragment(name)?.selectionSet)
      depths.set(name, depth)
      return depth
    }

    function depthOf(selectionSet: SelectionSetNode | undefined): number {
      let depth = 0
      for (const selection of selectionSet?.selections ?? []) {
        if (selection.kind === Kind.FRAGMENT_SPREAD)
          depth = Math.max(depth, depthOfFragment(selection.name.value))
        else if (selection.kind === Kind.INLINE_FRAGMENT)
          depth = Math.max(depth, depthOf(selection.selectionSet))
        // GraphQL itself bounds how deep the schema can be asked for.
        else if (selection.name.value !== '__schema')
          depth = Math.max(depth, 1 + depthOf(selection.selectionSet))
      }
      return depth
    }

    return {
      OperationDefinition(operation) {
        const depth = depthOf(operation.selectionSet)
        if (depth <= maxDepth) return
        const message = `The operation has a depth of ${depth} fields; at most ${maxDepth} are allowed.`
        context.reportError(new GraphQLError(message, { nodes: operation }))
      },
    }
  }
