/** What the browser knows of the network; elsewhere there is always one. */
export const isOffline = (): boolean => globalThis.navigator?.onLine === false

type NetworkEvent = 'online' | 'offline'

/** Calls back on each such event; gives the function that ends it. Does nothing where nobody tells them. */
export function onNetwork(event: NetworkEvent, listener: () => void): () => void {
  globalThis.addEventListener?.(event, listener)
  return () => globalThis.removeEventListener?.(event, listener)
}

/** Browsers have been wrong about being offline. */
const offlineAtMostMs = 30_000

/**
 * Waits before another try: this long, or until the network is back, whichever is sooner; offline, until it is back.
 * Rejects with the reason of the signal.
 */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer)
      unlisten()
      signal.removeEventListener('abort', abort)
      settle()
    }
    const abort = () => end(() => reject(signal.reason))
    const timer = setTimeout(() => end(resolve), isOffline() ? offlineAtMostMs : delayMs)
    const unlisten = onNetwork('online', () => end(resolve))
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
  })
}
