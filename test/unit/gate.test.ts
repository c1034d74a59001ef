import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createGate } from '../../src/lib/async.ts'

it('lets so many in at a time, in their order, whether they succeed or fail', async () => {
  const gate = createGate(3)
  let inside = 0
  let most = 0
  const order: number[] = []
  const results = await Promise.allSettled(
    Array.from({ length: 40 }, (_, index) =>
      gate(async () => {
        order.push(index)
        inside += 1
        most = Math.max(most, inside)
        for (let turns = 0; turns <= index % 4; turns += 1) await turn()
        inside -= 1
        if (index % 5 === 0) throw new Error('failed')
        return index
      }),
    ),
  )
  expect(most).toBe(3)
  expect(order).toEqual(Array.from({ length: 40 }, (_, index) => index))
  expect(results.filter(({ status }) => status === 'rejected').length).toBe(8)
  await expect(gate(async () => 'again')).resolves.toBe('again')
})
