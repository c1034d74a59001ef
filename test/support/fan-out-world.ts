import { setImmediate as turn } from 'node:timers/promises'
import { expect } from 'vitest'
import { createTurnEnd } from '../../src/lib/turn.ts'
import { createFanOut } from '../../src/realtime/fan-out.ts'
import { everybody, type Membership, type Source, type Step } from '../../src/realtime/fan-out-source.ts'
import type { Feed } from '../../src/realtime/feed.ts'
import type { Delivery, StoredState } from '../../src/realtime/feed-deliveries.ts'
import type { ChangeEvent } from '../../src/realtime/feed-events.ts'

type State = StoredState & { count: number }
/** What readers are told: how many changes there were and what text came. */
type Value =
  | { is: 'state'; count: number; text: string; reason: string }
  | { is: 'change'; count: number }
  | { is: 'text'; offset: number; text: string }
  | { is: 'end' }

const sessionId = 'session'
const messageId = 'reply'
const fence = 1

/**
 * A session of one reply that grows and of changes that are counted, its feed, and readers of it that share. A reader
 * takes offence at whatever comes twice, too early or not at all.
 */
export async function createFanOutWorld(feed: Feed) {
  const fanOut = createFanOut(createTurnEnd())
  const waiting: ChangeEvent[] = []
  const readers: SharingReader[] = []
  const removed = new Set<string>()
  let [revision, count, told, text] = [1, 0, 0, '']
  await feed.teller({ sessionId, messageId, fence })({ count: 0, textLength: 0 }, [])
  const world = {
    readers,
    removed,
    size: fanOut.size,
    /** How often each event was put into JSON, by its cursor. */
    renders: new Map<string, number>(),
    /** Commits a change; it is announced later. */
    change() {
      revision += 1
      count += 1
      waiting.push({ type: 'SessionUpdated', revision, session: { id: sessionId, count } })
    },
    async announce() {
      const event = waiting.shift()
      if (event) await feed.publish(sessionId, [event])
    },
    async say(words: string) {
      const event = { type: 'TextDelta', fence, messageId, offset: text.length, text: words } as const
      text += words
      told += 1
      const reply = { count: told - 1, textLength: text.length }
      expect(await feed.teller({ sessionId, messageId, fence })(reply, [event])).toBe(told)
    },
    async remove(user: string) {
      removed.add(user)
      while (waiting.length > 0) await world.announce()
      revision += 1
      await feed.publish(sessionId, [{ type: 'ParticipantRemoved', revision, userId: user }])
    },
    async deleteSession() {
      while (waiting.length > 0) await world.announce()
      revision += 1
      await feed.publish(sessionId, [{ type: 'SessionDeleted', revision, sessionId }])
    },
    read: async (): Promise<State> => ({ revision, count, text: new Map([[messageId, text]]) }),
    async join(user: string, after: string | null, held?: Held, read = () => readFor(user)) {
      const reader = createSharingReader(user, after, held)
      readers.push(reader)
      const source = sourceOf(user)
      const render = (value: Value & { cursor: string }) => {
        world.renders.set(value.cursor, (world.renders.get(value.cursor) ?? 0) + 1)
        return JSON.stringify(value)
      }
      const start = after === null ? { opened: await feed.follow(sessionId, { read }) } : { after }
      reader.membership = fanOut.join({ key: 'all', rendering: { render } }, source, start, reader)
      return reader
    },
    /** All is announced; every reader that is not gone comes to hold what is stored, by one lane for all. */
    async settle() {
      world.change()
      while (waiting.length > 0) await world.announce()
      for (const reader of readers) reader.recover()
      const isBehind = (reader: SharingReader) =>
        !reader.isGone() && (reader.count() < count || reader.text().length < text.length)
      for (const reader of readers) {
        while (reader.fault() === undefined && isBehind(reader)) await turn()
        if (reader.fault() !== undefined) throw reader.fault()
      }
      for (const reader of readers.filter(({ isGone }) => !isGone()))
        expect([reader.count(), reader.text()]).toEqual([count, text])
    },
  }

  const readFor = async (user: string) => {
    if (removed.has(user)) throw new Error('not visible')
    return world.read()
  }

  const sourceOf = (user: string): Source<Delivery<State>, Value & { cursor: string }> => ({
    userId: user,
    follow: (after) => feed.follow(sessionId, { read: () => readFor(user) }, after),
    stepOf: toStep,
    mayRead: async () => {
      await turn()
      return !removed.has(user)
    },
    joined: (first, second) =>
      first.is === 'text' && second.is === 'text' && first.offset + first.text.length === second.offset
        ? { ...second, offset: first.offset, text: first.text + second.text }
        : null,
  })
  return world
}

function toStep(delivery: Delivery<State>): Step<Value & { cursor: string }> {
  const { cursor } = delivery
  if ('snapshot' in delivery) {
    const { snapshot, reason } = delivery
    const { count } = snapshot.state
    const value = { cursor, is: 'state' as const, count, reason, text: snapshot.text.get(messageId) ?? '' }
    return reason === 'GAP' ? { cursor, value, recheck: everybody } : { cursor, value }
  }
  const { event } = delivery
  if (event.type === 'ParticipantRemoved') return { cursor, recheck: event.userId }
  if (event.type === 'SessionDeleted') return { cursor, value: { cursor, is: 'end' }, isLast: true }
  if (event.type === 'SessionUpdated')
    return { cursor, value: { cursor, is: 'change', count: Number(event.session.count) } }
  if (event.type === 'TextDelta')
    return { cursor, value: { cursor, is: 'text', offset: event.offset, text: event.text } }
  return { cursor }
}

export type SharingReader = ReturnType<typeof createSharingReader>

/** What a reader has that comes back. */
type Held = { count: number; text: string }

function createSharingReader(user: string, after: string | null, held: Held = { count: 0, text: '' }) {
  let { count, text } = held
  let cursor = after
  let [takes, isGone, outcome] = [Number.POSITIVE_INFINITY, false, '']
  let fault: unknown
  const got: Value[] = []
  const apply = (value: Value & { cursor: string }) => {
    got.push(value)
    cursor = value.cursor
    if (value.is === 'state') ({ count, text } = value)
    else if (value.is === 'change') expect(value.count).toBe(++count)
    else if (value.is === 'text') {
      expect(value.offset).toBe(text.length)
      text += value.text
    }
  }
  const reader = {
    user,
    got,
    membership: undefined as Membership | undefined,
    count: () => count,
    text: () => text,
    cursor: () => cursor,
    outcome: () => outcome,
    isGone: () => isGone,
    fault: () => fault,
    take(json: string) {
      try {
        expect(isGone || takes <= 0, 'told although it has gone or had enough').toBe(false)
        apply(JSON.parse(json))
      } catch (error) {
        fault ??= error
      }
      takes -= 1
      return takes > 0
    },
    end() {
      isGone = true
      outcome = 'end'
    },
    fail(error: unknown) {
      isGone = true
      outcome = String(error)
    },
    /** Takes so many events more, until it recovers. */
    tire(more: number) {
      takes = Math.max(1, more)
    },
    recover() {
      takes = Number.POSITIVE_INFINITY
      reader.membership?.resume()
    },
    leave() {
      isGone = true
      reader.membership?.leave()
    },
  }
  return reader
}
