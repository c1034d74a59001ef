import { expect, test } from 'vitest'
import { type CreateHarness, channel, follow, iterate, never, nextItem, readData } from './broker.harness.ts'

export function describeFollowing(create: CreateHarness) {
  test('delivers what was appended before the first read', async () => {
    const { broker } = await create()
    const following = await broker.follow(channel, { signal: never })
    await broker.append(channel, ['a', 'b'])
    expect(await readData(iterate(following), 2)).toEqual(['a', 'b'])
  })

  test('begins at the newest entry without a position', async () => {
    const { broker } = await create()
    const { position } = await broker.append(channel, ['before'])
    const following = await broker.follow(channel, { signal: never })
    expect(following.position).toEqual(position)
    await broker.append(channel, ['after'])
    expect(await readData(iterate(following), 1)).toEqual(['after'])
  })

  test('goes from history to live entries without a seam', async () => {
    const { broker } = await create()
    const start = await broker.position(channel)
    await broker.append(channel, ['a', 'b'])
    const following = await broker.follow(channel, { after: { ...start, offset: 1 }, signal: never })
    expect(following.position).toEqual({ ...start, offset: 1 })
    const reader = iterate(following)
    await broker.append(channel, ['c'])
    expect(await readData(reader, 2)).toEqual(['b', 'c'])
    const waiting = readData(reader, 1)
    await broker.append(channel, ['d'])
    expect(await waiting).toEqual(['d'])
  })

  test('hands out all that is there, in items of the batch size at most', async () => {
    const { broker } = await create({ batchSize: 3 })
    const reader = await follow(broker)
    for (const value of ['a', 'b', 'c', 'd', 'e']) await broker.append(channel, [value])
    const { epoch } = await broker.position(channel)
    expect(await nextItem(reader)).toMatchObject({ type: 'entries', epoch, entries: { length: 3 } })
    expect(await nextItem(reader)).toMatchObject({
      type: 'entries',
      epoch,
      entries: [
        { offset: 4, data: 'd' },
        { offset: 5, data: 'e' },
      ],
    })
  })

  test('answers reads that overlap in turn', async () => {
    const { broker } = await create({ batchSize: 1 })
    const reader = await follow(broker)
    const reads = [readData(reader, 1), readData(reader, 1), readData(reader, 1)]
    await broker.append(channel, ['a'])
    await broker.append(channel, ['b', 'c'])
    expect(await Promise.all(reads)).toEqual([['a'], ['b'], ['c']])
  })

  test('gives a thousand followers every entry once and in order', async () => {
    const { broker } = await create()
    const attach = () => broker.follow(channel, { signal: never })
    const followings = await Promise.all(Array.from({ length: 1000 }, attach))
    const reads = followings.map((following) => readData(iterate(following), 60))
    const values = Array.from({ length: 60 }, (_, index) => index)
    for (const value of values.slice(0, 30)) await broker.append(channel, [value])
    await Promise.all(values.slice(30).map((value) => broker.append(channel, [value])))
    for (const data of await Promise.all(reads)) expect(data).toEqual(values)
  })
}

export function describeGaps(create: CreateHarness) {
  test.each([
    ['was trimmed away', { offset: 1 }],
    ['lies ahead of the end', { offset: 6 }],
    ['is negative', { offset: -1 }],
    ['is of another epoch', { epoch: 'elsewhere', offset: 4 }],
  ])('is told on attaching where the position %s', async (_, wanted) => {
    const { broker } = await create({ maxEntries: 3 })
    const { position: end } = await broker.append(channel, ['a', 'b', 'c', 'd', 'e'])
    const following = await broker.follow(channel, { after: { ...end, ...wanted }, signal: never })
    expect(following.position).toEqual(end)
    await broker.append(channel, ['f'])
    const reader = iterate(following)
    expect(await nextItem(reader)).toEqual({ type: 'gap', position: end })
    expect(await readData(reader, 1)).toEqual(['f'])
  })

  test('is told at once, not with the next entry', async () => {
    const { broker } = await create()
    const reader = await follow(broker, { epoch: 'elsewhere', offset: 0 })
    expect(await nextItem(reader)).toEqual({ type: 'gap', position: await broker.position(channel) })
  })

  test('is not told at the very edge of the log', async () => {
    const { broker } = await create({ maxEntries: 3 })
    const { position: end } = await broker.append(channel, ['a', 'b', 'c', 'd', 'e'])
    expect(await readData(await follow(broker, { ...end, offset: 2 }), 3)).toEqual(['c', 'd', 'e'])
    const reader = await follow(broker, end)
    await broker.append(channel, ['f', 'g', 'h'])
    expect(await readData(reader, 3)).toEqual(['f', 'g', 'h'])
  })

  test('is told to a follower that fell behind, and only to that one', async () => {
    const { broker } = await create({ maxEntries: 3 })
    const [slow, quick] = [await follow(broker), await follow(broker)]
    await broker.append(channel, ['a', 'b'])
    expect(await readData(quick, 2)).toEqual(['a', 'b'])
    const { position: end } = await broker.append(channel, ['c', 'd'])
    expect(await readData(quick, 2)).toEqual(['c', 'd'])
    expect(await nextItem(slow)).toEqual({ type: 'gap', position: end })
    await broker.append(channel, ['e'])
    expect(await readData(slow, 1)).toEqual(['e'])
  })

  test('is told to a follower that waited for more than the log holds', async () => {
    const { broker } = await create({ maxEntries: 3 })
    const reader = await follow(broker)
    const waiting = nextItem(reader)
    const { position: end } = await broker.append(channel, ['a', 'b', 'c', 'd'])
    expect(await waiting).toEqual({ type: 'gap', position: end })
  })
}
