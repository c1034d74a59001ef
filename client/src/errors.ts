import type { ErrorCode } from './generated/graphql.ts'

/** What is wrong with one value of an input. */
export type FieldFault = { readonly path: string; readonly message: string }

/**
 * Failures that are not the server's answer: it cannot be reached or something else answers in its place (`NETWORK`), it
 * takes too long (`TIMEOUT`), more results wait to be read than are kept (`SLOW_CONSUMER`), or the client was closed
 * (`CLOSED`).
 */
export type ClientErrorCode = 'NETWORK' | 'TIMEOUT' | 'SLOW_CONSUMER' | 'CLOSED'

export type ParleyErrorCode = ErrorCode | ClientErrorCode

type Details = {
  fields?: readonly FieldFault[] | undefined
  limit?: number | undefined
  requestId?: string | undefined
  retryAfterSeconds?: number | undefined
  resetAt?: string | undefined
  isTransient?: boolean | undefined
  cause?: unknown
}

const transientCodes: readonly string[] = [
  'NETWORK',
  'TIMEOUT',
  'RATE_LIMITED',
  'SLOW_CONSUMER',
  'INTERNAL_SERVER_ERROR',
] satisfies ParleyErrorCode[]

/**
 * Every failure that this library throws; only an abort by a signal of yours is thrown as the signal's reason. `code` is
 * for programs, `message` for people.
 */
export class ParleyError extends Error {
  override readonly name = 'ParleyError'
  readonly code: ParleyErrorCode
  /** Every fault of the input of a mutation, each with its path; empty with codes other than BAD_USER_INPUT. */
  readonly fields: readonly FieldFault[]
  /** With LIMIT_EXCEEDED: the number that was reached, where the server tells it. */
  readonly limit: number | undefined
  /** With INTERNAL_SERVER_ERROR: what finds the failure in the log of the server. */
  readonly requestId: string | undefined
  /** With RATE_LIMITED: when it can be tried again. */
  readonly retryAfterSeconds: number | undefined
  /** With LIMIT_EXCEEDED for a quota: when the next period begins. */
  readonly resetAt: string | undefined
  /** Whether the same may well succeed a little later. */
  readonly isTransient: boolean

  constructor(code: ParleyErrorCode, message: string, details: Details = {}) {
    super(message, { cause: details.cause })
    this.code = code
    this.fields = details.fields ?? []
    this.limit = details.limit
    this.requestId = details.requestId
    this.retryAfterSeconds = details.retryAfterSeconds
    this.resetAt = details.resetAt
    this.isTransient = details.isTransient ?? transientCodes.includes(code)
  }
}

/** An error of `errors` in an answer, as far as it is known to be one. */
export type GraphqlError = { message?: string; extensions?: Record<string, unknown> }

/** The first of the errors in an answer. */
export function errorOf([first]: readonly GraphqlError[], isTransient?: boolean): ParleyError {
  const { code, ...extensions } = first?.extensions ?? {}
  return new ParleyError(
    typeof code === 'string' ? (code as ErrorCode) : 'INTERNAL_SERVER_ERROR',
    first?.message ?? 'The server failed without saying how.',
    { ...(extensions as Pick<Details, 'requestId' | 'retryAfterSeconds'>), isTransient, cause: first },
  )
}

type ErrorObject = { code: ErrorCode; message: string } & Pick<
  Details,
  'fields' | 'limit' | 'retryAfterSeconds' | 'resetAt'
>

/** What a mutation gives but for its error objects. */
export type Payload<Result> = Exclude<Result, { code: ErrorCode } | null | undefined>

/**
 * The payload of a mutation's result; an error object is thrown as a `ParleyError`. The operation must select
 * `... on Error { code message }`.
 */
export function unwrap<Result extends object>(result: Result): Payload<Result> {
  if ('code' in result && 'message' in result) {
    const { code, message, ...details } = result as Result & ErrorObject
    throw new ParleyError(code, message, { ...details, cause: result })
  }
  return result as Payload<Result>
}
