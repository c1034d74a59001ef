import { errorOf, ParleyError, type ParleyErrorCode } from './errors.ts'
import { onNetwork, pause } from './network.ts'
import { waitMs } from './retry.ts'
import type { StatusBoard } from './status.ts'
import type { Transport } from './transport.ts'

/** Until it was connected once, and with failures that may well last. */
const triesAtMost = 10
const lastingCodes: readonly string[] = [
  'INTERNAL_SERVER_ERROR',
  'UNAUTHENTICATED',
] satisfies ParleyErrorCode[]
/** Milliseconds after which a connection that fails has been a good one, though it may have had nothing to tell. */
const steadyMs = 10_000

export type Follow = <Data>(
  query: string,
  /** Asked before each connection: where to go on from is for the caller to know. */
  variables: () => unknown,
  signal: AbortSignal,
) => AsyncGenerator<Data, void, void>

type Options = { transport: Transport; status: StatusBoard }

/**
 * Subscriptions that are opened again whenever they are cut off, for as long as it takes. They throw what a retry cannot
 * mend, and give up where no connection was ever made.
 */
export function createFollow({ transport, status }: Options): Follow {
  return async function* follow<Data>(query: string, variables: () => unknown, signal: AbortSignal) {
    const operation = status.enter()
    // It would take a while for the connection to be found dead.
    const unlisten = onNetwork('offline', transport.terminate)
    let failures = 0
    let wasConnected = false
    let openSince = Number.POSITIVE_INFINITY
    const onOpen = () => {
      wasConnected = true
      openSince = performance.now()
      operation.connected()
    }
    try {
      for (;;) {
        try {
          const request = { query, variables: variables() as object | undefined }
          for await (const { data, errors } of transport.open(request, { signal, onOpen })) {
            if (errors?.length) throw errorOf(errors)
            failures = 0
            yield data as Data
          }
          return
        } catch (error) {
          if (performance.now() - openSince >= steadyMs) failures = 0
          openSince = Number.POSITIVE_INFINITY
          failures++
          if (signal.aborted || !(error instanceof ParleyError) || !error.isTransient) throw error
          const isBounded = !wasConnected || lastingCodes.includes(error.code)
          if (isBounded && failures >= triesAtMost) throw error
          operation.lost(error)
          await pause(waitMs(error, failures), signal)
        }
      }
    } finally {
      unlisten()
      operation.leave()
    }
  }
}
