import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Broker, BrokerLimits, JsonValue } from '../../src/realtime/broker.ts'
import {
  type BrokerHarness,
  type CreateHarness,
  channel,
  dataOf,
  follow,
  readData,
} from './broker.harness.ts'
import { describeFollowing, describeGaps } from './broker-following.suite.ts'
import { describeAge, describeEnds } from './broker-life.suite.ts'
import { describeMarks } from './broker-marks.suite.ts'
import { describeModel } from './broker-model.suite.ts'

const defaultLimits = { maxEntries: 100, maxAgeMs: 60_000, batchSize: 10 }

type Options = {
  /** The age of entries in tests of it: long enough that the broker's clock is not ahead of the test. */
  ageMs: number
  /** Whether time passes for all tests at once, which then wait together. */
  isClockShared: boolean
  /** Histories with a long pause in them; 0 leaves out everything that needs time to pass. */
  pauses: number
}

/** Every guarantee of `broker.ts`; each call of `createHarness` gives a broker that shares no channel with another. */
export function brokerSuite(
  name: string,
  { ageMs, isClockShared, pauses }: Options,
  createHarness: (limits: BrokerLimits) => Promise<BrokerHarness>,
) {
  describe(`broker contract: ${name}`, () => {
    const open: Broker[] = []
    const create: CreateHarness = async (limits) => {
      const harness = await createHarness({ ...defaultLimits, ...limits })
      open.push(harness.broker)
      return harness
    }
    afterEach(async () => {
      await Promise.all(open.splice(0).map((broker) => broker.close()))
    })

    describe('the log', () => describeLog(create))
    describe('marks', () => describeMarks(create))
    describe('following', () => describeFollowing(create))
    describe('a gap', () => describeGaps(create))
    describe('an end', () => describeEnds(create))
    if (pauses > 0)
      describe('age', { concurrent: isClockShared }, () => {
        // Closed together: the end of one test is not that of those beside it.
        const aged: Broker[] = []
        afterAll(async () => {
          await Promise.all(aged.map((broker) => broker.close()))
        })
        const createAged: CreateHarness = async (limits) => {
          const harness = await createHarness({ ...defaultLimits, ...limits })
          aged.push(harness.broker)
          return harness
        }
        describeAge(createAged, ageMs)
      })
    describe('any interleaving', () => describeModel(create, pauses))
  })
}

function describeLog(create: CreateHarness) {
  test('is in use once it was named, as anybody may go on from there', async () => {
    const { broker } = await create()
    const { epoch } = await broker.position(channel)
    expect(broker.isUsed(channel)).toBe(true)
    await broker.append('another', ['a'])
    expect(broker.isUsed('another')).toBe(true)
    expect((await broker.position(channel)).epoch).toBe(epoch)
  })

  test('counts entries from 1 and per channel', async () => {
    const { broker } = await create()
    const start = await broker.position(channel)
    expect(start.offset).toBe(0)
    expect(start.epoch).toMatch(/^[^:]+$/)
    expect((await broker.append(channel, ['a', 'b', 'c'])).position).toEqual({ ...start, offset: 3 })
    expect((await broker.append(channel, ['d'])).position).toEqual({ ...start, offset: 4 })
    expect((await broker.append(channel, [])).position).toEqual({ ...start, offset: 4 })
    expect(await broker.position(channel)).toEqual({ ...start, offset: 4 })
    expect((await broker.position('session:two')).offset).toBe(0)
  })

  test('keeps the entries of one append together', async () => {
    const { broker } = await create()
    const batches = Array.from({ length: 20 }, (_, batch) => [0, 1, 2, 3].map((part) => [batch, part]))
    const positions = await Promise.all(
      batches.map(async (batch) => (await broker.append(channel, batch)).position),
    )
    const { entries } = await broker.tail(channel, 100)
    expect(entries.map(({ offset }) => offset)).toEqual(Array.from({ length: 80 }, (_, index) => index + 1))
    for (const [index, batch] of batches.entries()) {
      const end = positions[index]?.offset ?? Number.NaN
      expect(dataOf(entries.slice(end - 4, end))).toEqual(batch)
    }
  })

  test('gives values back as they were', async () => {
    const { broker } = await create()
    const values: JsonValue[] = [
      null,
      true,
      0,
      -1.5,
      '',
      'ü\u0000\n👩‍🚀',
      [],
      [[]],
      {},
      { a: { b: [null, { c: '' }] } },
    ]
    const reader = await follow(broker)
    await broker.append(channel, values)
    const { entries } = await broker.tail(channel, 100)
    expect(dataOf(entries)).toEqual(values)
    expect(entries.every(({ at }) => Number.isInteger(at) && at > 0)).toBe(true)
    expect(await readData(reader, values.length)).toEqual(values)
  })

  test('reads the entries after a position, oldest first', async () => {
    const { broker } = await create()
    const start = await broker.position(channel)
    const { position: end } = await broker.append(channel, ['a', 'b', 'c', 'd'])
    expect(dataOf(await broker.read(channel, start, 10))).toEqual(['a', 'b', 'c', 'd'])
    expect(dataOf(await broker.read(channel, { ...start, offset: 1 }, 2))).toEqual(['b', 'c'])
    expect(await broker.read(channel, end, 10)).toEqual([])
  })

  test('keeps the newest entries up to its bound', async () => {
    const { broker } = await create({ maxEntries: 3 })
    const {
      position: { epoch },
    } = await broker.append(channel, ['a', 'b', 'c', 'd'])
    expect(await broker.read(channel, { epoch, offset: 0 }, 10)).toBeNull()
    expect(dataOf(await broker.read(channel, { epoch, offset: 1 }, 10))).toEqual(['b', 'c', 'd'])
    await broker.append(channel, ['e', 'f', 'g', 'h', 'i'])
    expect(dataOf((await broker.tail(channel, 10)).entries)).toEqual(['g', 'h', 'i'])
  })

  test('does not read from a position that it never had', async () => {
    const { broker } = await create()
    const {
      position: { epoch },
    } = await broker.append(channel, ['a'])
    expect(await broker.read(channel, { epoch, offset: 2 }, 10)).toBeNull()
    expect(await broker.read(channel, { epoch, offset: -1 }, 10)).toBeNull()
    expect(await broker.read(channel, { epoch: 'elsewhere', offset: 0 }, 10)).toBeNull()
    expect(await broker.read('session:two', { epoch, offset: 0 }, 10)).toBeNull()
  })

  test('shows its tail together with the position', async () => {
    const { broker } = await create()
    expect(await broker.tail(channel, 2)).toEqual({
      entries: [],
      marks: {},
      position: await broker.position(channel),
    })
    const { position } = await broker.append(channel, ['a', 'b', 'c'])
    const tail = await broker.tail(channel, 2)
    expect(tail.position).toEqual(position)
    expect(tail.entries).toMatchObject([
      { offset: 2, data: 'b' },
      { offset: 3, data: 'c' },
    ])
  })
}
