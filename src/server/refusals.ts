import { type ErrorCode, ParleyError, RateLimitedError } from '../lib/errors.ts'

/** An answer over HTTP that is an error and nothing else. */
export type Refusal = { status: number; headers: Readonly<Record<string, string>>; text: string }

const statusOf: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  RATE_LIMITED: 429,
}

/** `more` goes beside the code. */
export const errorText = (code: ErrorCode, message: string, more: object = {}): string =>
  `${JSON.stringify({ errors: [{ message, extensions: { code, ...more } }] })}\n`

/** What is wrong with a request as a whole, or with the answer to it; throws what is no `ParleyError`. */
export function refusalFor(error: unknown): Refusal {
  if (!(error instanceof ParleyError)) throw error
  const { code, message } = error
  const status = statusOf[code] ?? 400
  // Of this refusal alone: Yoga writes the length of the answer into them.
  const headers = { 'content-type': 'application/json' }
  if (!(error instanceof RateLimitedError)) return { status, headers, text: errorText(code, message) }
  const { retryAfterSeconds } = error
  return {
    status,
    headers: {
      ...headers,
      'access-control-expose-headers': 'retry-after',
      'retry-after': String(retryAfterSeconds),
    },
    text: errorText(code, message, { retryAfterSeconds }),
  }
}
