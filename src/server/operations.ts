import {
  createSourceEventStream,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
} from 'graphql'
import { isAsyncIterable } from 'graphql-yoga'
import { requireAffordable } from '../graphql/complexity.ts'
import type { Context } from '../graphql/context.ts'
import { isSharedStream, type Shared, type SharedRendering, type SharedStream } from '../graphql/shared.ts'
import { digestOf } from '../lib/digest.ts'
import type { Meter } from '../lib/meter.ts'
import { createTurns } from '../lib/turns.ts'
import type { OperationRequest } from './operation-request.ts'
import { outcomeOf } from './outcomes.ts'
import { createPlans, type Plan, toJson } from './plans.ts'
import { isWord, type WordTemplate, wordTemplateOf } from './word-template.ts'
import type { OperationOrigin, Present, Yoga } from './yoga.ts'

/** What became of an operation. `json` is a result as every door sends it. */
export type Begun =
  /** It was not run. */
  | { type: 'refused'; errors: readonly GraphQLError[] }
  | { type: 'result'; json: string; status?: number }
  | { type: 'values'; values: AsyncIterator<unknown>; rendering: SharedRendering }
  | { type: 'shared'; stream: SharedStream; sharing: Shared }

/** Operations for doors that stay open. Every fault is one of this operation; nothing here rejects. */
export type Operations = {
  begin(request: OperationRequest, origin: OperationOrigin): Promise<Begun>
  isSubscription(request: OperationRequest, origin: OperationOrigin): boolean
}

type Options = {
  schema: GraphQLSchema
  yoga: Yoga
  present: Present
  meter: Meter
  /**
   * Subscriptions that are being opened at a time. Each reads the database; a crowd that comes back at once waits, tenants
   * in turn, for `openingWaitMs` at most.
   */
  openingAtOnce: number
  openingWaitMs: number
}

/** Parses, validates and makes the context as for HTTP. */
export function createOperations({ schema, yoga, present, meter, ...options }: Options): Operations {
  const plans = createPlans(schema)
  const openings = createTurns({ atOnce: options.openingAtOnce, waitMs: options.openingWaitMs })

  async function open(args: ExecutionArgs, { viewer }: Context) {
    const key = viewer?.tenantId ?? ''
    await openings.take(key)
    try {
      return await createSourceEventStream(args)
    } finally {
      openings.done(key)
    }
  }

  async function run(request: OperationRequest, origin: OperationOrigin): Promise<Begun> {
    const enveloped = yoga.getEnveloped({ origin, params: request } as never)
    const document = enveloped.parse(request.query)
    const errors = enveloped.validate(schema, document)
    if (errors.length > 0) return { type: 'refused', errors }
    const operation = getOperationAST(document, request.operationName)
    if (!operation) throw new GraphQLError('Name one of the operations of the document.')
    const contextValue = (await enveloped.contextFactory()) as Context
    const args = {
      schema,
      document,
      contextValue,
      rootValue: {},
      variableValues: request.variables ?? {},
      operationName: request.operationName,
    }
    const presentOne = (error: unknown) => present(error, origin.requestId)
    const jsonOf = (result: ExecutionResult) => toJson(result, presentOne)
    if (operation.operation !== 'subscription') {
      const result = await enveloped.execute(args)
      // Errors were presented on the way.
      return { type: 'result', json: toJson(result, (error) => error as GraphQLError) }
    }
    requireAffordable(schema, document, operation, { variables: args.variableValues, context: contextValue })
    const beganMs = performance.now()
    const stream = await open(args, contextValue)
    const failures = isAsyncIterable(stream) ? undefined : (stream.errors ?? []).map(presentOne)
    meter.operation('subscription', outcomeOf(failures), (performance.now() - beganMs) / 1_000)
    if (!isAsyncIterable(stream)) {
      const [first] = failures ?? []
      const { status } = (first?.extensions.http ?? {}) as { status?: number }
      // Without a path it was the request that did not fit.
      return { type: 'result', json: jsonOf(stream), status: status ?? (first?.path ? 200 : 400) }
    }
    const plan = plans.of(document, operation)
    const rendering = new EventRendering(plan, contextValue, args.variableValues, present)
    if (isSharedStream(stream)) {
      const key = keyOf(stream, plan, request, contextValue)
      return { type: 'shared', stream, sharing: { key, rendering } }
    }
    return { type: 'values', values: stream[Symbol.asyncIterator](), rendering }
  }

  return {
    async begin(request, origin) {
      const begun = await run(request, origin).catch(
        (error): Begun => ({ type: 'refused', errors: [present(error, origin.requestId)] }),
      )
      if (begun.type === 'refused') meter.operation('unknown', outcomeOf(begun.errors), 0)
      return begun
    },
    isSubscription({ query, operationName }, origin) {
      try {
        const { parse } = yoga.getEnveloped({ origin, params: { query } } as never)
        return getOperationAST(parse(query), operationName)?.operation === 'subscription'
      } catch {
        return false
      }
    },
  }
}

/**
 * Puts events into JSON for as long as they are followed. It keeps as little as can be, and each event gets a context of
 * its own: what fields remember in one would be kept, and be old.
 */
class EventRendering implements SharedRendering {
  private readonly plan: Plan
  private readonly requestId: string
  private readonly viewer: Context['viewer']
  private readonly services: Context['services']
  private readonly variables: Record<string, unknown>
  private readonly present: Present
  /** Of the reply that is being written. */
  private words: { messageId: string; template: WordTemplate | null } | null = null

  constructor(
    plan: Plan,
    { requestId, viewer, services }: Context,
    variables: Record<string, unknown>,
    present: Present,
  ) {
    this.plan = plan
    this.requestId = requestId
    this.viewer = viewer
    this.services = services
    this.variables = variables
    this.present = present
  }

  render(event: unknown): string | Promise<string> {
    if (isWord(event) && this.plan.isSameForAll) {
      if (this.words?.messageId !== event.messageId) this.words = this.wordsOf(event.messageId)
      if (this.words.template) return this.words.template.jsonOf(event)
    } else this.words = null
    const result = this.execute(event)
    return result instanceof Promise ? result.then((later) => this.toJson(later)) : this.toJson(result)
  }

  private execute(event: unknown): ExecutionResult | Promise<ExecutionResult> {
    const { requestId, viewer, services } = this
    return this.plan.run(event, { requestId, viewer, services }, this.variables)
  }

  private wordsOf(messageId: string) {
    const template = wordTemplateOf(messageId, (word) => {
      const result = this.execute(word)
      return result instanceof Promise || result.errors ? null : this.toJson(result)
    })
    return { messageId, template }
  }

  private toJson(result: ExecutionResult): string {
    return toJson(result, (error) => this.present(error, this.requestId))
  }
}

/** Names all that the JSON of an event depends on. */
function keyOf({ topic }: SharedStream, plan: Plan, request: OperationRequest, { viewer }: Context): string {
  const variables = { ...request.variables }
  if (plan.cursorVariable !== null) delete variables[plan.cursorVariable]
  return digestOf([
    topic,
    request.query,
    request.operationName ?? '',
    JSON.stringify(variables),
    plan.isSameForAll ? 'everybody' : `${viewer?.userId}:${viewer?.role}`,
  ])
}
