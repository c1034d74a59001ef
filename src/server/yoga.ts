import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases'
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives'
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens'
import {
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  NoSchemaIntrospectionCustomRule,
  type ValidationContext,
  type ValidationRule,
} from 'graphql'
import { createYoga, isAsyncIterable, type Plugin, type YogaServerInstance } from 'graphql-yoga'
import type { Config } from '../config.ts'
import { type Context, viewerOf } from '../graphql/context.ts'
import type { Gone } from '../lib/async.ts'
import type { ErrorCode } from '../lib/errors.ts'
import type { Meter } from '../lib/meter.ts'
import type { Log } from '../telemetry/log.ts'
import { depthLimit } from './depth-rule.ts'
import { outcomeOf } from './outcomes.ts'
import { refusalFor } from './refusals.ts'
import { unconditionalSubscriptions } from './subscription-rule.ts'

/** What the transport knows of an operation before it is run. */
export type OperationOrigin = {
  readonly requestId: string
  readonly authorization: string | null
  readonly gone: Gone
  /**
   * Counts an answer of so many bytes until it was taken; throws a `LimitError` or a `RateLimitedError` where that is too
   * much, and then it may not be sent. Absent where a door bounds by itself what waits for its readers.
   */
  readonly hold?: (bytes: number) => void
  /** Made once, by the first who asks for it. */
  context?: Promise<Context>
}

/** The GraphQL engine: requests that end with their answer, and what the doors of subscriptions borrow of it. */
export type Yoga = YogaServerInstance<{ origin: OperationOrigin }, Context>

export const graphqlPath = '/graphql'

/** Said of a subscription whose answer could not be sent. */
export const notAcceptable =
  'Subscriptions are answered as server-sent events, which the accept header must allow (text/event-stream), or over a WebSocket.'

type Options = {
  schema: GraphQLSchema
  corsOrigins: readonly string[]
  introspection: Config['server']['introspection']
  limits: Config['operations']
  contextOf: (origin: OperationOrigin) => Promise<Context>
  present: Present
  meter: Meter
  log: Log
}

/** What a client may learn of a failure. */
export type Present = (error: unknown, requestId: string) => GraphQLError

export function createGraphqlServer({
  schema,
  corsOrigins,
  introspection,
  limits,
  contextOf,
  present,
  meter,
  log,
}: Options): Yoga {
  return createYoga<{ origin: OperationOrigin }, Context>({
    schema,
    graphqlEndpoint: graphqlPath,
    graphiql: false,
    landingPage: false,
    batching: false,
    multipart: false,
    // Every error goes through `presentError`; Yoga's own masking would not know the request.
    maskedErrors: false,
    cors: corsOrigins.length > 0 ? { origin: [...corsOrigins], methods: ['POST', 'GET', 'OPTIONS'] } : false,
    logging: {
      debug() {},
      info() {},
      warn: (...args) => log.warn(args.join(' ')),
      error: (...args) => log.error(args.join(' ')),
    },
    context: async ({ origin, params }) => {
      try {
        const context = await contextOf(origin)
        if (introspection === 'signed_in' && asksForSchema(params.query)) viewerOf(context)
        return context
      } catch (error) {
        throw present(error, origin.requestId)
      }
    },
    plugins: [
      useErrorPresentation(present),
      useMeter(meter),
      useHeldAnswers,
      useNoSubscriptions,
      useLengthLimit(limits.maxLength),
      maxTokensPlugin({ n: limits.maxTokens }),
      useRule(depthLimit(limits.maxDepth)),
      maxAliasesPlugin({ n: limits.maxAliases, allowList: [], ...reported }),
      maxDirectivesPlugin({ n: limits.maxDirectives, ...reported }),
      useRule(unconditionalSubscriptions),
      ...(introspection === 'nobody' ? [useRule(NoSchemaIntrospectionCustomRule)] : []),
    ],
  })
}

/** Runs in the phases that HTTP, SSE and WebSocket share. */
function useErrorPresentation(present: Present): Plugin<Context, { origin: OperationOrigin }> {
  const presentAll = <Result extends ExecutionResult>(result: Result, requestId: string): Result =>
    result.errors ? { ...result, errors: result.errors.map((error) => present(error, requestId)) } : result
  return {
    onParse:
      () =>
      ({ result, replaceParseResult }) => {
        if (result instanceof Error) replaceParseResult(present(result, ''))
      },
    onValidate:
      () =>
      ({ result, setResult }) => {
        // The first few say enough; a document can be made to have thousands.
        setResult(result.slice(0, 5).map((error) => present(error, '')))
      },
    // What Yoga refuses before anything is executed has codes of its own, and loses its status on a second time.
    onResultProcess({ result, setResult, serverContext }) {
      if (isAsyncIterable(result) || Array.isArray(result)) return
      const presented = presentAll(result, serverContext.origin.requestId)
      if (presented.data === undefined)
        for (const { extensions } of presented.errors ?? [])
          if (extensions.code === 'BAD_USER_INPUT') extensions.http ??= { spec: true, status: 400 }
      setResult(presented)
    },
    onExecute: ({ args }) => ({
      onExecuteDone({ result, setResult }) {
        if (!isAsyncIterable(result)) setResult(presentAll(result, args.contextValue.requestId))
      },
    }),
  }
}

/** What is too much to be kept until it is taken is answered with the reason. */
const useHeldAnswers: Plugin<Context, { origin: OperationOrigin }> = {
  onResponse({ response, serverContext: { origin }, setResponse, fetchAPI }) {
    try {
      origin.hold?.(Number(response.headers.get('content-length')))
    } catch (error) {
      const { status, headers, text } = refusalFor(error)
      setResponse(new fetchAPI.Response(text, { status, headers }))
    }
  },
}

/** The doors of subscriptions run them without this engine, which knows of no limit and no end of theirs. */
const useNoSubscriptions: Plugin = {
  onSubscribe({ setResultAndStopExecution }) {
    const extensions = { code: 'BAD_USER_INPUT' satisfies ErrorCode, http: { spec: true, status: 406 } }
    setResultAndStopExecution({ errors: [new GraphQLError(notAcceptable, { extensions })] })
  },
}

/** Of what is executed here; it comes after the presentation of errors, and so sees their codes. */
const useMeter = (meter: Meter): Plugin<Context> => ({
  onExecute({ args }) {
    const beganMs = performance.now()
    const kind = getOperationAST(args.document, args.operationName)?.operation ?? 'unknown'
    return {
      onExecuteDone({ result }) {
        if (!isAsyncIterable(result))
          meter.operation(kind, outcomeOf(result.errors), (performance.now() - beganMs) / 1_000)
      },
    }
  },
})

/** Listed like any other fault of a document: what a rule throws would pass by the presentation of errors. */
const reported = {
  propagateOnRejection: false,
  onReject: [(context: ValidationContext | null, error: GraphQLError) => context?.reportError(error)],
}

/** What is long belongs into variables. */
const useLengthLimit = (maxLength: number): Plugin => ({
  onParse({ params: { source } }) {
    const { length } = typeof source === 'string' ? source : source.body
    if (length <= maxLength) return
    const message = `The document has ${length} characters; at most ${maxLength} are allowed. Send values as variables.`
    throw new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' satisfies ErrorCode } })
  },
})

/** Names have no other writing, so whatever asks for the schema holds one of these. */
export const asksForSchema = (query: string | undefined): boolean => /\b__(schema|type)\b/.test(query ?? '')

const useRule = (rule: ValidationRule): Plugin => ({
  onValidate: ({ addValidationRule }) => addValidationRule(rule),
})
