import { expect, it, vi } from 'vitest'
import { createMemoryPresence } from '../../src/realtime/presence-memory.ts'
import { createRooms, roomTimes } from '../../src/realtime/presence-rooms.ts'
import { patience } from '../support/patience.ts'

const place = { tenantId: 'tenant', sessionId: 'session' }

/** `asked`: how many leases each exchange was for. */
function startRooms({ isAway }: { isAway: boolean }) {
  const store = createMemoryPresence({ memoryMs: 60_000 })
  const asked: number[] = []
  const rooms = createRooms({
    store: {
      ...store,
      exchange: async (updates) => {
        asked.push(...updates.map(({ leases }) => leases.length))
        if (isAway) throw new Error('The store is away.')
        return store.exchange(updates)
      },
    },
    nodeId: 'node',
    times: roomTimes,
    onFailure: () => {},
    tell: async (tellings) => tellings.map(() => true),
  })
  return { rooms, asked }
}

it('a message asks the store nothing where its author is not known to type', async () => {
  const { rooms, asked } = startRooms({ isAway: false })
  rooms.sent(place, 'alice')
  expect(rooms.size()).toBe(0)
  rooms.type(place, 'alice', true)
  await vi.waitFor(() => expect(asked).toEqual([1]), patience)
  rooms.sent(place, 'alice')
  await vi.waitFor(() => expect(rooms.size()).toBe(0), patience)
  expect(asked).toEqual([1, 1])
  rooms.enter(place, 'bob')
  await vi.waitFor(() => expect(asked).toEqual([1, 1, 1]))
  rooms.sent(place, 'alice')
  // Bob is there and carol types: nothing is asked of alice.
  rooms.type(place, 'carol', true)
  await vi.waitFor(() => expect(asked).toEqual([1, 1, 1, 2]))
})

it('a message ends what the feed told of typing, once', async () => {
  const { rooms, asked } = startRooms({ isAway: false })
  rooms.heard(place, ['alice'])
  rooms.sent(place, 'alice')
  expect(rooms.size()).toBe(0)
  rooms.enter(place, 'bob')
  rooms.heard(place, ['alice', 'carol'])
  for (let count = 0; count < 10; count += 1) rooms.sent(place, 'alice')
  await vi.waitFor(() => expect(asked).toEqual([2]))
  rooms.sent(place, 'alice')
  rooms.sent(place, 'carol')
  await vi.waitFor(() => expect(asked).toEqual([2, 2]))
})

it('messages are kept once for each user, however many come while the store is away', async () => {
  const { rooms, asked } = startRooms({ isAway: true })
  for (const user of ['alice', 'bob']) rooms.type(place, user, true)
  for (let count = 0; count < 100; count += 1) {
    rooms.sent(place, 'alice')
    rooms.sent(place, 'bob')
  }
  await vi.waitFor(() => expect(asked).toEqual([2]), patience)
  for (let count = 0; count < 100; count += 1) rooms.sent(place, 'bob')
  await rooms.stop()
  expect(asked.at(-1)).toBe(2)
})
