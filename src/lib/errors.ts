/**
 * Every failure that a caller may learn of. One closed list of codes, the same in `errors[].extensions.code`
 * and in the `code` of an error object; anything thrown that is not a `ParleyError` is masked by
 * `graphql/errors.ts` and written to the log with the request id.
 */
export const errorCodes = {
  UNAUTHENTICATED: 'No valid token came with the request.',
  FORBIDDEN: 'The viewer may see this, but not do this to it.',
  NOT_FOUND: 'It does not exist, or it is not visible to the viewer: the two are not told apart.',
  BAD_USER_INPUT: 'A value is malformed or outside its limits.',
  CONFLICT: 'The same client key was used before with other arguments.',
  LIMIT_EXCEEDED: 'A configured limit or quota is used up.',
  RATE_LIMITED: 'Too many requests in too short a time.',
  RUN_IN_PROGRESS: 'The session is answering already and the send asked to be refused then.',
  MODEL_UNAVAILABLE: 'The model is not configured, not allowed, or its provider cannot be reached.',
  INTERNAL_SERVER_ERROR: 'A fault of the server; the request id finds it in the log.',
} as const

export type ErrorCode = keyof typeof errorCodes

/** A failure with a code; `message` is written for the caller and holds no internals. */
export class ParleyError extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** One fault of one input value; `path` is dotted, from the input's root: `messages.0.content`. */
export type FieldFault = { path: string; message: string }

/** An input can have as many faults as it has values; the first tell enough. */
const toldFaults = 20

function toldOf(faults: readonly FieldFault[]): readonly FieldFault[] {
  const untold = faults.length - toldFaults
  if (untold <= 0) return faults
  return [...faults.slice(0, toldFaults), { path: '', message: `and ${untold} more faults` }]
}

/** The input is malformed or outside its limits; lists the first faults found, not only one. */
export class ValidationError extends ParleyError {
  readonly fields: readonly FieldFault[]
  constructor(faults: readonly FieldFault[]) {
    const fields = toldOf(faults)
    super(
      'BAD_USER_INPUT',
      fields.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; '),
    )
    this.fields = fields
  }
}

/** Shorthand for the common case of one fault. */
export const invalid = (path: string, message: string) => new ValidationError([{ path, message }])

export class UnauthenticatedError extends ParleyError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNAUTHENTICATED', message, options)
  }
}

export class ForbiddenError extends ParleyError {
  constructor(message: string) {
    super('FORBIDDEN', message)
  }
}

/** Says the same for what does not exist and for what belongs to somebody else. */
export class NotFoundError extends ParleyError {
  constructor(what: string) {
    super('NOT_FOUND', `No such ${what}, or it is not visible to you.`)
  }
}

export class ConflictError extends ParleyError {
  constructor(message: string) {
    super('CONFLICT', message)
  }
}

/** `limit` is the number that was reached, in the unit that `message` names. */
export class LimitError extends ParleyError {
  readonly limit: number
  constructor(message: string, limit: number) {
    super('LIMIT_EXCEEDED', message)
    this.limit = limit
  }
}

/** `what` is a plural: too many of it came within a short time. */
export class RateLimitedError extends ParleyError {
  /** Whole seconds, at least 1. */
  readonly retryAfterSeconds: number
  constructor(what: string, waitMs: number, setting: string) {
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
    super('RATE_LIMITED', `Too many ${what}; try again in ${seconds} s (${setting}).`)
    this.retryAfterSeconds = seconds
  }
}

/** Whose quota it is: of the tenant as a whole, of each user that has none of its own, of one user. */
export type QuotaScope = 'TENANT' | 'EACH_USER' | 'USER'
export type QuotaPeriod = 'DAY' | 'MONTH'
export type QuotaUnit = 'TOKENS' | 'COST'

/** `limit` and `used` are decimal text, in the unit. */
export type QuotaExcess = {
  scope: QuotaScope
  period: QuotaPeriod
  unit: QuotaUnit
  limit: string
  used: string
  resetAt: Date
}

/** A quota of a user or a tenant is used up; nothing more is answered until it begins anew. */
export class QuotaError extends ParleyError {
  readonly excess: QuotaExcess
  constructor(excess: QuotaExcess) {
    const { scope, period, unit, resetAt } = excess
    const [limit, used] = [excess.limit, excess.used].map((amount) => amountText(amount, unit))
    const whose = scope === 'TENANT' ? 'The quota of the tenant' : 'Your quota'
    const length = period === 'DAY' ? 'a day' : 'a month'
    super(
      'LIMIT_EXCEEDED',
      `${whose} of ${limit} ${length} is used up (${used} by now); it begins anew at ${resetAt.toISOString()}.`,
    )
    this.excess = excess
  }
}

function amountText(amount: string, unit: QuotaUnit): string {
  if (unit === 'TOKENS') return `${amount} tokens`
  return `$${amount.includes('.') ? amount.replace(/\.?0+$/, '') : amount}`
}

export class RunInProgressError extends ParleyError {
  constructor() {
    super('RUN_IN_PROGRESS', 'The session is answering already, and this message was to be refused then.')
  }
}

export class ModelUnavailableError extends ParleyError {
  constructor(message: string, options?: ErrorOptions) {
    super('MODEL_UNAVAILABLE', message, options)
  }
}
