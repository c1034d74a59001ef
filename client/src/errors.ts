import type { ErrorCode } from './generated/graphql.ts'

/** What is wrong with one value of an input. */
export type FieldFault = { readonly path: string; readonly message: string }

/** Codes of failures that never reached the server, or never came back from it. */
export type ClientErrorCode = 'NETWORK' | 'TIMEOUT' | 'CLOSED'

export type ParleyErrorCode = ErrorCode | ClientErrorCode

type Details = {
  fields?: readonly FieldFault[] | undefined
  limit?: number | undefined
  requestId?: string | undefined
  cause?: unknown
}

/**
 * Every failure that this library throws, but for an abort of yours, which is thrown as it is. `code` is what programs
 * act on; `message` is for people.
 */
export class ParleyError extends Error {
  override readonly name = 'ParleyError'
  readonly code: ParleyErrorCode
  /** With BAD_USER_INPUT from a mutation: every fault of the input, each with its path. Empty otherwise. */
  readonly fields: readonly FieldFault[]
  /** With LIMIT_EXCEEDED from a mutation: the number that was reached. */
  readonly limit: number | undefined
  /** With INTERNAL_SERVER_ERROR: what finds the failure in the log of the server. */
  readonly requestId: string | undefined

  constructor(code: ParleyErrorCode, message: string, { fields, limit, requestId, cause }: Details = {}) {
    super(message, { cause })
    this.code = code
    this.fields = fields ?? []
    this.limit = limit
    this.requestId = requestId
  }
}
