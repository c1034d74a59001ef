import type { GraphQLError } from 'graphql'
import { type ErrorCode, errorCodes } from '../lib/errors.ts'

/** The code of the first error as it was presented, or that there is none. */
export function outcomeOf(errors: readonly Pick<GraphQLError, 'extensions'>[] | undefined): 'OK' | ErrorCode {
  const code = errors?.[0]?.extensions.code
  if (!errors?.[0]) return 'OK'
  return typeof code === 'string' && code in errorCodes ? (code as ErrorCode) : 'BAD_USER_INPUT'
}
