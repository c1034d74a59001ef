import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  type GraphQLError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  visit,
} from 'graphql'
import { compileQuery, isCompiledQuery } from 'graphql-jit'
import { schemaForCompiler } from '../graphql/compiled-schema.ts'
import type { Context } from '../graphql/context.ts'
import { cursorArgument, isSameForAll, schemaOfEvents } from '../graphql/shared.ts'

type Variables = Readonly<Record<string, unknown>>

/** How the events of a subscription become results; made once for a document. */
export type Plan = {
  /** One event, being the root value, as a result. */
  run(event: unknown, context: Context, variables: Variables): ExecutionResult | Promise<ExecutionResult>
  /** Whether the result is the same for all who may have the event. */
  isSameForAll: boolean
  /** The variable that only says where the reader stands, if there is one. */
  cursorVariable: string | null
}

export type Plans = {
  of(document: DocumentNode, operation: OperationDefinitionNode): Plan
}

/** Kept as long as the document is, which the parser keeps while it is asked for. */
export function createPlans(schema: GraphQLSchema): Plans {
  const eventSchema = schemaOfEvents(schemaForCompiler(schema))
  const plans = new WeakMap<OperationDefinitionNode, Plan>()
  return {
    of(document, operation) {
      const known = plans.get(operation)
      if (known) return known
      const plan = {
        run: runnerOf(eventSchema, document, operation),
        isSameForAll: isSameForAll(schema, document, operation),
        cursorVariable: cursorVariableOf(document, operation),
      }
      plans.set(operation, plan)
      return plan
    },
  }
}

function runnerOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): Plan['run'] {
  const operationName = operation.name?.value
  const compiled = compileQuery<Context>(schema, document, operationName)
  if (isCompiledQuery(compiled))
    return (event, context, variables) => compiled.query(event, context, variables) as ExecutionResult
  return (rootValue, contextValue, variableValues) =>
    execute({ schema, document, rootValue, contextValue, variableValues, operationName })
}

/** One that is used anywhere else, too, says more than where the reader stands. */
function cursorVariableOf(document: DocumentNode, { selectionSet }: OperationDefinitionNode): string | null {
  const [root] = selectionSet.selections
  const given =
    root?.kind === Kind.FIELD ? root.arguments?.find(({ name }) => name.value === cursorArgument) : null
  if (given?.value.kind !== Kind.VARIABLE) return null
  const name = given.value.name.value
  let uses = 0
  visit(document, {
    VariableDefinition: () => false,
    Variable(node) {
      if (node.name.value === name) uses += 1
    },
  })
  return uses === 1 ? name : null
}

/** A result as it goes to a client: errors without what is meant for the status line alone. */
export function toJson({ data, errors }: ExecutionResult, present: (error: unknown) => GraphQLError): string {
  if (!errors) return JSON.stringify({ data })
  const shown = errors.map((error) => withoutStatus(present(error)))
  return JSON.stringify(data === undefined ? { errors: shown } : { errors: shown, data })
}

export function withoutStatus(error: GraphQLError) {
  const { extensions: { http: _http, ...extensions } = {}, ...rest } = error.toJSON()
  return { ...rest, extensions }
}
