import { afterEach, describe, expect, it, vi } from 'vitest'
import type { PresenceStore } from '../../src/realtime/presence.ts'
import { createMemoryPresence } from '../../src/realtime/presence-memory.ts'
import { createRooms, type Rooms, roomTimes, type Telling } from '../../src/realtime/presence-rooms.ts'
import { patience } from '../support/patience.ts'

const times = {
  leaseMs: 600,
  renewMs: 200,
  graceMs: 150,
  typingMs: 300,
  typingAgainMs: 100,
  manyApartMs: 400,
}
const place = { tenantId: 'tenant', sessionId: 'session' }

type Node = {
  rooms: Rooms
  /** How many places each exchange was for. */
  exchanges: number[]
  /** As a node that dies: it does nothing any more, and its leases stay. */
  die(): void
}

/** Nodes on one store, and one log of what they tell, which takes each version once. */
function createNodes(graceMs = times.graceMs) {
  const store = createMemoryPresence({ memoryMs: 60_000 })
  const log: Telling[] = []
  let isLogAway = false
  let isStoreAway = false
  let nodes = 0
  const failures: unknown[] = []
  const started: Rooms[] = []

  const startNode = (): Node => {
    const exchanges: number[] = []
    let isDead = false
    const reachable: PresenceStore = {
      ...store,
      exchange(updates) {
        if (isDead) return new Promise(() => {})
        if (isStoreAway) return Promise.reject(new Error('The store is away.'))
        exchanges.push(updates.length)
        return store.exchange(updates)
      },
    }
    const rooms = createRooms({
      store: reachable,
      nodeId: `node${++nodes}`,
      times: { ...times, graceMs },
      onFailure: (error) => failures.push(error),
      tell: async (tellings) =>
        tellings.map((telling) => {
          if (isLogAway) return false
          const isNew = log.every(
            ({ sessionId, activity, version }) =>
              sessionId !== telling.sessionId || activity !== telling.activity || version < telling.version,
          )
          if (isNew) log.push(telling)
          return true
        }),
    })
    rooms.start()
    started.push(rooms)
    return {
      rooms,
      exchanges,
      die() {
        isDead = true
      },
    }
  }
  return {
    startNode,
    store,
    failures,
    /** Who was told to be present, in turn. */
    told: () => log.filter(({ activity }) => activity === 'present').map(({ userIds }) => userIds.join('+')),
    typing: () => log.filter(({ activity }) => activity === 'typing').map(({ userIds }) => userIds.join('+')),
    takeLog(isAway: boolean) {
      isLogAway = isAway
    },
    takeStore(isAway: boolean) {
      isStoreAway = isAway
    },
    stop: () => Promise.all(started.map((rooms) => Promise.race([rooms.stop(), Promise.resolve()]))),
  }
}

/** Each of them has looked once more. */
async function settled(...nodes: Node[]) {
  const before = nodes.map(({ exchanges }) => exchanges.length)
  await until(() => {
    for (const [index, { exchanges }] of nodes.entries())
      expect(exchanges.length).toBeGreaterThan(before[index] ?? 0)
  })
}

const until = (holds: () => void) => vi.waitFor(holds, { ...patience, interval: 10 })

