import { ParleyError } from './errors.ts'
import { pause } from './network.ts'

/** Milliseconds to wait after so many failures in a row: anything up to a bound that doubles, from 250 to 10,000. */
export const backoffMs = (failures: number): number =>
  Math.random() * Math.min(10_000, 250 * 2 ** Math.max(0, failures - 1))

/** The same, but not before the server said that it may. */
export const waitMs = (error: ParleyError, failures: number): number =>
  Math.max(backoffMs(failures), 1_000 * (error.retryAfterSeconds ?? 0))

/** A wait that the server asks for and that is longer than this is for the caller to decide on. */
const patienceMs = 10_000

const isWorthRetry = (error: unknown): error is ParleyError =>
  error instanceof ParleyError && error.isTransient && waitMs(error, 0) <= patienceMs

type Patience = { retries: number; withinMs: number; signal: AbortSignal }

/** Tries until it succeeds, fails for good, has failed `retries` times more than once, or no time is left to begin anew. */
export async function withRetries<Value>(
  attempt: () => Promise<Value>,
  { retries, withinMs, signal }: Patience,
): Promise<Value> {
  const untilMs = performance.now() + withinMs
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isWorthRetry(error) || failures > retries) throw error
      const pauseMs = waitMs(error, failures)
      if (performance.now() + pauseMs >= untilMs) throw error
      await pause(pauseMs, signal)
    }
  }
}
