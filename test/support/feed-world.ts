import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Feed } from '../../src/realtime/feed.ts'
import type { Delivery, StoredState } from '../../src/realtime/feed-deliveries.ts'
import type { ChangeEvent } from '../../src/realtime/feed-events.ts'

/**
 * A session reduced to what its feed can be wrong about: rows, commits that are announced late and in any order, a
 * reply's text that is told at once and stored now and then, and readers who pull when they like.
 */
export type World = ReturnType<typeof createWorld>

type Row = { text: string; isStreaming: boolean }
type State = StoredState & { rows: ReadonlyMap<string, Row>; count: number }
type Commit = { events: ChangeEvent[]; announced: boolean; isTold?: boolean; replyId?: string }
/** A reply as the node that writes it knows it. */
type Told = { text: string; count: number; fence: number }

const sessionId = 'session'

export function createWorld(feed: Feed, maxEntries: number) {
  const rows = new Map<string, Row>()
  const told = new Map<string, Told>()
  const publishing = new Set<Promise<void>>()
  const commits: Commit[] = []
  const readers: Reader[] = []
  let revision = 0
  let count = 0
  let sinceDelta = 0

  /** Waits for what comes before it, so nobody waits for it here. */
  const publish = async (events: readonly ChangeEvent[], done: () => void) => {
    const published = feed
      .publish(sessionId, events)
      .then(done)
      .finally(() => publishing.delete(published))
    publishing.add(published)
    await Promise.race([published, turn()])
    sinceDelta += events.length
    // Text is stored within a second; in that time the log does not push all of it out.
    if (sinceDelta >= maxEntries - 1) checkpoint()
  }
  const commit = (events: (revision: number) => ChangeEvent[], replyId?: string) => {
    revision += 1
    commits.push({ events: events(revision), announced: false, ...(replyId ? { replyId } : {}) })
  }
  const checkpoint = () => {
    for (const [id, { text }] of told) rows.set(id, { text, isStreaming: true })
  }
  const isAnnounced = (id: string) => commits.some(({ replyId, isTold }) => replyId === id && isTold)
  const streaming = () => [...told.keys()].filter(isAnnounced)

  const world = {
    readers,
    add() {
      const id = `message-${rows.size}`
      rows.set(id, { text: `text of ${id}`, isStreaming: false })
      const message = { id, text: `text of ${id}`, isStreaming: false }
      commit((revision) => [{ type: 'MessageAdded', revision, message }])
    },
    async reply() {
      // A session answers one message at a time.
      if (told.size > 0) return
      const id = `message-${rows.size}`
      rows.set(id, { text: '', isStreaming: true })
      const message = { id, text: '', isStreaming: true }
      commit((revision) => [{ type: 'MessageAdded', revision, message }], id)
      told.set(id, { text: '', count: 0, fence: revision })
      await feed.teller({ sessionId, messageId: id, fence: revision })({ count: 0, textLength: 0 }, [])
    },
    touch() {
      count += 1
      const session = { id: sessionId, count }
      commit((revision) => [{ type: 'SessionUpdated', revision, session }])
    },
    async announce(which: number) {
      const waiting = commits.filter(({ announced }) => !announced)
      const one = waiting[which % waiting.length]
      if (!one) return
      one.announced = true
      await publish(one.events, () => {
        one.isTold = true
      })
    },
    /** A node died between a commit and its announcement. */
    lose(which: number) {
      const waiting = commits.filter(({ announced }) => !announced)
      const one = waiting[which % waiting.length]
      if (one) one.announced = true
    },
    async delta(which: number, text: string) {
      const ids = streaming()
      const messageId = ids[which % ids.length]
      const before = messageId === undefined ? undefined : told.get(messageId)
      if (messageId === undefined || !before) return
      const { fence, count } = before
      const after = { text: before.text + text, count: count + 1, fence }
      told.set(messageId, after)
      sinceDelta = 0
      const event = { type: 'TextDelta', fence, messageId, offset: before.text.length, text } as const
      const place = { sessionId, messageId, fence }
      const reply = { count, textLength: after.text.length }
      expect(await feed.teller(place)(reply, [event])).toBe(after.count)
      // Once more, as whoever did not hear the answer does.
      if (which % 2 === 1) expect(await feed.teller(place)(reply, [event])).toBe(after.count)
    },
    checkpoint,
    end(which: number) {
      const ids = streaming()
      const id = ids[which % ids.length]
      if (id === undefined) return
      const message = { id, text: told.get(id)?.text ?? '', isStreaming: false }
      rows.set(id, { text: message.text, isStreaming: false })
      told.delete(id)
      commit((revision) => [
        { type: 'MessageUpdated', revision, message },
        { type: 'RunFinished', revision, run: { id, startedAt: null, assistantMessageId: id } },
      ])
    },
    /** What the database holds, with things that happen before and after it is looked at. */
    readWith(before: () => Promise<void>, after: () => Promise<void>) {
      let isFirst = true
      return async (): Promise<State> => {
        if (isFirst) await before()
        const text = new Map(
          [...rows].filter(([, row]) => row.isStreaming).map(([id, row]) => [id, row.text]),
        )
        const state = { revision, text, rows: new Map(rows), count }
        if (isFirst) await after()
        // Whoever has to read again finds what was stored meanwhile.
        else checkpoint()
        isFirst = false
        return state
      }
    },
    async follow(read: () => Promise<State>) {
      const reader = createReader()
      readers.push(reader)
      await reader.attach(feed, { read })
    },
    async observeAndFollow(read: () => Promise<State>) {
      const { state, text, cursor } = await feed.observe(sessionId, read)
      const reader = createReader()
      readers.push(reader)
      reader.take({ state, text })
      await reader.attach(feed, { after: cursor, read: world.readWith(nothing, nothing) })
    },
    /** Everything is announced; then each reader must come to hold exactly what is stored. */
    async settle() {
      for (const _ of commits) await world.announce(0)
      while (streaming().length > 0) world.end(0)
      world.touch()
      for (const _ of commits) await world.announce(0)
      await Promise.all(publishing)
      for (const reader of readers) {
        await reader.pullUntil(count)
        expect(Object.fromEntries(reader.rows)).toEqual(Object.fromEntries(rows))
        await reader.detach()
      }
    },
  }
  return world
}

