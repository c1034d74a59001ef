/**
 * Who is in a place (a session that is looked at) and who types there, for all nodes together. Nobody is in a place
 * but by a lease, which ends by itself: what a node leaves behind when it dies ends with it. Every implementation
 * passes `test/contract/presence.suite.ts`.
 *
 * Guarantees:
 * - **One step.** What an exchange asks of a place, the end of leases that are over and the answer are one step.
 * - **A version for each telling.** The version of an activity rises with every change of its users that is to be told,
 *   whoever causes or finds it, and with nothing else. It rises for as long as `memoryMs` after the last exchange, and
 *   beyond by the store's clock. Where it is 0 there is nothing to tell. A place where one user alone comes and goes, and
 *   where nobody was told of company within that time, is not to be told of: there is nobody to tell.
 * - **Nothing stays.** A place without leases is forgotten `memoryMs` after its last exchange, or at once where nothing
 *   was to be told of it.
 */
export type PresenceStore = {
  /**
   * Holds, renews, shortens and ends leases, in one round trip for many places. Answers in the order of the updates.
   * Rejects where the store cannot be reached; then it may have happened, and asking again does no harm.
   */
  exchange(updates: readonly PlaceUpdate[]): Promise<Standing[]>
  /** Who is there now; changes nothing. Answers in the order of the places. */
  read(places: readonly string[]): Promise<Occupants[]>
  close(): Promise<void>
}

export const activities = ['present', 'typing'] as const
export type Activity = (typeof activities)[number]

export type PlaceUpdate = { readonly place: string; readonly leases: readonly Lease[] }

/** `holder` tells apart leases of one user; without `|`. `ttlMs` 0 ends the lease. */
export type Lease = {
  readonly activity: Activity
  readonly userId: string
  readonly holder: string
  readonly ttlMs: number
}

/** User ids, each once and sorted. */
export type Occupants = Readonly<Record<Activity, readonly string[]>>

/** `nextEndMs` is how long the lease that ends first lasts; null where there is none. */
export type Standing = Occupants & {
  readonly versions: Readonly<Record<Activity, number>>
  readonly nextEndMs: number | null
}
