import { expect, it } from 'vitest'
import { createTurns } from '../../src/lib/turns.ts'

/** Takes turns under keys and notes in which order they were got. */
function openTurns(atOnce: number, waitMs = 60_000) {
  const turns = createTurns({ atOnce, waitMs })
  const got: string[] = []
  const take = (name: string) => {
    const taking = turns.take(name.slice(0, 1)).then(() => void got.push(name))
    return taking
  }
  return { turns, got, take }
}
/** Whoever was let in has noticed. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

it('leaves a place to the others, however many come under one key', async () => {
  const { turns, got, take } = openTurns(4)
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) void take(name)
  await settled()
  expect(got).toEqual(['a1', 'a2', 'a3'])
  expect(turns.waiting()).toBe(2)
  await take('b1')
  turns.done('b')
  await settled()
  // The place of the others is no more for those who wait than it was before.
  expect(got).toEqual(['a1', 'a2', 'a3', 'b1'])
  turns.done('a')
  await settled()
  expect(got).toEqual(['a1', 'a2', 'a3', 'b1', 'a4'])
  turns.done('a')
  await settled()
  expect(got.at(-1)).toBe('a5')
})

it('serves lines in turn, and passes by one whose key has what it may', async () => {
  const { turns, got, take } = openTurns(4)
  for (const name of ['a1', 'a2', 'a3', 'b1', 'a4', 'a5', 'b2', 'b3', 'c1']) void take(name)
  await settled()
  expect(got).toEqual(['a1', 'a2', 'a3', 'b1'])
  for (const key of ['b', 'a', 'a', 'a', 'b']) {
    turns.done(key)
    await settled()
  }
  expect(got.slice(4)).toEqual(['b2', 'a4', 'c1', 'b3', 'a5'])
  expect(turns.waiting()).toBe(0)
})

it('shares all of a few places, and those of who gave up waiting', async () => {
  const { turns, got, take } = openTurns(2, 10)
  for (const name of ['a1', 'a2']) await take(name)
  await expect(take('b1')).rejects.toMatchObject({ message: expect.stringContaining('DATABASE_POOL_SIZE') })
  turns.done('a')
  await take('b2')
  expect(got).toEqual(['a1', 'a2', 'b2'])
  expect(turns.waiting()).toBe(0)
})
