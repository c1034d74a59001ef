import { complexityFromQuery } from '@pothos/plugin-complexity'
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
} from 'graphql'
import { ValidationError } from '../lib/errors.ts'

/** The most that one operation may cost; a field counts one, times the page size of the lists around it. */
export const maxComplexity = 5_000

export const tooComplex = (complexity: number): ValidationError =>
  new ValidationError([
    {
      path: '',
      message: `The operation costs ${complexity}; at most ${maxComplexity} are allowed. Ask for fewer fields or smaller pages.`,
    },
  ])

/**
 * Throws a `ValidationError` where an operation costs more than it may: for a subscription, whose events are resolved
 * without its root field. Variables that do not fit are left to whoever runs it.
 */
export function requireAffordable(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  { variables, context }: { variables: Record<string, unknown>; context: object },
): void {
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)
  const alone = { ...document, definitions: [operation, ...fragments] }
  try {
    const { complexity } = complexityFromQuery(alone, { schema, variables, ctx: context })
    if (complexity > maxComplexity) throw tooComplex(complexity)
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
  }
}
