import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import type { Broker, FollowItem } from '../../src/realtime/broker.ts'
import {
  type CreateHarness,
  channel,
  dataOf,
  follow,
  iterate,
  never,
  nextItem,
  readData,
} from './broker.harness.ts'

export function describeEnds(create: CreateHarness) {
  type Ending = { broker: Broker; reader: AsyncIterator<FollowItem>; abort: AbortController }
  const endings: [string, (ending: Ending) => unknown][] = [
    ['abort', ({ abort }) => abort.abort()],
    ['return', ({ reader }) => reader.return?.()],
    ['close', ({ broker }) => broker.close()],
  ]

  async function attach(signal: AbortSignal) {
    const { broker } = await create()
    return { broker, reader: await follow(broker, undefined, signal) }
  }

  test.each(endings)('by %s ends a read that waits', async (_, end) => {
    const abort = new AbortController()
    const { broker, reader } = await attach(abort.signal)
    const waiting = reader.next()
    await end({ broker, reader, abort })
    expect(await waiting).toEqual({ value: undefined, done: true })
    expect(await reader.next()).toEqual({ value: undefined, done: true })
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
  })

  test.each(endings)('by %s holds for a follower that has not read what is there', async (_, end) => {
    const abort = new AbortController()
    const { broker, reader } = await attach(abort.signal)
    await broker.append(channel, ['a'])
    await end({ broker, reader, abort })
    expect(await reader.next()).toEqual({ value: undefined, done: true })
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
  })

  test('is there from the start where the signal was aborted before', async () => {
    const signal = AbortSignal.abort()
    const { broker, reader } = await attach(signal)
    await broker.append(channel, ['a'])
    expect(await reader.next()).toEqual({ value: undefined, done: true })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('comes with the end of a loop and leaves the others be', async () => {
    const abort = new AbortController()
    const { broker, reader: other } = await attach(never)
    const following = await broker.follow(channel, { signal: abort.signal })
    await broker.append(channel, ['a'])
    for await (const _ of following) break
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
    expect(await iterate(following).next()).toEqual({ value: undefined, done: true })
    await broker.append(channel, ['b'])
    expect(await readData(other, 2)).toEqual(['a', 'b'])
  })

  test('of the broker refuses every later call', async () => {
    const { broker } = await create()
    const { position } = await broker.append(channel, ['a'])
    await broker.close()
    await broker.close()
    await expect(broker.append(channel, ['b'])).rejects.toThrow()
    await expect(broker.position(channel)).rejects.toThrow()
    await expect(broker.read(channel, position, 1)).rejects.toThrow()
    await expect(broker.tail(channel, 1)).rejects.toThrow()
    await expect(broker.follow(channel, { signal: never })).rejects.toThrow()
  })
}

export function describeAge(create: CreateHarness, maxAgeMs: number) {
  const withinMs = maxAgeMs * 0.6
  const beyondMs = maxAgeMs * 2.5

  test('drops entries, told as a gap, while a follower keeps the channel', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    const start = await broker.position(channel)
    const stopped = await follow(broker)
    const { position: end } = await broker.append(channel, ['a', 'b'])
    await passTime(withinMs)
    expect(dataOf(await broker.read(channel, start, 10))).toEqual(['a', 'b'])
    await passTime(beyondMs)
    expect(await broker.tail(channel, 10)).toEqual({ entries: [], marks: {}, position: end })
    expect(await broker.read(channel, start, 10)).toBeNull()
    expect(await broker.read(channel, end, 10)).toEqual([])
    expect(await nextItem(stopped)).toEqual({ type: 'gap', position: end })
    await broker.append(channel, ['c'])
    expect(await readData(stopped, 1)).toEqual(['c'])
  })

  test('drops the old entries of a channel that goes on', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    for (const value of ['a', 'b', 'c', 'd', 'e']) {
      await broker.append(channel, [value])
      await passTime(withinMs)
    }
    const kept = dataOf((await broker.tail(channel, 10)).entries)
    expect(kept).not.toContain('a')
    expect(kept).toContain('e')
  })

  test('forgets a channel that nobody uses, and begins it anew', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    const { position: old } = await broker.append(channel, ['a', 'b'])
    await passTime(beyondMs)
    const following = await broker.follow(channel, { after: old, signal: never })
    expect(following.position.epoch).not.toBe(old.epoch)
    expect(following.position.offset).toBe(0)
    expect(await nextItem(iterate(following))).toEqual({ type: 'gap', position: following.position })
    expect((await broker.append(channel, ['c'])).position).toEqual({ ...following.position, offset: 1 })
  })

  test('forgets the marks with their channel', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    await broker.append(channel, ['a'], [{ name: 'turn', to: 1 }])
    await passTime(beyondMs)
    const again = await broker.append(channel, ['b'], [{ name: 'turn', min: 7, to: 8 }])
    expect(again).toMatchObject({ isAppended: true, position: { offset: 1 }, marks: [8] })
  })

  test('keeps the marks of a channel whose entries are dropped', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    await follow(broker)
    await broker.append(channel, ['a'], [{ name: 'turn', to: 1 }])
    await passTime(beyondMs)
    expect(await broker.tail(channel, 10)).toMatchObject({ entries: [], marks: { turn: 1 } })
  })

  test('does not touch a channel that is asked for its position', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    const { position: end } = await broker.append(channel, ['a'])
    for (let turn = 0; turn < 4; turn++) {
      await passTime(withinMs)
      expect(await broker.position(channel)).toEqual(end)
    }
  })

  test('counts from the end of the last follower', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    const reader = await follow(broker)
    const { position: end } = await broker.append(channel, ['a'])
    await passTime(beyondMs)
    await reader.return?.()
    await passTime(withinMs)
    expect(await broker.position(channel)).toEqual(end)
    await passTime(beyondMs)
    expect((await broker.position(channel)).epoch).not.toBe(end.epoch)
  })

  test('forgets a channel however many followers came and went', async () => {
    const { broker, passTime } = await create({ maxAgeMs })
    const { epoch } = await broker.position(channel)
    const [abort, staying] = [new AbortController(), new AbortController()]
    for (let cycle = 0; cycle < 300; cycle++) {
      const reader = await follow(broker, undefined, cycle % 3 === 0 ? abort.signal : staying.signal)
      const waiting = cycle % 2 === 0 ? reader.next() : undefined
      if (cycle % 3 !== 0) await reader.return?.()
      if (cycle % 3 !== 0) await waiting
    }
    abort.abort()
    expect(getEventListeners(staying.signal, 'abort')).toEqual([])
    await passTime(beyondMs)
    expect((await broker.position(channel)).epoch).not.toBe(epoch)
  })
}
