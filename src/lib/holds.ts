/** So many are held under a key at once, and so many at most may be. */
export type Place = { key: string; atMost: number }

/** What one node holds under a key. */
export type Held = { key: string; count: number }

/**
 * What nodes tell each other of what they hold. A node that stops telling counts for nothing after the time of its lease,
 * and one that comes back is asked for all that it holds.
 */
export type HoldLedger = {
  /**
   * Holds this many under each key on this node, as long as all nodes together stay within `atMost`: else none of them,
   * and the index of the first that does not is given. -1: all are held.
   */
  take(wanted: readonly (Held & Place)[]): Promise<number>
  /** What is held now under these keys; 0 for nothing any more. */
  tell(held: readonly Held[]): Promise<void>
  /** Renews the lease; true where the others do not know any more what this node holds. */
  renew(): Promise<boolean>
}

/** Bounds how many are held at once under each of many keys, by all nodes together where there is a ledger. */
export type Holds = {
  /** Takes a place under each of the keys, or none; gives the index of the first that has none left, or -1. */
  take(places: readonly Place[]): Promise<number>
  /** Gives up one place under each of the keys. */
  give(keys: readonly string[]): void
  stop(): void
}

const renewEveryMs = 5_000
/** What is given up is told together. */
const tellEveryMs = 50
/** Keys live for a while only, so all is told anew from time to time: every so many leases. */
const tellAllEvery = 60

/** Where the ledger is away, each node counts for itself. */
export function createHolds(ledger: HoldLedger | null): Holds {
  const counts = new Map<string, number>()
  const untold = new Set<string>()
  const countOf = (key: string) => counts.get(key) ?? 0
  let telling: NodeJS.Timeout | undefined
  let renewals = 0

  function add(key: string, change: number) {
    const count = countOf(key) + change
    if (count > 0) counts.set(key, count)
    else counts.delete(key)
  }

  function give(keys: readonly string[]) {
    for (const key of keys) add(key, -1)
    if (!ledger) return
    for (const key of keys) untold.add(key)
    telling ??= setTimeout(tell, tellEveryMs).unref()
  }

  async function tell() {
    telling = undefined
    const held = [...untold].map((key) => ({ key, count: countOf(key) }))
    untold.clear()
    // Where it is away, all is told when it is back.
    await ledger?.tell(held).catch(() => {})
  }

  async function renew() {
    renewals += 1
    const isForgotten = await ledger?.renew().catch(() => false)
    if (!isForgotten && renewals % tellAllEvery > 0) return
    for (const key of counts.keys()) untold.add(key)
    await tell()
  }

  const renewing = ledger ? setInterval(renew, renewEveryMs).unref() : undefined
  return {
    async take(places) {
      const full = places.findIndex(({ key, atMost }) => countOf(key) >= atMost)
      if (full >= 0) return full
      for (const { key } of places) add(key, 1)
      if (!ledger) return -1
      const wanted = places.map((place) => ({ ...place, count: countOf(place.key) }))
      const refused = await ledger.take(wanted).catch(() => -1)
      if (refused >= 0) give(places.map(({ key }) => key))
      return refused
    },
    give,
    stop() {
      clearInterval(renewing)
      clearTimeout(telling)
    },
  }
}
