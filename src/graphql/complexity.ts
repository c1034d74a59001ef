import { complexityFromQuery } from '@pothos/plugin-complexity'
import {
  type DocumentNode,
  GraphQLError,
  GraphQLInt,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isListType,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  type VariableNode,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { ValidationError } from '../lib/errors.ts'
import type { Context } from './context.ts'

/** A field costs one, times the page size of the lists around it. */
export const tooComplex = (complexity: number, costMax: number): ValidationError =>
  new ValidationError([
    {
      path: '',
      message: `The operation costs ${complexity}; at most ${costMax} are allowed (OPERATION_MAX_COST). Ask for fewer fields or smaller pages.`,
    },
  ])

/** What an operation is to be run with. */
type Given = { variables: Record<string, unknown>; context: Pick<Context, 'services'> }

const costMaxOf = ({ context }: Given): number => context.services.limits.operationCostMax

/**
 * Throws a `ValidationError` where an operation costs more than it may: for a subscription, whose events are resolved
 * without its root field. Variables that do not fit are left to whoever runs it.
 */
export function requireAffordable(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  given: Given,
): void {
  try {
    const complexity = complexityOf(schema, document, operation, given)
    const costMax = costMaxOf(given)
    if (complexity > costMax) throw tooComplex(complexity, costMax)
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
  }
}

function complexityOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  { variables, context }: Given,
): number {
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)
  const alone = { ...document, definitions: [operation, ...fragments] }
  return complexityFromQuery(alone, { schema, variables, ctx: context }).complexity
}

/** Different sizes of page that one operation is remembered with. */
const sizesAtMost = 100

/**
 * Tells whether an operation that is run over and over is known to cost no more than it may. Adding its fields up takes
 * longer than reading a page of sessions, and gives the same each time for the same sizes of page. False where it
 * costs too much or cannot be told: then the fields themselves find out, and say so.
 */
export function createAffordable(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): (given: Given) => boolean {
  const names = sizeVariables(schema, document)
  const known = new Set<string>()
  return (given) => {
    const sizes = names.map((name) => sizeOf(given.variables[name])).join()
    if (known.has(sizes)) return true
    try {
      if (complexityOf(schema, document, operation, given) > costMaxOf(given)) return false
    } catch {
      return false
    }
    if (known.size < sizesAtMost) known.add(sizes)
    return true
  }
}

const sizeOf = (value: unknown) =>
  Array.isArray(value) ? `list ${value.length}` : `${typeof value} ${value}`

/** The variables in the numbers and lists that fields with a cost of their own are given. */
function sizeVariables(schema: GraphQLSchema, document: DocumentNode): string[] {
  const names = new Set<string>()
  const types = new TypeInfo(schema)
  const visitor = {
    Variable({ name }: VariableNode) {
      const isSized = typeof types.getFieldDef()?.extensions.complexity === 'function'
      const type = getNullableType(types.getInputType())
      if (isSized && types.getArgument() && (isListType(type) || getNamedType(type) === GraphQLInt))
        names.add(name.value)
    },
  }
  visit(document, visitWithTypeInfo(types, visitor))
  return [...names]
}
