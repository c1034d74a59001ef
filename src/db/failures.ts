import pg from 'pg'
import { RateLimitedError } from '../lib/errors.ts'
import { noConnection } from '../lib/turns.ts'

/**
 * What callers are told of a failure: a `RateLimitedError` where the database had too much to do, whether no connection came
 * in time or a statement took longer than it may; any other error as it is. `what` names the statement for `onSlow`.
 */
export type TellFailure = (error: unknown, what: string) => unknown

export const createTellFailure =
  (onSlow: (what: string) => void): TellFailure =>
  (error, what) => {
    if (!(error instanceof Error) || error instanceof RateLimitedError) return error
    const code = codeOf(error)
    if (noConnectionCodes.has(code) || noConnectionText.test(error.message)) return noConnection()
    if (!slowCodes.has(code)) return error
    onSlow(what)
    return new RateLimitedError(
      'requests at once, or too much for one',
      1_000,
      'DATABASE_STATEMENT_TIMEOUT_MS',
    )
  }

/**
 * Too many connections, as PostgreSQL and as Prisma say it. Prisma puts an error of its own round that of the line before
 * the pool, and takes its code over.
 */
const noConnectionCodes = new Set(['53300', 'P2037', 'RATE_LIMITED'])

/** pg's pool gives no code to a wait that was too long, for a connection that is in use or for a new one. */
const noConnectionText = /timeout exceeded when trying to connect|terminated due to connection timeout/

/** A statement that was cancelled for its time; a transaction of Prisma that was over before its work. */
const slowCodes = new Set(['57014', 'P2028'])

/** Where Prisma has no code for what PostgreSQL said it puts the driver's error into its own. */
function codeOf(error: Error): string {
  const { code, meta } = error as { code?: unknown; meta?: { driverAdapterError?: { cause?: Driver } } }
  return meta?.driverAdapterError?.cause?.originalCode ?? (typeof code === 'string' ? code : '')
}

type Driver = { originalCode?: string }

/** Whether a statement failed because a unique key is taken (SQLSTATE 23505). */
export const isUniqueViolation = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505'

/** Whether a statement failed because a row is not there, or is still needed, that `constraint` is about (SQLSTATE 23503). */
export const isForeignKeyViolation = (error: unknown, constraint?: string): boolean =>
  error instanceof pg.DatabaseError &&
  error.code === '23503' &&
  (constraint === undefined || error.constraint === constraint)

/**
 * Whether a statement failed, and nothing of it is stored, for what one of its rows holds or meets: its values, a constraint,
 * a limit of its size, a deadlock. Other rows might do without it.
 */
export const isFaultOfRow = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && /^(22|23|40|54)/.test(error.code ?? '')

/** Whether a statement failed because it has no value for a column that needs one (SQLSTATE 23502). */
export const isMissing = (error: unknown, table: string, column: string): boolean =>
  error instanceof pg.DatabaseError &&
  error.code === '23502' &&
  error.table === table &&
  error.column === column
