import type { ServerResponse } from 'node:http'
import { LimitError, RateLimitedError } from '../lib/errors.ts'
import type { Caller } from './admission.ts'

/** Bounds the bytes of one kind, of requests or of answers, that are in memory at a time. */
export type ByteRoom = {
  /**
   * Counts them until the function that it gives is called, once or more often. Throws a `RateLimitedError` where the caller,
   * its tenant or all together hold too much, and a `LimitError` where they are more than the caller may ever have. Callers
   * who are not known count by address, and all of them as one tenant.
   */
  take(bytes: number, caller: Caller | null, address: () => string): () => void
}

type Options = {
  /** Of all together. */
  maxBytes: number
  /** Of what the bytes are, as a plural. */
  what: 'requests' | 'answers'
  setting: string
}

/** What one of them may have of the whole. Neither can keep the others out. */
export const shareOfCaller = 1 / 8
const shareOfTenant = 1 / 4
/** What is no larger is always taken, so that people can chat while others hold all there is. */
const freeBytes = 16_384
/** When trying again is worth it, about. */
const retryAfterMs = 2_000

const nothing = () => {}

/** Gives back what was taken for a response when it is over: its last byte was taken, or its connection has ended. */
export function releaseAfter(response: ServerResponse, release: () => void): void {
  if (response.destroyed) release()
  else response.once('close', release)
}

export function createByteRoom({ maxBytes, what, setting }: Options): ByteRoom {
  const held = new Map<string, number>()
  const add = (key: string, bytes: number) => {
    const sum = (held.get(key) ?? 0) + bytes
    if (sum > 0) held.set(key, sum)
    else held.delete(key)
  }
  return {
    take(bytes, caller, address) {
      if (bytes <= freeBytes) return nothing
      const group = `tenant:${caller?.tenantId ?? ''}`
      const own = caller ? `user:${caller.userId}` : `address:${address()}`
      // A service speaks for many.
      const ownShare = (caller?.role === 'SERVICE' ? shareOfTenant : shareOfCaller) * maxBytes
      if (bytes > ownShare)
        throw new LimitError(
          `${bytes} bytes at a time are more than ${Math.floor(ownShare)}, which is what a caller may have of all ${what} (${setting}); ask for less at a time.`,
          Math.floor(ownShare),
        )
      const shares: [string, number][] = [
        [own, ownShare],
        [group, shareOfTenant * maxBytes],
        ['all', maxBytes],
      ]
      if (shares.some(([key, share]) => (held.get(key) ?? 0) + bytes > share))
        throw new RateLimitedError(`bytes of ${what} at a time`, retryAfterMs, setting)
      for (const [key] of shares) add(key, bytes)
      let isHeld = true
      return () => {
        if (isHeld) for (const [key] of shares) add(key, -bytes)
        isHeld = false
      }
    },
  }
}
