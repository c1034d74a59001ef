import { ParleyError } from './errors.ts'
import { pause } from './network.ts'

/** Milliseconds to wait after so many failures in a row: anything up to a bound that doubles, from 250 to 10,000. */
export const backoffMs = (failures: number): number =>
  Math.random() * Math.min(10_000, 250 * 2 ** Math.max(0, failures - 1))

export const isTransient = (error: unknown): boolean => error instanceof ParleyError && error.isTransient

/** Tries until it succeeds, fails for good, or has failed `retries` times more than once. */
export async function withRetries<Value>(
  attempt: () => Promise<Value>,
  { retries, signal }: { retries: number; signal: AbortSignal },
): Promise<Value> {
  for (let failures = 1; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error) || failures > retries) throw error
      await pause(backoffMs(failures), signal)
    }
  }
}
