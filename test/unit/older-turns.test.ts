import { expect, it } from 'vitest'
import type { Said, Turn } from '../../src/features/context/conversation.ts'
import { olderTurns } from '../../src/features/context/older-turns.ts'

const turn = (...seqs: number[]): Turn =>
  seqs.map((seq): Said => ({ id: `m${seq}`, seq, message: { role: 'user', content: `Message ${seq}` } }))
const none = Number.POSITIVE_INFINITY

function older(
  turns: readonly Turn[],
  { keepLast = 1, withoutRoom = 0, unfinished = none, room = 1_000 } = {},
) {
  const step = { keepLast, unfinished, room, count: (text: string) => text.length }
  return olderTurns({ turns, withoutRoom }, step).map(({ seq }) => seq)
}

it('keeps the turn that holds the last message to keep, unless it has no room', () => {
  const turns = [turn(1, 2), turn(3, 4, 5, 6), turn(7, 8)]
  expect(older(turns)).toEqual([1, 2, 3, 4, 5, 6])
  expect(older(turns, { keepLast: 3 })).toEqual([1, 2])
  expect(older(turns, { keepLast: 7 })).toEqual([])
  expect(older(turns, { keepLast: 7, withoutRoom: 1 })).toEqual([1, 2])
})

it('stops before a turn that is unfinished', () => {
  expect(older([turn(1, 2), turn(3, 4), turn(5, 6)], { withoutRoom: 3, unfinished: 4 })).toEqual([1, 2])
})

it('passes over no turn that began before the last of them ended', () => {
  // A tool's result and the words after it came later than the next question.
  const turns = [turn(1, 2), turn(3, 4, 7, 8), turn(5, 6), turn(9, 10)]
  expect(older(turns, { keepLast: 3 })).toEqual([1, 2])
  expect(older(turns)).toEqual([1, 2, 3, 4, 7, 8, 5, 6])
})

it('takes as many turns as one request has room for, and one at least', () => {
  const turns = [turn(1, 2), turn(3, 4), turn(5, 6)]
  const oneTurn = 2 * 'Message 1'.length
  expect(older(turns, { room: oneTurn })).toEqual([1, 2])
  expect(older(turns, { room: 1 })).toEqual([1, 2])
  expect(older(turns, { room: 2 * oneTurn })).toEqual([1, 2, 3, 4])
})
