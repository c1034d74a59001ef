import { SmallSet } from '../lib/small-set.ts'
import { type Activity, activities, type Lease, type Occupants, type PresenceStore } from './presence.ts'

type Held = Omit<Lease, 'ttlMs'> & { endsAtMs: number }

type Place = {
  /** Few: one for each activity, user and holder. */
  readonly leases: SmallSet<Held>
  readonly versions: Record<Activity, number>
  usedAtMs: number
}

const sweepMs = 60_000

/** Presence for a single node: it lives in this process and ends with it. */
export function createMemoryPresence({ memoryMs }: { memoryMs: number }): PresenceStore {
  const places = new Map<string, Place>()

  const sweep = () => {
    const now = Date.now()
    for (const [name, place] of places)
      if (isOver(place, now) && place.usedAtMs < now - memoryMs) places.delete(name)
  }
  const sweeping = setInterval(sweep, Math.min(memoryMs, sweepMs)).unref()

  return {
    async exchange(updates) {
      const now = Date.now()
      return updates.map(({ place: name, leases }) => {
        const place = places.get(name) ?? newPlace()
        const before = occupantsOf(place, Number.NEGATIVE_INFINITY)
        for (const held of [...place.leases]) if (held.endsAtMs <= now) place.leases.delete(held)
        for (const lease of leases) hold(place, lease, now)
        const after = occupantsOf(place, now)
        for (const activity of activities)
          if (isToBeTold(place, activity, before, after))
            place.versions[activity] = Math.max(place.versions[activity] + 1, now)
        place.usedAtMs = now
        if (isOver(place, now) && !isRemembered(place)) places.delete(name)
        else places.set(name, place)
        const ends = [...place.leases].map(({ endsAtMs }) => endsAtMs - now)
        const nextEndMs = ends.length > 0 ? Math.min(...ends) : null
        return { ...after, versions: { ...place.versions }, nextEndMs }
      })
    },
    async read(names) {
      const now = Date.now()
      return names.map((name) => occupantsOf(places.get(name) ?? newPlace(), now))
    },
    async close() {
      clearInterval(sweeping)
      places.clear()
    },
  }
}

function hold(place: Place, { activity, userId, holder, ttlMs }: Lease, now: number): void {
  const held = [...place.leases].find(
    (other) => other.activity === activity && other.userId === userId && other.holder === holder,
  )
  if (held && ttlMs > 0) held.endsAtMs = now + ttlMs
  else if (held) place.leases.delete(held)
  else if (ttlMs > 0) place.leases.add({ activity, userId, holder, endsAtMs: now + ttlMs })
}

const newPlace = (): Place => ({ leases: new SmallSet(), versions: { present: 0, typing: 0 }, usedAtMs: 0 })

const isRemembered = ({ versions }: Place) => activities.some((activity) => versions[activity] > 0)

const isOver = ({ leases }: Place, now: number) => [...leases].every(({ endsAtMs }) => endsAtMs <= now)

function occupantsOf({ leases }: Place, now: number): Occupants {
  const users = (activity: Activity) =>
    [...leases]
      .filter((held) => held.activity === activity && held.endsAtMs > now)
      .map(({ userId }) => userId)
  const sorted = (activity: Activity) => [...new Set(users(activity))].sort()
  return { present: sorted('present'), typing: sorted('typing') }
}

function isToBeTold({ versions }: Place, activity: Activity, before: Occupants, after: Occupants): boolean {
  if (before[activity].join() === after[activity].join()) return false
  return activity === 'typing' || after.present.length > 1 || versions.present > 0
}
