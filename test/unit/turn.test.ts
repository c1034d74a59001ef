import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createTurnEnd } from '../../src/lib/turn.ts'

it('does at the end of the turn what was put off, and what that puts off, in order', async () => {
  const atTurnEnd = createTurnEnd()
  const done: string[] = []
  atTurnEnd(() => {
    done.push('first')
    atTurnEnd(() => done.push('put off by the first'))
  })
  atTurnEnd(() => done.push('second'))
  await Promise.resolve()
  expect(done).toEqual([])
  await turn()
  expect(done).toEqual(['first', 'second', 'put off by the first'])
  atTurnEnd(() => done.push('later'))
  await turn()
  expect(done.at(-1)).toBe('later')
})

it('does the others where one fails', async () => {
  const failures: unknown[] = []
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.once('uncaughtException', (error) => failures.push(error))
  const atTurnEnd = createTurnEnd()
  const done: string[] = []
  atTurnEnd(() => {
    throw new Error('a fault')
  })
  atTurnEnd(() => done.push('the other'))
  while (done.length === 0) await turn()
  for (const listener of before) process.on('uncaughtException', listener)
  expect(failures).toMatchObject([{ message: 'a fault' }])
  expect(done).toEqual(['the other'])
})
