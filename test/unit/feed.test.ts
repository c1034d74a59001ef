import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { Polled } from '../../src/lib/polled.ts'
import type { Following } from '../../src/realtime/broker.ts'
import { createMemoryBroker } from '../../src/realtime/broker-memory.ts'
import { createFeed } from '../../src/realtime/feed.ts'
import { createWorld, nothing, type World } from '../support/feed-world.ts'

type Step =
  | { do: 'add' | 'reply' | 'touch' | 'checkpoint' }
  | { do: 'announce' | 'end' | 'lose'; which: number }
  | { do: 'delta'; which: number; text: string }
type Act =
  | Step
  | { do: 'observe' | 'follow'; before: Step[]; after: Step[] }
  | { do: 'pull'; which: number; limit: number }
  | { do: 'resume'; which: number }

const which = fc.nat({ max: 7 })
const just = <const Name extends string>(name: Name) => fc.constant({ do: name } as const)
const step: fc.Arbitrary<Step> = fc.oneof(
  just('add'),
  just('reply'),
  just('touch'),
  just('checkpoint'),
  { arbitrary: fc.record({ do: fc.constantFrom('announce', 'end'), which }), weight: 4 },
  fc.record({ do: fc.constant('lose' as const), which }),
  {
    arbitrary: fc.record({
      do: fc.constant('delta'),
      which,
      text: fc.string({ minLength: 1, maxLength: 4 }),
    }),
    weight: 6,
  },
)
const steps = fc.array(step, { maxLength: 14 })
const act: fc.Arbitrary<Act> = fc.oneof(
  { arbitrary: step, weight: 6 },
  fc.record({ do: fc.constantFrom('observe', 'follow'), before: steps, after: steps }),
  fc.record({ do: fc.constant('pull'), which, limit: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constant('resume'), which }),
)
const acts = fc.array(act, { minLength: 10, maxLength: 80 })

const take = async (world: World, taken: readonly Step[]) => {
  for (const one of taken) {
    if (one.do === 'announce') await world.announce(one.which)
    else if (one.do === 'end') world.end(one.which)
    else if (one.do === 'lose') world.lose(one.which)
    else if (one.do === 'delta') await world.delta(one.which, one.text)
    else await world[one.do]()
  }
}

function createFeedOf(maxEntries: number, batchSize: number) {
  const broker = createMemoryBroker({ maxEntries, maxAgeMs: 600_000, batchSize })
  // Some announcements come in time, others are waited for in vain.
  return { broker, feed: createFeed(broker, { maxEntries, patienceMs: 4 }) }
}

async function play(maxEntries: number, batchSize: number, played: readonly Act[]) {
  const { broker, feed } = createFeedOf(maxEntries, batchSize)
  const world = createWorld(feed, maxEntries)
  for (const one of played) {
    if ('before' in one) {
      const read = world.readWith(
        () => take(world, one.before),
        () => take(world, one.after),
      )
      await (one.do === 'observe' ? world.observeAndFollow(read) : world.follow(read))
    } else if (one.do === 'pull' || one.do === 'resume') {
      const reader = world.readers[one.which % world.readers.length]
      if (one.do === 'pull') await reader?.pull(one.limit)
      else await reader?.resume(feed, world.readWith(nothing, nothing))
    } else await take(world, [one])
  }
  await world.settle()
  await broker.close()
}

