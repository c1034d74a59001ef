import { setImmediate as turn } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemoryBroker } from '../../src/realtime/broker-memory.ts'
import { createFeed } from '../../src/realtime/feed.ts'
import { createFanOutWorld } from '../support/fan-out-world.ts'

async function createWorld(maxEntries = 1_000) {
  const broker = createMemoryBroker({ maxEntries, maxAgeMs: 600_000, batchSize: 7 })
  const world = await createFanOutWorld(createFeed(broker, { maxEntries, patienceMs: 4 }))
  return { ...world, broker }
}

const turns = async (count: number) => {
  for (let done = 0; done < count; done += 1) await turn()
}

const which = fc.nat({ max: 9 })
const act = fc.oneof(
  { arbitrary: fc.record({ do: fc.constantFrom('change', 'announce', 'turn') }), weight: 4 },
  {
    arbitrary: fc.record({ do: fc.constant('say'), words: fc.string({ minLength: 1, maxLength: 5 }) }),
    weight: 6,
  },
  { arbitrary: fc.record({ do: fc.constantFrom('start', 'resume', 'leave', 'recover'), which }), weight: 3 },
  fc.record({ do: fc.constant('tire'), which, more: fc.integer({ min: 1, max: 4 }) }),
)

describe('readers that share a feed', () => {
  it('get each event once and in order, wherever they begin, come back or fall behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { minLength: 20, maxLength: 90 }),
        fc.boolean(),
        async (acts, isShort) => {
          const world = await createWorld(isShort ? 12 : 1_000)
          for (const one of acts) {
            const reader =
              'which' in one ? world.readers[one.which % Math.max(1, world.readers.length)] : undefined
            if (one.do === 'change') world.change()
            else if (one.do === 'announce') await world.announce()
            else if (one.do === 'turn') await turn()
            else if ('words' in one) await world.say(one.words)
            else if (one.do === 'start') await world.join(`user-${one.which % 3}`, null)
            else if ('more' in one) reader?.tire(one.more)
            else if (one.do === 'recover') reader?.recover()
            else if (one.do === 'leave') reader?.leave()
            else if (one.do === 'resume' && reader && !reader.isGone() && reader.cursor() !== null) {
              reader.leave()
              const held = { count: reader.count(), text: reader.text() }
              await world.join(reader.user, reader.cursor(), held)
            }
          }
          await world.settle()
          // Whoever has read the last change already passes over what announces it; this they all come to.
          await world.say('the end')
          await turns(20)
          const staying = world.readers.filter(({ isGone }) => !isGone()).length
          expect(world.size()).toEqual({
            groups: Math.min(1, staying),
            lanes: Math.min(1, staying),
            readers: staying,
          })
          for (const reader of world.readers) reader.leave()
          expect(world.size()).toEqual({ groups: 0, lanes: 0, readers: 0 })
          await world.broker.close()
        },
      ),
      { numRuns: 400 },
    )
  })

  it('are told by one rendering, and come back to it from where they were', async () => {
    const world = await createWorld()
    const readers = []
    for (let index = 0; index < 50; index += 1) readers.push(await world.join(`user-${index}`, null))
    await turns(20)
    expect(world.size()).toEqual({ groups: 1, lanes: 1, readers: 50 })
    for (let round = 0; round < 10; round += 1) {
      await world.say(`word ${round} `)
      await turns(3)
    }
    const [first] = readers
    const seen = first?.got.slice(0, -3) ?? []
    await world.join('late', cursorOf(seen.at(-1)), { count: 0, text: textOf(seen) })
    await world.settle()
    await turns(5)
    const told = first?.got.slice(1) ?? []
    expect(told.length).toBe(11)
    // Each event was rendered once for the fifty; none again for the one that came from just behind.
    expect(told.map((value) => world.renders.get(cursorOf(value) ?? ''))).toEqual(Array(11).fill(1))
    expect(world.size()).toEqual({ groups: 1, lanes: 1, readers: 51 })
    await world.broker.close()
  })

  it('get text that waits in one piece', async () => {
    const world = await createWorld()
    const slow = await world.join('slow', null)
    const quick = await world.join('quick', null)
    await turns(5)
    slow.tire(1)
    for (let round = 0; round < 40; round += 1) {
      await world.say('word ')
      await turns(3)
    }
    expect(quick.got.length).toBe(41)
    expect(slow.got.length).toBe(2)
    await world.settle()
    expect(slow.got.map(({ is }) => is)).toEqual(['state', 'text', 'text', 'change'])
    expect(slow.text()).toBe('word '.repeat(40))
    await world.broker.close()
  })
})

