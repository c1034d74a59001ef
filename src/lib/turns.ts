import { RateLimitedError } from './errors.ts'

/**
 * Lets so many in at a time. Who must wait does so in a line of its own key, and the lines are served in turn: however many
 * wait under one key, another waits for one of them at most.
 */
export type Turns = {
  /** Resolves when it is the caller's turn; throws a `RateLimitedError` where that takes too long. */
  take(key: string): Promise<void>
  /** Gives a turn that was taken back. */
  done(): void
  waiting(): number
}

type Waiter = { go(): void; timer: NodeJS.Timeout }

/** No connection to the database has come free in time. */
export const noConnection = () => new RateLimitedError('requests at once', 1_000, 'DATABASE_POOL_SIZE')

export function createTurns({ atOnce, waitMs }: { atOnce: number; waitMs: number }): Turns {
  // In the order in which the keys are served.
  const lines = new Map<string, Set<Waiter>>()
  let taken = 0
  let waiting = 0

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
      // Whoever is let in from a line has the place of who left.
      if (taken >= atOnce) return wait(key)
      taken += 1
    },
    done() {
      const [key, line] = lines.entries().next().value ?? []
      const [next] = line ?? []
      if (key === undefined || !line || !next) {
        taken -= 1
        return
      }
      clearTimeout(next.timer)
      leave(key, next)
      // To the end of the round.
      if (line.size > 0) {
        lines.delete(key)
        lines.set(key, line)
      }
      next.go()
    },
  }
}