export const nothing = async () => {}

/** A reader that takes offence at everything that comes twice, too early or not at all. */
function createReader() {
  const rows = new Map<string, Row>()
  let count = 0
  let cursor: string | null = null
  let deliveries: AsyncIterator<Delivery<State>> | undefined
  let pending: Promise<void> | undefined
  let isArrived = false
  let fault: unknown

  const reader = {
    rows,
    take({ state, text }: { state: State; text: ReadonlyMap<string, string> }) {
      rows.clear()
      for (const [id, row] of state.rows) rows.set(id, { ...row, text: text.get(id) ?? row.text })
      count = state.count
    },
    async attach(feed: Feed, { after, read }: { after?: string; read: () => Promise<State> }) {
      cursor = after ?? null
      deliveries = (await feed.follow(sessionId, { read }, after))[Symbol.asyncIterator]()
    },
    /** Away and back, with the cursor that it has. */
    async resume(feed: Feed, read: () => Promise<State>) {
      await reader.detach()
      await reader.attach(feed, { ...(cursor === null ? {} : { after: cursor }), read })
    },
    async detach() {
      await deliveries?.return?.()
      await pending
      pending = undefined
      if (fault !== undefined) throw fault
    },
    /** Takes at most so many of the deliveries that are there. */
    async pull(limit: number) {
      for (let taken = 0; taken < limit; taken += 1) {
        isArrived = false
        pending ??= next()
        // Some turns of the event loop: all that a delivery can need where nothing sleeps.
        for (let turns = 0; turns < 5 && !isArrived; turns += 1) await turn()
        if (!isArrived) return
      }
    },
    async pullUntil(wanted: number) {
      while (count < wanted) {
        pending ??= next()
        await pending
        if (fault !== undefined) throw fault
      }
    },
  }

  const next = async () => {
    try {
      const { value, done } = (await deliveries?.next()) ?? { done: true }
      if (!done && value) apply(value)
    } catch (error) {
      fault = error
    }
    pending = undefined
    isArrived = true
  }

  function apply(delivery: Delivery<State>) {
    if ('snapshot' in delivery) {
      cursor = delivery.cursor
      return reader.take(delivery.snapshot)
    }
    const [epoch, offset] = delivery.cursor.split(':')
    const [epochBefore, offsetBefore] = cursor?.split(':') ?? []
    expect(epoch).toBe(epochBefore)
    expect(Number(offset)).toBeGreaterThan(Number(offsetBefore))
    cursor = delivery.cursor
    const { event } = delivery
    if (event.type === 'TextDelta') {
      const row = rows.get(event.messageId)
      expect(row).toMatchObject({ isStreaming: true })
      expect(row?.text.length).toBe(event.offset)
      rows.set(event.messageId, { isStreaming: true, text: `${row?.text}${event.text}` })
    } else if (event.type === 'SessionUpdated') {
      expect(count).not.toBe(event.session.count)
      count = Math.max(count, Number(event.session.count))
    } else if (event.type === 'MessageAdded' || event.type === 'MessageUpdated') {
      const { id, text, isStreaming } = event.message as unknown as Row & { id: string }
      const before = rows.get(id)
      if (event.type === 'MessageAdded') expect(before).toBeUndefined()
      else expect(before).toEqual({ text, isStreaming: true })
      rows.set(id, { text, isStreaming })
    }
  }
  return reader
}

export type Reader = ReturnType<typeof createReader>
