import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { type Activity, activities, type Lease, type PresenceStore } from '../../src/realtime/presence.ts'

export type PresenceHarness = {
  store: PresenceStore
  /** Lets this much time pass by the store's clock. */
  passTime(ms: number): Promise<void>
}

const place = 'one'
const lease = (
  userId: string,
  { activity = 'present' as Activity, holder = 'node', ttlMs = 60_000 } = {},
): Lease => ({ activity, userId, holder, ttlMs })

/** Every guarantee of `presence.ts`; each call of `create` gives a store that shares no place with another. */
export function presenceSuite(
  name: string,
  /** What a lease lasts that is to end, and the time after which it has; models of histories that are tried. */
  { shortMs, models }: { shortMs: number; models: number },
  createHarness: (options: { memoryMs: number }) => Promise<PresenceHarness>,
) {
  describe(`presence contract: ${name}`, () => {
    const open: PresenceStore[] = []
    const create = async (memoryMs = 600_000) => {
      const harness = await createHarness({ memoryMs })
      open.push(harness.store)
      const exchange = async (...leases: Lease[]) => {
        const [standing] = await harness.store.exchange([{ place, leases }])
        if (!standing) throw new Error('There is no answer.')
        return standing
      }
      return { ...harness, exchange }
    }
    afterEach(async () => {
      await Promise.all(open.splice(0).map((store) => store.close()))
    })

    test('a user is there while any of its leases is', async () => {
      const { exchange, store } = await create()
      expect(await exchange()).toMatchObject({ present: [], typing: [], nextEndMs: null })
      await exchange(lease('b'), lease('a', { holder: 'x' }), lease('a', { holder: 'y' }))
      expect(await exchange()).toMatchObject({ present: ['a', 'b'], typing: [] })
      await exchange(lease('a', { holder: 'x', ttlMs: 0 }))
      expect(await store.read([place, 'other'])).toEqual([
        { present: ['a', 'b'], typing: [] },
        { present: [], typing: [] },
      ])
      expect(await exchange(lease('a', { holder: 'y', ttlMs: 0 }))).toMatchObject({ present: ['b'] })
    })

    test('a lease ends by itself, unless it is renewed, and when it is shortened', async () => {
      const { exchange, store, passTime } = await create()
      const { nextEndMs } = await exchange(lease('a', { ttlMs: shortMs }), lease('b'), lease('c'))
      expect(nextEndMs).toBeGreaterThan(0)
      expect(nextEndMs).toBeLessThanOrEqual(shortMs)
      await exchange(lease('b', { ttlMs: shortMs }), lease('a', { activity: 'typing', ttlMs: shortMs }))
      expect(await store.read([place])).toEqual([{ present: ['a', 'b', 'c'], typing: ['a'] }])
      await passTime(shortMs + 1)
      expect(await store.read([place])).toEqual([{ present: ['c'], typing: [] }])
      expect((await exchange()).nextEndMs).toBeGreaterThan(shortMs)
    })

    test('versions rise with each change of the users, whoever finds it, and with nothing else', async () => {
      const { exchange, passTime } = await create()
      const first = await exchange(lease('a'), lease('b'))
      expect(first.versions.present).toBeGreaterThan(0)
      expect(first.versions.typing).toBe(0)
      expect((await exchange(lease('a'), lease('a', { holder: 'other' }))).versions).toEqual(first.versions)
      const second = await exchange(lease('c', { ttlMs: shortMs }))
      expect(second.versions.present).toBeGreaterThan(first.versions.present)
      const typing = await exchange(lease('a', { activity: 'typing' }))
      expect(typing.versions).toEqual({ present: second.versions.present, typing: expect.any(Number) })
      expect(typing.versions.typing).toBeGreaterThan(0)
      await passTime(shortMs + 1)
      const third = await exchange()
      expect(third.versions.present).toBeGreaterThan(second.versions.present)
      expect((await exchange()).versions).toEqual(third.versions)
    })

    test('one user alone is nothing to tell, until there was another', async () => {
      const { exchange } = await create()
      for (const ttlMs of [60_000, 0, 60_000])
        expect((await exchange(lease('a', { ttlMs }))).versions).toEqual({ present: 0, typing: 0 })
      const versions: number[] = []
      for (const each of [lease('b'), lease('b', { ttlMs: 0 }), lease('a', { ttlMs: 0 }), lease('c')])
        versions.push((await exchange(each)).versions.present)
      expect([...new Set(versions)].sort((a, b) => a - b)).toEqual(versions)
      expect(versions[0]).toBeGreaterThan(0)
    })

    test('what was told of a lease is found to have ended, however long nobody asked', async () => {
      const { exchange, passTime } = await create(shortMs * 40)
      const told = await exchange(lease('a', { activity: 'typing', ttlMs: shortMs }))
      await passTime(shortMs * 2)
      const later = await exchange()
      expect(later.typing).toEqual([])
      expect(later.versions.typing).toBeGreaterThan(told.versions.typing)
    })

    test('versions rise even past what the store remembers', async () => {
      const { exchange, passTime } = await create(shortMs)
      const before = await exchange(lease('a', { ttlMs: shortMs }), lease('b', { ttlMs: shortMs }))
      await passTime(shortMs * 3)
      const after = await exchange(lease('a'), lease('b'))
      expect(after.versions.present).toBeGreaterThan(before.versions.present)
    })

    test('many places are asked at once, each for itself', async () => {
      const { store } = await create()
      const places = Array.from({ length: 450 }, (_, index) => `place${index}`)
      const standings = await store.exchange(
        places.map((each, index) => ({ place: each, leases: [lease(`user${index}`)] })),
      )
      expect(standings.map(({ present }) => present)).toEqual(places.map((_, index) => [`user${index}`]))
      expect(await store.read(places.toReversed())).toEqual(
        places.map((_, index) => ({ present: [`user${index}`], typing: [] })).toReversed(),
      )
    })

    test('any history gives the users that a plain count gives', async () => {
      const user = fc.constantFrom('a', 'b', 'c')
      const change = fc.record({
        activity: fc.constantFrom(...activities),
        userId: user,
        holder: fc.constantFrom('x', 'y'),
        ttlMs: fc.constantFrom(0, 60_000),
      })
      const history = fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 12 })
      await fc.assert(
        fc.asyncProperty(history, async (steps) => {
          const { exchange } = await create()
          const held = new Map<string, Lease>()
          let versions: Record<Activity, number> = { present: 0, typing: 0 }
          const users = (activity: Activity) => [
            ...new Set(
              [...held.values()].filter((each) => each.activity === activity).map(({ userId }) => userId),
            ),
          ]
          for (const step of steps) {
            const before = { present: users('present').sort(), typing: users('typing').sort() }
            for (const each of step) {
              const key = `${each.activity} ${each.userId} ${each.holder}`
              if (each.ttlMs > 0) held.set(key, each)
              else held.delete(key)
            }
            const standing = await exchange(...step)
            for (const activity of activities) {
              const now = users(activity).sort()
              expect(standing[activity]).toEqual(now)
              const isChanged = now.join() !== before[activity].join()
              const isTold = activity === 'typing' || now.length > 1 || versions.present > 0
              if (isChanged && isTold) expect(standing.versions[activity]).toBeGreaterThan(versions[activity])
              else expect(standing.versions[activity]).toBe(versions[activity])
            }
            versions = standing.versions
          }
        }),
        { numRuns: models },
      )
    })
  })
}
