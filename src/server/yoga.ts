import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases'
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth'
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives'
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens'
import {
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  type ValidationContext,
  type ValidationRule,
} from 'graphql'
import {
  createYoga,
  isAsyncIterable,
  mapAsyncIterator,
  type Plugin,
  type YogaServerInstance,
} from 'graphql-yoga'
import type { Config } from '../config.ts'
import { type Context, viewerOf } from '../graphql/context.ts'
import type { ErrorCode } from '../lib/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { unconditionalSubscriptions } from './subscription-rule.ts'

/** What the transport knows of an operation before it is run. */
export type OperationOrigin = {
  readonly requestId: string
  readonly authorization: string | null
  /** Made once, by the first who asks for it. */
  context?: Promise<Context>
}

/** The GraphQL engine: HTTP and SSE by itself, and what the WebSocket door borrows of it. */
export type Yoga = YogaServerInstance<{ origin: OperationOrigin }, Context>

export const graphqlPath = '/graphql'

type Options = {
  schema: GraphQLSchema
  corsOrigins: readonly string[]
  isProduction: boolean
  introspection: Config['server']['introspection']
  contextOf: (origin: OperationOrigin) => Promise<Context>
  present: Present
  log: Log
}

/** What a client may learn of a failure. */
export type Present = (error: unknown, requestId: string) => GraphQLError

export function createGraphqlServer({
  schema,
  corsOrigins,
  isProduction,
  introspection,
  contextOf,
  present,
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
      useErrorPresentation(isProduction ? withoutSuggestions(present) : present),
      // Named by the defaults that the security guide of the project states.
      useDocumentLimit(15_000),
      maxTokensPlugin({ n: 1_000 }),
      maxDepthPlugin({ n: 8, ...reported }),
      maxAliasesPlugin({ n: 15, allowList: [], ...reported }),
      maxDirectivesPlugin({ n: 10, ...reported }),
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
    onSubscribe: ({ args }) => ({
      onSubscribeResult({ result, setResult }) {
        const { requestId } = args.contextValue
        if (!isAsyncIterable(result)) setResult(presentAll(result, requestId))
        else
          setResult(
            mapAsyncIterator(result as AsyncIterable<ExecutionResult>, (each) => presentAll(each, requestId)),
          )
      },
    }),
  }
}

/** Listed like any other fault of a document: what a rule throws would pass by the presentation of errors. */
const reported = {
  propagateOnRejection: false,
  onReject: [(context: ValidationContext | null, error: GraphQLError) => context?.reportError(error)],
}

const useDocumentLimit = (maxLength: number): Plugin => ({
  onParse({ params: { source } }) {
    const { length } = typeof source === 'string' ? source : source.body
    if (length <= maxLength) return
    const message = `The document has ${length} characters; at most ${maxLength} are allowed. Send values as variables.`
    throw new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' satisfies ErrorCode } })
  },
})

/** GraphQL helps with misspelt names by listing those that there are. */
const withoutSuggestions =
  (present: Present): Present =>
  (error, requestId) => {
    const presented = present(error, requestId)
    presented.message = presented.message.replace(/ Did you mean .*\?$/s, '')
    return presented
  }

/** Names have no other writing, so whatever asks for the schema holds one of these. */
const asksForSchema = (query: string | undefined) => /\b__(schema|type)\b/.test(query ?? '')

const useRule = (rule: ValidationRule): Plugin => ({
  onValidate: ({ addValidationRule }) => addValidationRule(rule),
})
