import { expect, test } from 'vitest'
import type { Mark } from '../../src/realtime/broker.ts'
import { type CreateHarness, channel, dataOf, follow, readData } from './broker.harness.ts'

export function describeMarks(create: CreateHarness) {
  test('hold where they are not there, whatever the bounds', async () => {
    const { broker } = await create()
    const start = await broker.position(channel)
    const marks = [{ name: 'turn', min: 5, max: 6, to: 1 }]
    expect(await broker.append(channel, ['a'], marks)).toEqual({
      position: { ...start, offset: 1 },
      isAppended: true,
      marks: [1],
    })
  })

  test.each<[string, boolean, Omit<Mark, 'name' | 'to'>]>([
    ['without bounds', true, {}],
    ['at the lower bound', true, { min: 3 }],
    ['below the lower bound', false, { min: 4 }],
    ['at the upper bound', true, { max: 3 }],
    ['above the upper bound', false, { max: 2 }],
    ['between the bounds', true, { min: 2, max: 4 }],
    ['at both bounds', true, { min: 3, max: 3 }],
    ['below both bounds', false, { min: 4, max: 9 }],
    ['above both bounds', false, { min: -9, max: 2 }],
  ])('of the value 3 are compared %s: %s', async (_, isAppended, bounds) => {
    const { broker } = await create()
    await broker.append(channel, [], [{ name: 'turn', to: 3 }])
    const appended = await broker.append(channel, ['a'], [{ name: 'turn', ...bounds, to: 9 }])
    expect(appended).toMatchObject({ isAppended, marks: [isAppended ? 9 : 3] })
    expect(dataOf((await broker.tail(channel, 9)).entries)).toEqual(isAppended ? ['a'] : [])
  })

  test('move together or not at all', async () => {
    const { broker } = await create()
    const { position } = await broker.append(
      channel,
      ['a'],
      [
        { name: 'one', to: 1 },
        { name: 'two', to: 1 },
      ],
    )
    const moves = [
      { name: 'one', max: 1, to: 5 },
      { name: 'new', to: 5 },
      { name: 'two', max: 0, to: 5 },
    ]
    for (const marks of [moves, moves.toReversed()])
      expect(await broker.append(channel, ['b'], marks)).toEqual({
        position,
        isAppended: false,
        marks: marks.map(({ name }) => (name === 'new' ? undefined : 1)),
      })
    const tail = await broker.tail(channel, 9)
    expect(tail).toMatchObject({ position, marks: { one: 1, two: 1 } })
    expect(dataOf(tail.entries)).toEqual(['a'])
  })

  test('that are refused wake nobody', async () => {
    const { broker } = await create()
    await broker.append(channel, [], [{ name: 'turn', to: 1 }])
    const reader = await follow(broker)
    const waiting = readData(reader, 1)
    await broker.append(channel, ['refused'], [{ name: 'turn', max: 0, to: 1 }])
    await broker.append(channel, ['b'], [{ name: 'turn', max: 1, to: 2 }])
    expect(await waiting).toEqual(['b'])
  })

  test('are taken away by null and hold again', async () => {
    const { broker } = await create()
    await broker.append(channel, [], [{ name: 'turn', to: 1 }])
    const away = await broker.append(channel, ['a'], [{ name: 'turn', min: 1, to: null }])
    expect(away).toMatchObject({ isAppended: true, marks: [undefined] })
    expect((await broker.tail(channel, 9)).marks).toEqual({})
    const again = await broker.append(channel, ['b'], [{ name: 'turn', min: 5, to: 6 }])
    expect(again).toMatchObject({ isAppended: true, marks: [6] })
  })

  test('are refused a move away, too', async () => {
    const { broker } = await create()
    await broker.append(channel, [], [{ name: 'turn', to: 1 }])
    const refused = await broker.append(channel, ['a'], [{ name: 'turn', min: 2, to: null }])
    expect(refused).toMatchObject({ isAppended: false, marks: [1] })
  })

  test('move without an entry', async () => {
    const { broker } = await create()
    const { position } = await broker.append(channel, ['a'])
    const moved = await broker.append(channel, [], [{ name: 'turn', to: 1 }])
    expect(moved).toEqual({ position, isAppended: true, marks: [1] })
  })

  test('are told by an append where it names them, and all by the tail', async () => {
    const { broker } = await create()
    await broker.append(channel, ['a'], [{ name: 'one', to: 1 }])
    expect((await broker.append(channel, ['b'], [{ name: 'two', to: 2 }])).marks).toEqual([2])
    expect((await broker.append(channel, ['c'])).marks).toEqual([])
    expect((await broker.tail(channel, 1)).marks).toEqual({ one: 1, two: 2 })
  })

  test('belong to their channel', async () => {
    const { broker } = await create()
    await broker.append(channel, [], [{ name: 'turn', to: 1 }])
    const other = await broker.append('session:two', ['a'], [{ name: 'turn', min: 5, to: 6 }])
    expect(other).toMatchObject({ isAppended: true, marks: [6] })
    expect((await broker.tail(channel, 9)).marks).toEqual({ turn: 1 })
  })

  test('have any name and any whole number', async () => {
    const { broker } = await create()
    const { position } = await broker.append(channel, ['a'])
    const values = {
      epoch: 0,
      last: -7,
      marks: Number.MAX_SAFE_INTEGER,
      'text:ü :{}': Number.MIN_SAFE_INTEGER,
      '': 1_000_000_000_000_000,
    }
    const marks = Object.entries(values).map(([name, to]) => ({ name, to }))
    expect(await broker.append(channel, [], marks)).toEqual({
      position,
      isAppended: true,
      marks: Object.values(values),
    })
    const { marks: kept, position: end } = await broker.tail(channel, 9)
    expect({ kept, end }).toEqual({ kept: values, end: position })
    const last = { name: 'marks', to: 1 }
    const below = { ...last, max: Number.MAX_SAFE_INTEGER - 1 }
    expect((await broker.append(channel, [], [below])).isAppended).toBe(false)
    const within = { ...last, min: Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }
    expect((await broker.append(channel, [], [within])).isAppended).toBe(true)
  })

  test('let one of many producers in', async () => {
    const { broker } = await create()
    for (let turn = 0; turn < 5; turn++) {
      const marks = [{ name: 'turn', max: turn, to: turn + 1 }]
      const producers = Array.from({ length: 20 }, (_, producer) => `${turn}:${producer}`)
      const answers = await Promise.all(producers.map((value) => broker.append(channel, [value], marks)))
      expect(answers.filter(({ isAppended }) => isAppended)).toHaveLength(1)
      for (const answer of answers)
        expect(answer).toMatchObject({ position: { offset: turn + 1 }, marks: [turn + 1] })
      const winner = producers[answers.findIndex(({ isAppended }) => isAppended)]
      expect(dataOf((await broker.tail(channel, 1)).entries)).toEqual([winner])
    }
  })

  test('can be conditions alone: without `to` the number stays as it is', async () => {
    const { broker } = await create()
    await broker.append(channel, ['a'], [{ name: 'turn', to: 5 }])
    const met = await broker.append(
      channel,
      ['b'],
      [
        { name: 'turn', min: 5 },
        { name: 'absent', min: 9 },
      ],
    )
    expect(met).toMatchObject({ isAppended: true, marks: [5, undefined] })
    const unmet = await broker.append(channel, ['c'], [{ name: 'turn', min: 6 }])
    expect(unmet).toMatchObject({ isAppended: false, marks: [5] })
    expect((await broker.tail(channel, 9)).marks).toEqual({ turn: 5 })
  })
}
