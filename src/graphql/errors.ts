import { GraphQLError } from 'graphql'
import {
  ConflictError,
  type ErrorCode,
  errorCodes,
  ForbiddenError,
  LimitError,
  ModelUnavailableError,
  NotFoundError,
  ParleyError,
  RateLimitedError,
  RunInProgressError,
  ValidationError,
} from '../lib/errors.ts'
import { builder } from './builder.ts'

const ErrorCodeEnum = builder.enumType('ErrorCode', {
  description: 'What kind of failure it is. The same codes stand in `errors[].extensions.code`.',
  values: Object.fromEntries(
    Object.entries(errorCodes).map(([code, description]) => [code, { description }]),
  ) as Record<ErrorCode, { description: string }>,
})

export const ErrorInterface = builder.interfaceRef<ParleyError>('Error').implement({
  description: 'A failure that a caller may expect and can act on.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCodeEnum, description: 'The kind of failure, for programs.' }),
    message: t.exposeString('message', { description: 'What went wrong and what is allowed, for people.' }),
  }),
})

const FieldFaultRef = builder.objectRef<{ path: string; message: string }>('FieldFault').implement({
  description: 'What is wrong with one value of the input.',
  fields: (t) => ({
    path: t.exposeString('path', {
      description: 'Dotted path of the value within the input, such as `messages.0.content`.',
    }),
    message: t.exposeString('message', { description: 'The fault, and what is allowed.' }),
  }),
})

builder.objectType(ValidationError, {
  name: 'ValidationError',
  description: 'The input is malformed or outside its limits.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    fields: t.field({
      type: [FieldFaultRef],
      description: 'Every fault that was found.',
      resolve: (error) => [...error.fields],
    }),
  }),
})

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'What the input names does not exist, or is not visible to the viewer.',
  interfaces: [ErrorInterface],
})

builder.objectType(ForbiddenError, {
  name: 'ForbiddenError',
  description: 'The viewer sees the thing, but may not do this to it.',
  interfaces: [ErrorInterface],
})

builder.objectType(ConflictError, {
  name: 'ConflictError',
  description: 'The same `clientId` was used before with other arguments.',
  interfaces: [ErrorInterface],
})

builder.objectType(LimitError, {
  name: 'LimitError',
  description: 'A configured limit is reached.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    limit: t.exposeInt('limit', { description: 'The number that was reached.' }),
  }),
})

builder.objectType(RateLimitedError, {
  name: 'RateLimitedError',
  description: 'Too much came within a short time; the same will be taken later.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    retryAfterSeconds: t.exposeInt('retryAfterSeconds', {
      description: 'How many seconds to wait before the next attempt, at least 1.',
    }),
  }),
})

builder.objectType(RunInProgressError, {
  name: 'RunInProgressError',
  description: 'The session is answering already, and the send asked to be refused then.',
  interfaces: [ErrorInterface],
})

builder.objectType(ModelUnavailableError, {
  name: 'ModelUnavailableError',
  description: 'The model is not configured, or its provider cannot be reached.',
  interfaces: [ErrorInterface],
})

/**
 * The one place that decides what a client may learn of a failure. Known failures keep their code and message;
 * faults that GraphQL itself found in the request become BAD_USER_INPUT; all else is masked, and `report` writes it
 * to the log under the request id that the client gets. GraphQL helps with misspelt names by listing those that there
 * are; `hidesNames` keeps that back.
 */
export function presentError(
  error: unknown,
  requestId: string,
  { report, hidesNames }: { report: (error: unknown) => void; hidesNames: boolean },
): GraphQLError {
  const graphqlError = error instanceof GraphQLError ? error : null
  const cause = graphqlError?.originalError ?? (graphqlError ? null : error)
  if (cause instanceof ParleyError) return known(cause, graphqlError)
  // The row was there when what points at it was read, and was deleted since.
  if (codeIn(cause) === 'P2025') return known(new NotFoundError('object'), graphqlError)
  // Without an original error it was raised by parsing, validation or the coercion of variables.
  if (graphqlError && (cause === null || cause === undefined || cause instanceof GraphQLError))
    return known(faultOf(graphqlError, hidesNames), graphqlError)
  report(error)
  return new GraphQLError('Internal server error. The log has the details under this request id.', {
    nodes: graphqlError?.nodes,
    path: graphqlError?.path,
    extensions: { code: 'INTERNAL_SERVER_ERROR', requestId },
  })
}

const codeIn = (error: unknown) => (error instanceof Error && 'code' in error ? error.code : undefined)

const faultOf = (error: GraphQLError, hidesNames: boolean) => ({
  code: codeOf(error),
  message: hidesNames ? error.message.replace(/ Did you mean .*\?$/s, '') : error.message,
})

function codeOf(error: GraphQLError): ErrorCode {
  const code = error.extensions.code
  return typeof code === 'string' && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'BAD_USER_INPUT'
}

function known(failure: { code: ErrorCode; message: string }, located: GraphQLError | null): GraphQLError {
  const { code, message } = failure
  return new GraphQLError(message, {
    nodes: located?.nodes,
    source: located?.source,
    positions: located?.positions,
    path: located?.path,
    extensions: {
      ...located?.extensions,
      code,
      ...(code === 'UNAUTHENTICATED' ? { http: { status: 401 } } : {}),
      ...(failure instanceof RateLimitedError ? { retryAfterSeconds: failure.retryAfterSeconds } : {}),
    },
  })
}