it('keeps no snapshot of a reader that waits', async () => {
  class Stored {
    revision = 1
    count = 0
    text = new Map()
  }
  const world = await createWorld()
  for (let index = 0; index < 5; index += 1)
    await world.join('alice', null, undefined, async () => new Stored())
  await turns(20)
  expect(world.size().readers).toBe(5)
  expect(world.readers.map(({ got }) => got.length)).toEqual([1, 1, 1, 1, 1])
  expect(queryObjects(Stored, { format: 'count' })).toBe(0)
  await world.broker.close()
})

describe('the right of each reader is its own', () => {
  it('ends with its removal, before anything more is told, and nobody else is disturbed', async () => {
    const world = await createWorld()
    const [alice, bob] = [await world.join('alice', null), await world.join('bob', null)]
    await turns(5)
    await world.say('for both')
    await world.remove('bob')
    await world.say(' for alice')
    await world.settle()
    expect([bob.outcome(), bob.text()]).toEqual(['end', 'for both'])
    expect([alice.outcome(), alice.text()]).toEqual(['', 'for both for alice'])
    await world.broker.close()
  })

  it('is decided anew where history does not reach back, even where the removal itself was lost', async () => {
    const world = await createWorld(12)
    const [alice, bob] = [await world.join('alice', null), await world.join('bob', null)]
    await turns(5)
    for (const reader of [alice, bob]) reader.tire(1)
    await world.say('seen')
    await turns(5)
    await world.remove('bob')
    for (let round = 0; round < 30; round += 1) await world.say(` ${round}`)
    await world.settle()
    expect(bob.isGone()).toBe(true)
    expect(bob.text()).toBe('seen')
    expect(alice.got.map((value) => ('reason' in value ? value.reason : value.is))).toContain('GAP')
    await world.broker.close()
  })

  it('does not end with that of the one who opened the source', async () => {
    const world = await createWorld()
    const [alice, bob] = [await world.join('alice', null), await world.join('bob', null)]
    await turns(5)
    expect(world.size().lanes).toBe(1)
    await world.remove('alice')
    await world.say('for bob')
    await world.settle()
    expect([alice.outcome(), bob.outcome()]).toEqual(['end', ''])
    await world.broker.close()
  })

  it('is decided before a reader that was behind its removal is told what came after', async () => {
    const world = await createWorld()
    const [alice, bob] = [await world.join('alice', null), await world.join('bob', null)]
    await turns(5)
    bob.tire(1)
    await world.say('seen')
    await turns(5)
    await world.remove('bob')
    await turns(5)
    await world.say(' secret')
    await turns(5)
    bob.recover()
    await world.settle()
    expect([bob.outcome(), bob.text()]).toEqual(['end', 'seen'])
    expect(alice.text()).toBe('seen secret')
    await world.broker.close()
  })

  it('is that of each one where the source fails for the one who opened it', async () => {
    const world = await createWorld(12)
    const [alice, bob] = [await world.join('alice', null), await world.join('bob', null)]
    await turns(5)
    for (const reader of [alice, bob]) reader.tire(1)
    await world.say('seen')
    await turns(5)
    await world.remove('alice')
    for (let round = 0; round < 30; round += 1) await world.say(` ${round}`)
    alice.recover()
    bob.recover()
    await world.settle()
    expect([alice.outcome(), alice.text()]).toEqual(['Error: not visible', 'seen'])
    expect(bob.got.map((value) => ('reason' in value ? value.reason : value.is))).toContain('GAP')
    await world.broker.close()
  })

  it('ends for all with the session', async () => {
    const world = await createWorld()
    const readers = [await world.join('alice', null), await world.join('bob', null)]
    readers[1]?.tire(1)
    await turns(5)
    await world.deleteSession()
    await turns(10)
    readers[1]?.recover()
    await turns(10)
    expect(readers.map(({ outcome }) => outcome())).toEqual(['end', 'end'])
    expect(readers.map(({ got }) => got.at(-1)?.is)).toEqual(['end', 'end'])
    expect(world.size()).toEqual({ groups: 0, lanes: 0, readers: 0 })
    await world.broker.close()
  })
})

const cursorOf = (value: object | undefined) => (value as { cursor?: string } | undefined)?.cursor ?? null
const textOf = (values: readonly { is: string; text?: string }[]) =>
  values.reduce((text, value) => (value.is === 'state' ? (value.text ?? '') : text + (value.text ?? '')), '')