describe('the feed', () => {
  it('is exact for whoever reads and follows at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(acts, fc.integer({ min: 1, max: 5 }), (played, batchSize) =>
        play(10_000, batchSize, played),
      ),
      { numRuns: 400 },
    )
  })

  it('is exact where its history is so short that readers fall out of it', async () => {
    await fc.assert(
      fc.asyncProperty(acts, fc.integer({ min: 4, max: 24 }), (played, maxEntries) =>
        play(maxEntries, 3, played),
      ),
      { numRuns: 400 },
    )
  })

  it('tells no text with a hole where the log has lost every word of it', async () => {
    const { broker, feed } = createFeedOf(6, 3)
    const world = createWorld(feed, 1_000)
    await world.reply()
    await world.announce(0)
    await world.delta(0, 'said, not stored')
    for (let index = 0; index < 6; index += 1) {
      world.touch()
      await world.announce(0)
    }
    await world.observeAndFollow(world.readWith(nothing, nothing))
    await world.follow(world.readWith(nothing, nothing))
    await world.settle()
    await broker.close()
  })

  it('brings a snapshot before a word of a message that nobody announced', async () => {
    const { broker, feed } = createFeedOf(100, 300)
    const read = async () => ({ revision, text: new Map(text) })
    let revision = 0
    const text = new Map<string, string>()
    const deliveries = iterate(await feed.follow('one', { read }))
    expect((await deliveries.next()).value).toMatchObject({ reason: 'START' })
    // Committed, while the log was away for a moment: it is a new one and knows of no revision.
    revision = 1
    text.set('reply', '')
    const place = { sessionId: 'one', messageId: 'reply', fence: 1 }
    const delta = (offset: number) =>
      ({ type: 'TextDelta', fence: 1, messageId: 'reply', offset, text: 'word ' }) as const
    await feed.teller(place)({ count: 0, textLength: 5 }, [delta(0)])
    const { value } = await deliveries.next()
    expect(value).toMatchObject({ reason: 'GAP', snapshot: { text: new Map([['reply', 'word ']]) } })
    await feed.teller(place)({ count: 1, textLength: 10 }, [delta(5)])
    expect((await deliveries.next()).value).toMatchObject({ event: { offset: 5 } })
    await deliveries.return?.()
    await broker.close()
  })

  it('shuts out whoever tells a reply before its text is taken', async () => {
    const { broker, feed } = createFeedOf(100, 300)
    const place = { sessionId: 'one', messageId: 'reply', fence: 3 }
    const delta = (offset: number) =>
      ({ type: 'TextDelta', fence: 3, messageId: 'reply', offset, text: 'word ' }) as const
    expect(await feed.teller(place)({ count: 0, textLength: 5 }, [delta(0)])).toBe(1)
    expect(await feed.takeOver({ ...place, fence: 4 }, 'wo')).toBe('word ')
    expect(await feed.teller(place)({ count: 1, textLength: 10 }, [delta(5)])).toBe('overtaken')
    expect(await feed.takeOver({ ...place, fence: 4 }, 'word and more')).toBe('word and more')
    await broker.close()
  })

  it('looks for the text of a reply behind all that came after it', async () => {
    const { broker, feed } = createFeedOf(10_000, 300)
    const world = createWorld(feed, 10_000)
    await world.reply()
    await world.announce(0)
    await world.delta(0, 'said, not stored')
    for (let index = 0; index < 300; index += 1) {
      world.touch()
      await world.announce(0)
    }
    await world.observeAndFollow(world.readWith(nothing, nothing))
    await world.follow(world.readWith(nothing, nothing))
    await world.delta(0, ' and on')
    await world.settle()
    await broker.close()
  })

  it('reads again where its history went by while it read', async () => {
    const { broker, feed } = createFeedOf(4, 300)
    const world = createWorld(feed, 4)
    await world.reply()
    await world.announce(0)
    const flood = async () => {
      world.add()
      await world.announce(0)
      for (let words = 0; words < 5; words += 1) await world.delta(0, 'word ')
    }
    await world.observeAndFollow(world.readWith(nothing, flood))
    await world.settle()
    await broker.close()
  })

  it('holds no follower any more once its reader is gone, at whatever moment', async () => {
    const { broker, feed } = createFeedOf(100, 10)
    const followings: Following[] = []
    const counting = createFeed(
      {
        ...broker,
        async follow(channel, options) {
          const following = await broker.follow(channel, options)
          followings.push(following)
          return following
        },
      },
      { maxEntries: 100 },
    )
    const read = async () => ({ revision: 0, text: new Map<string, string>() })
    const unread = iterate(await counting.follow('one', { read }))
    await unread.return?.()
    const started = iterate(await counting.follow('one', { read }))
    await started.next()
    await started.return?.()
    const waiting = iterate(await counting.follow('one', { read }))
    await waiting.next()
    const next = waiting.next()
    await waiting.return?.()
    expect(await next).toMatchObject({ done: true })
    const told = await counting.follow('one', { read })
    await feed.publish('one', [{ type: 'SessionDeleted', revision: 1, sessionId: 'one' }])
    expect((await Array.fromAsync(told)).length).toBe(2)
    await expect(
      counting.follow('one', {
        read: async () => {
          throw new Error('The database is gone.')
        },
      }),
    ).rejects.toThrow('The database is gone.')
    const polled = followings.map((following) => following.poll(() => {})?.done)
    expect(polled).toEqual([true, true, true, true, true])
    await broker.close()
  })
})

const iterate = <Value>(polled: Polled<Value>) => polled[Symbol.asyncIterator]()

it('finds the cursor of a revision in a short tail, however long the log is', async () => {
  const { broker, feed } = createFeedOf(10_000, 300)
  const touch = (revision: number) => ({ type: 'Lost', revision }) as const
  for (let revision = 1; revision <= 1_000; revision += 1) await feed.publish('session', [touch(revision)])
  const limits: number[] = []
  const tail = broker.tail.bind(broker)
  vi.spyOn(broker, 'tail').mockImplementation((channel, limit) => {
    limits.push(limit)
    return tail(channel, limit)
  })
  const offsetAt = async (revision: number) => (await feed.cursorAt('session', revision)).split(':')[1]
  expect(await offsetAt(1_000)).toBe('1000')
  expect(await offsetAt(2_000)).toBe('1000')
  expect(await offsetAt(999)).toBe('999')
  expect(await offsetAt(800)).toBe('800')
  expect(Math.max(...limits)).toBeLessThan(300)
  expect(await offsetAt(100)).toBe('100')
  expect(await offsetAt(0)).toBe('0')
})
