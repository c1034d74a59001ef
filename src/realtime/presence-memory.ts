import { type Activity, activities, type Lease, type Occupants, type PresenceStore } from './presence.ts'

type Place = {
  /** By activity, user and holder: when it ends. */
  readonly leases: Map<string, { lease: Lease; endsAtMs: number }>
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
        for (const [key, { endsAtMs }] of place.leases) if (endsAtMs <= now) place.leases.delete(key)
        for (const lease of leases) {
          const key = [lease.activity, lease.userId, lease.holder].join('|')
          if (lease.ttlMs > 0) place.leases.set(key, { lease, endsAtMs: now + lease.ttlMs })
          else place.leases.delete(key)
        }
        const after = occupantsOf(place, now)
        for (const activity of activities)
          if (isToBeTold(place, activity, before, after))
            place.versions[activity] = Math.max(place.versions[activity] + 1, now)
        place.usedAtMs = now
        if (isOver(place, now) && !isRemembered(place)) places.delete(name)
        else places.set(name, place)
        const ends = [...place.leases.values()].map(({ endsAtMs }) => endsAtMs - now)
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

const newPlace = (): Place => ({ leases: new Map(), versions: { present: 0, typing: 0 }, usedAtMs: 0 })

const isRemembered = ({ versions }: Place) => activities.some((activity) => versions[activity] > 0)

const isOver = ({ leases }: Place, now: number) =>
  [...leases.values()].every(({ endsAtMs }) => endsAtMs <= now)

function occupantsOf({ leases }: Place, now: number): Occupants {
  const users = (activity: Activity) =>
    [...leases.values()]
      .filter(({ lease, endsAtMs }) => lease.activity === activity && endsAtMs > now)
      .map(({ lease }) => lease.userId)
  const sorted = (activity: Activity) => [...new Set(users(activity))].sort()
  return { present: sorted('present'), typing: sorted('typing') }
}

function isToBeTold({ versions }: Place, activity: Activity, before: Occupants, after: Occupants): boolean {
  if (before[activity].join() === after[activity].join()) return false
  return activity === 'typing' || after.present.length > 1 || versions.present > 0
}