describe('rooms of several nodes', () => {
  const opened: ReturnType<typeof createNodes>[] = []
  const create = (graceMs?: number) => {
    const nodes = createNodes(graceMs)
    opened.push(nodes)
    return nodes
  }
  afterEach(async () => {
    for (const nodes of opened.splice(0)) {
      await nodes.stop()
      await nodes.store.close()
    }
  })

  it('tell of many at once what came about within a time, and in the end all', async () => {
    const nodes = create()
    const node = nodes.startNode()
    const users = Array.from({ length: 60 }, (_, index) => `user${String(index).padStart(2, '0')}`)
    for (const user of users) {
      node.rooms.enter(place, user)
      await settled(node)
    }
    await until(() => expect(nodes.told().at(-1)).toBe(users.join('+')))
    // One by one up to twenty, the first of whom is alone.
    const many = nodes.told().filter((told) => told.split('+').length > 20)
    expect(nodes.told().length - many.length).toBe(19)
    expect(many.length).toBeLessThan(10)
  })

  it('tell each change once, whoever hears of it', async () => {
    const nodes = create()
    const [one, two] = [nodes.startNode(), nodes.startNode()]
    one.rooms.enter(place, 'alice')
    two.rooms.enter(place, 'bob')
    const leave = () => two.rooms.leave(place, 'bob')
    await until(() => expect(nodes.told()).toEqual(['alice+bob']))
    leave()
    leave()
    await until(() => expect(nodes.told()).toEqual(['alice+bob', 'alice']))
    const before = one.exchanges.length
    await until(() => expect(one.exchanges.length).toBeGreaterThan(before + 2))
    expect(nodes.told()).toEqual(['alice+bob', 'alice'])
  })

  it('see a node that died, and what it left half done', async () => {
    const nodes = create()
    const [one, two] = [nodes.startNode(), nodes.startNode()]
    one.rooms.enter(place, 'alice')
    two.rooms.enter(place, 'bob')
    two.rooms.type(place, 'bob', true)
    await until(() => expect(nodes.typing()).toEqual(['bob']))
    two.die()
    await until(() => expect(nodes.typing()).toEqual(['bob', '']))
    await until(() => expect(nodes.told()).toEqual(['alice+bob', 'alice']))
    const three = nodes.startNode()
    // It dies with what it caused in the store, before it could tell.
    nodes.takeLog(true)
    three.rooms.enter(place, 'carol')
    await until(async () =>
      expect(await nodes.store.read([place.sessionId])).toMatchObject([{ present: ['alice', 'carol'] }]),
    )
    three.die()
    nodes.takeLog(false)
    await until(() => expect(nodes.told().slice(2)).toEqual(['alice+carol', 'alice']))
  })

  it('keep who comes back within the grace, here or at another node', async () => {
    const nodes = create(2_000)
    const [one, two] = [nodes.startNode(), nodes.startNode()]
    one.rooms.enter(place, 'alice')
    two.rooms.enter(place, 'root')
    let isWith = one
    one.rooms.enter(place, 'bob')
    await until(() => expect(nodes.told().at(-1)).toEqual('alice+bob+root'))
    const before = nodes.told()
    for (const node of [one, two, one, two]) {
      isWith.rooms.leave(place, 'bob')
      await settled(one, two)
      isWith = node
      node.rooms.enter(place, 'bob')
      await settled(one, two)
    }
    expect(nodes.told()).toEqual(before)
    isWith.rooms.leave(place, 'bob')
    await until(() => expect(nodes.told()).toEqual([...before, 'alice+root']))
  })

  it('leave those of a node that stops the time to come elsewhere', async () => {
    const nodes = create(2_000)
    const [one, two] = [nodes.startNode(), nodes.startNode()]
    one.rooms.enter(place, 'alice')
    two.rooms.enter(place, 'bob')
    two.rooms.enter(place, 'carol')
    await until(() => expect(nodes.told().at(-1)).toBe('alice+bob+carol'))
    const before = nodes.told().length
    await two.rooms.stop()
    await settled(one)
    one.rooms.enter(place, 'bob')
    await until(() => expect(nodes.told().slice(before)).toEqual(['alice+bob']))
  })

  it('make good what could not be settled while the store was away', async () => {
    const nodes = create()
    const [one, two] = [nodes.startNode(), nodes.startNode()]
    one.rooms.enter(place, 'alice')
    two.rooms.enter(place, 'bob')
    const leave = () => two.rooms.leave(place, 'bob')
    await until(() => expect(nodes.told()).toEqual(['alice+bob']))
    nodes.takeStore(true)
    leave()
    two.rooms.enter(place, 'carol')
    two.rooms.type(place, 'carol', true)
    await until(() => expect(nodes.failures.length).toBeGreaterThan(1))
    nodes.takeStore(false)
    await until(() => expect(nodes.told().at(-1)).toBe('alice+carol'))
    await until(() => expect(nodes.typing()).toEqual(['carol', '']))
  })

  it('tell what could not be told while the log was away', async () => {
    const nodes = create()
    const { rooms, exchanges } = nodes.startNode()
    nodes.takeLog(true)
    rooms.enter(place, 'alice')
    rooms.enter(place, 'bob')
    await until(() => expect(exchanges.length).toBeGreaterThan(1))
    nodes.takeLog(false)
    await until(() => expect(nodes.told()).toEqual(['alice+bob']))
  })

  it('ask for many at once, and hold nothing of those who left', async () => {
    const nodes = create()
    const { rooms, exchanges } = nodes.startNode()
    const count = 5_000
    const places = Array.from({ length: count }, (_, index) => ({
      tenantId: 'tenant',
      sessionId: `session${index}`,
    }))
    for (const each of places) rooms.enter(each, 'alice')
    const asked = () => exchanges.reduce((sum, each) => sum + each, 0)
    await until(() => expect(asked()).toBeGreaterThanOrEqual(count))
    // Renewals are among them where the machine is slow.
    expect(asked() / exchanges.length).toBeGreaterThan(80)
    for (const each of places) rooms.leave(each, 'alice')
    await until(async () => {
      const present = (await nodes.store.read(places.map(({ sessionId }) => sessionId))).flatMap(
        (each) => each.present,
      )
      expect(present).toEqual([])
    })
    await until(() => expect(rooms.size()).toBe(0))
    expect(nodes.told()).toEqual([])
  })

  it('say nothing again of one who goes on typing', async () => {
    const nodes = create()
    const { rooms, exchanges } = nodes.startNode()
    rooms.enter(place, 'alice')
    for (let count = 0; count < 50; count += 1) rooms.type(place, 'bob', true)
    await until(() => expect(nodes.typing()).toEqual(['bob']))
    for (let count = 0; count < 4; count += 1) {
      const before = exchanges.length
      rooms.type(place, 'bob', true)
      await until(() => expect(exchanges.length).toBeGreaterThan(before))
    }
    await until(() => expect(nodes.typing()).toEqual(['bob', '']))
  })
})

it('a node that dies is noticed within 30 s, and renews twice before that', () => {
  expect(roomTimes.leaseMs).toBeLessThanOrEqual(30_000)
  expect(roomTimes.renewMs * 2).toBeLessThan(roomTimes.leaseMs)
})
