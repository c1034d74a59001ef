import type { ServerResponse } from 'node:http'
import { type ExecutionResult, type GraphQLError, type GraphQLSchema, getOperationAST } from 'graphql'
import { type CompiledQuery, compileQuery, isCompiledQuery } from 'graphql-jit'
import { LRUCache } from 'lru-cache'
import { schemaForCompiler } from '../graphql/compiled-schema.ts'
import { createAffordable } from '../graphql/complexity.ts'
import type { Context } from '../graphql/context.ts'
import type { Meter } from '../lib/meter.ts'
import type { OperationRequest } from './operation-request.ts'
import { outcomeOf } from './outcomes.ts'
import { asksForSchema, type OperationOrigin, type Yoga } from './yoga.ts'

/**
 * The short way for the ordinary request: one query or mutation as JSON over POST. A document is parsed and validated
 * once, by the same plugins as everywhere, compiled once, and then run with nothing around it. Whatever is out of the
 * ordinary (a fault in the request, a subscription, another media type) is left to Yoga, which sees the request whole.
 *
 * Measured against the same schema on Yoga alone: `npm run bench`.
 */
export type CompiledOperations = {
  /** Answers the request; false where it is Yoga's, with nothing sent and nothing run. */
  handle(request: CompiledRequest, response: ServerResponse, origin: OperationOrigin): Promise<boolean>
}

/** What the short way looks at of a request. */
export type CompiledRequest = { accept: string | undefined; operation: OperationRequest }

type Options = {
  schema: GraphQLSchema
  yoga: Yoga
  contextOf: (origin: OperationOrigin) => Promise<Context>
  present: (error: unknown, requestId: string) => GraphQLError
  meter: Meter
}

type Compiled = Pick<CompiledQuery, 'query'> & {
  kind: 'query' | 'mutation'
  isAffordable: ReturnType<typeof createAffordable>
}

/** Documents kept compiled: the distinct ones of a few applications, bounded in number and characters. */
const kept = { max: 500, maxSize: 2_000_000 }

export function createCompiledOperations(options: Options): CompiledOperations {
  const { schema, yoga, contextOf, present, meter } = options
  const compilerSchema = schemaForCompiler(schema)
  const compiled = new LRUCache<string, Compiled>({
    ...kept,
    sizeCalculation: (_query, key) => key.length,
  })

  function compile(asked: OperationRequest, origin: OperationOrigin, context: Context): Compiled | null {
    const { query, operationName } = asked
    if (asksForSchema(query)) return null
    const { parse, validate } = yoga.getEnveloped({ origin, params: { query } } as never)
    try {
      const document = parse(query)
      const operation = getOperationAST(document, operationName)
      if (!operation || operation.operation === 'subscription' || validate(schema, document).length > 0)
        return null
      const isAffordable = createAffordable(schema, document, operation)
      // A fragment is written out wherever it is spread, which a short document can have come to very much.
      if (!isAffordable({ variables: asked.variables ?? {}, context })) return null
      const result = compileQuery<Context>(compilerSchema, document, operationName ?? undefined)
      return isCompiledQuery(result) ? { query: result.query, kind: operation.operation, isAffordable } : null
    } catch {
      return null
    }
  }

  function keep(key: string, made: Compiled | null): Compiled | null {
    if (made) compiled.set(key, made)
    return made
  }

  return {
    async handle({ accept, operation }, response, origin) {
      const type = typeFor(accept)
      if (!type || operation.extensions !== undefined) return false
      const context = await contextOf(origin).catch(() => null)
      // Who is nobody gets next to nothing, and what that is Yoga knows.
      if (!context?.viewer) return false
      const key = `${operation.operationName ?? ''}\n${operation.query}`
      const known = compiled.get(key) ?? keep(key, compile(operation, origin, context))
      if (!known) return false
      const variables = operation.variables ?? {}
      const isAffordable = known.isAffordable({ variables, context })
      const beganMs = performance.now()
      const result = (await known.query({}, { ...context, isAffordable }, variables)) as ExecutionResult
      // Variables that do not fit are found before anything runs.
      if (result.errors && result.data === undefined) return false
      const errors = result.errors?.map((error) => present(error, origin.requestId))
      meter.operation(known.kind, outcomeOf(errors), (performance.now() - beganMs) / 1_000)
      answer(response, type, result.data, errors, origin)
      return true
    },
  }
}

function typeFor(accept: string | undefined): string | null {
  if (accept?.includes('application/graphql-response+json'))
    return 'application/graphql-response+json; charset=utf-8'
  if (accept === undefined || accept.includes('*/*') || accept.includes('application/json'))
    return accept?.includes('text/event-stream') || accept?.includes('multipart')
      ? null
      : 'application/json; charset=utf-8'
  return null
}

function answer(
  response: ServerResponse,
  type: string,
  data: ExecutionResult['data'],
  errors: readonly GraphQLError[] | undefined,
  { hold }: OperationOrigin,
): void {
  let status = 200
  const shown = errors?.map((error) => {
    const { extensions, ...presented } = error.toJSON()
    const { http, ...rest } = extensions ?? {}
    status = (http as { status?: number } | undefined)?.status ?? status
    return { ...presented, extensions: rest }
  })
  const text = JSON.stringify(shown ? { errors: shown, data } : { data })
  const bytes = Buffer.byteLength(text)
  hold?.(bytes)
  response.writeHead(status, { 'content-type': type, 'content-length': bytes })
  response.end(text)
}
