import { LRUCache } from 'lru-cache'
import { RateLimitedError } from './errors.ts'

/** `burst` at once, and after that `perSecond`; a rate of 0 is no limit. */
export type Rate = { readonly perSecond: number; readonly burst: number }

/** Bounds how often something is done under each of many keys. */
export type RateLimit = {
  /** Counts one; throws a `RateLimitedError` where it is one too many, which is not counted. */
  take(key: string): void
}

/** What was taken under a key since it was last told, as the time that it takes to be allowed again. */
export type Use = { key: string; spentMs: number }

/** What nodes tell each other of their counts. */
export type RateLedger = {
  /** Adds uses and gives, in their order, how many milliseconds each key is ahead of the clock on all nodes together. */
  settle(uses: readonly Use[]): Promise<number[]>
}

export type Rates = {
  /** `name` tells its keys from those of others; `what` and `setting` go into the message. */
  limit(name: string, rate: Rate, texts: { what: string; setting: string }): RateLimit
  stop(): void
}

const settleEveryMs = 100
/** Keys of one limit that are remembered; who is forgotten may begin anew. */
const keysAtMost = 20_000

/**
 * One number is kept for a key: when all that was taken under it is paid back at the limit's pace. It is looked at
 * without waiting for anybody. With a ledger a node tells what was taken some moments later, and learns what others let
 * through: the pace holds for all nodes together, while a burst may be let through by each before they know.
 */
export function createRates(ledger: RateLedger | null): Rates {
  const limits = new Map<string, LRUCache<string, number>>()
  const spent = new Map<string, { name: string; key: string; spentMs: number }>()
  let timer: NodeJS.Timeout | undefined

  function note(name: string, key: string, spentMs: number) {
    const id = `${name}:${key}`
    const use = spent.get(id)
    if (use) use.spentMs += spentMs
    else spent.set(id, { name, key, spentMs })
    timer ??= setTimeout(settle, settleEveryMs).unref()
  }

  async function settle() {
    timer = undefined
    const uses = [...spent]
    spent.clear()
    try {
      const ahead = await ledger?.settle(uses.map(([key, { spentMs }]) => ({ key, spentMs })))
      const nowMs = performance.now()
      for (const [index, [, { name, key }]] of uses.entries()) {
        const paid = limits.get(name)
        const paidAtMs = nowMs + (ahead?.[index] ?? 0)
        if (paid && paidAtMs > (paid.get(key) ?? 0)) paid.set(key, paidAtMs)
      }
    } catch {
      // The node's own counts hold.
    }
  }

  return {
    limit(name, { perSecond, burst }, { what, setting }) {
      if (perSecond === 0) return { take() {} }
      const paid = new LRUCache<string, number>({ max: keysAtMost })
      limits.set(name, paid)
      const eachMs = 1_000 / perSecond
      const aheadAtMostMs = (burst - 1) * eachMs
      return {
        take(key) {
          const nowMs = performance.now()
          const paidAtMs = Math.max(nowMs, paid.get(key) ?? 0)
          const waitMs = paidAtMs - nowMs - aheadAtMostMs
          if (waitMs > 0) throw new RateLimitedError(what, waitMs, setting)
          paid.set(key, paidAtMs + eachMs)
          if (ledger) note(name, key, eachMs)
        },
      }
    },
    stop: () => clearTimeout(timer),
  }
}
