import { RateLimitedError } from './errors.ts'

/**
 * Lets so many in at a time, and of one key one less, so that a place is left for the others: however many come under one
 * key, who comes alone under another need not wait. Who must wait does so in a line of its own key, and the lines are served
 * in turn.
 */
export type Turns = {
  /** Resolves when it is the caller's turn; throws a `RateLimitedError` where that takes too long. */
  take(key: string): Promise<void>
  /** Gives a turn that was taken under the key back. */
  done(key: string): void
  waiting(): number
}

type Waiter = { go(): void; timer: NodeJS.Timeout }

/** Of fewer places every one is for everybody. */
const leastShared = 4

/** No connection to the database has come free in time. */
export const noConnection = () => new RateLimitedError('requests at once', 1_000, 'DATABASE_POOL_SIZE')

export function createTurns({ atOnce, waitMs }: { atOnce: number; waitMs: number }): Turns {
  const mostOfKey = atOnce < leastShared ? atOnce : atOnce - 1
  // In the order in which the keys are served.
  const lines = new Map<string, Set<Waiter>>()
  const held = new Map<string, number>()
  let taken = 0
  let waiting = 0

  const heldBy = (key: string) => held.get(key) ?? 0
  const hasPlace = (key: string) => taken < atOnce && heldBy(key) < mostOfKey

  function hold(key: string) {
    taken += 1
    held.set(key, heldBy(key) + 1)
  }

  function leave(key: string, waiter: Waiter) {
    const line = lines.get(key)
    line?.delete(waiter)
    if (line?.size === 0) lines.delete(key)
    waiting -= 1
  }

  const wait = (key: string) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        leave(key, waiter)
        reject(noConnection())
      }, waitMs)
      const waiter = { go: resolve, timer }
      const line = lines.get(key)
      if (line) line.add(waiter)
      else lines.set(key, new Set([waiter]))
      waiting += 1
    })

  return {
    waiting: () => waiting,
    async take(key) {
      if (!hasPlace(key)) return wait(key)
      hold(key)
    },
    done(key) {
      taken -= 1
      const left = heldBy(key) - 1
      if (left > 0) held.set(key, left)
      else held.delete(key)
      for (const [waitsAs, line] of lines) {
        const [next] = line
        if (!next || !hasPlace(waitsAs)) continue
        clearTimeout(next.timer)
        leave(waitsAs, next)
        // To the end of the round.
        if (line.size > 0) {
          lines.delete(waitsAs)
          lines.set(waitsAs, line)
        }
        hold(waitsAs)
        return next.go()
      }
    },
  }
}
