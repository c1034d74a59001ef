import { expect, it } from 'vitest'
import { inBatches } from '../../src/server/draining.ts'

async function timesOf(count: number, withinMs: number) {
  const startedAtMs = performance.now()
  const times: number[] = []
  await inBatches(Array.from({ length: count }), withinMs, () => times.push(performance.now() - startedAtMs))
  return times
}

it('takes 500 in a second where there is time', async () => {
  const times = await timesOf(150, 10_000)
  expect(times.length).toBe(150)
  expect(times.filter((at) => at < 40).length).toBe(25)
  expect(times.at(-1)).toBeGreaterThan(240)
})

it('takes more where there is none', async () => {
  const times = await timesOf(20_000, 200)
  expect(times.length).toBe(20_000)
  expect(times.at(-1)).toBeLessThan(1_000)
})

it('waits for nobody where there is nobody', async () => {
  expect(await timesOf(0, 10_000)).toEqual([])
})
