import { expect, it } from 'vitest'
import { createGathered } from '../../src/lib/gathered.ts'

it('gathers what is asked for without waiting, in order and no more than fits', async () => {
  const calls: number[][] = []
  const double = createGathered<number, number>(async (items) => {
    calls.push([...items])
    return items.map((item) => item * 2)
  }, 3)
  expect(await Promise.all([1, 2, 3, 4].map(double))).toEqual([2, 4, 6, 8])
  expect(await double(5)).toBe(10)
  expect(calls).toEqual([[1, 2, 3], [4], [5]])
})

it('fails for all of a call, and for no other', async () => {
  const check = createGathered<number, number>(async (items) => {
    if (items.includes(0)) throw new Error('zero')
    return items
  }, 2)
  const settled = await Promise.allSettled([1, 0, 2].map(check))
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
})
