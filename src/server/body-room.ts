import type { ServerResponse } from 'node:http'
import { RateLimitedError } from '../lib/errors.ts'
import type { Caller } from './admission.ts'

/** Bounds the bytes of bodies that are in memory at a time. */
export type BodyRoom = {
  /**
   * Counts a body until its answer is over; throws a `RateLimitedError` where the caller, its tenant or all together
   * hold too much. Callers who are not known count by address, and all of them as one tenant.
   */
  take(bytes: number, caller: Caller | null, address: () => string, response: ServerResponse): void
}

/** What one of them may have of the whole. Neither can keep the others out. */
export const shareOfCaller = 1 / 8
const shareOfTenant = 1 / 4
/** Bodies up to this size are always taken, so that people can chat while others hold all there is. */
const freeBytes = 16_384
/** When trying again is worth it, about. */
const retryAfterMs = 2_000

export function createBodyRoom(maxBytes: number): BodyRoom {
  const held = new Map<string, number>()
  const add = (key: string, bytes: number) => {
    const sum = (held.get(key) ?? 0) + bytes
    if (sum > 0) held.set(key, sum)
    else held.delete(key)
  }
  return {
    take(bytes, caller, address, response) {
      if (bytes <= freeBytes || response.destroyed) return
      const group = `tenant:${caller?.tenantId ?? ''}`
      const own = caller ? `user:${caller.userId}` : `address:${address()}`
      // A service speaks for many.
      const ownShare = caller?.role === 'SERVICE' ? shareOfTenant : shareOfCaller
      const shares: [string, number][] = [
        [own, ownShare],
        [group, shareOfTenant],
        ['all', 1],
      ]
      if (shares.some(([key, share]) => (held.get(key) ?? 0) + bytes > share * maxBytes))
        throw new RateLimitedError('bytes of requests at a time', retryAfterMs, 'HTTP_BODIES_MAX_BYTES')
      for (const [key] of shares) add(key, bytes)
      response.once('close', () => {
        for (const [key] of shares) add(key, -bytes)
      })
    },
  }
}
