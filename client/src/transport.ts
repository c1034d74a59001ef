import type { GraphqlError } from './errors.ts'
import type { GraphqlRequest } from './http.ts'

export type Result = { data?: unknown; errors?: readonly GraphqlError[] | undefined }

/** What carries subscriptions. It tries each one once; to try again is the task of who uses it. */
export type Transport = {
  /**
   * Opens a subscription and gives its results; ends when the server completes it, throws a `ParleyError` when it fails or
   * is cut off, and the reason of the signal when that aborts. `onOpen` is called once it is connected.
   */
  open(request: GraphqlRequest, options: { signal: AbortSignal; onOpen: () => void }): AsyncIterable<Result>
  /** Gives up a connection that is likely to be dead, which fails what is open on it. */
  terminate(): void
  close(): void
}
