import { expect, it } from 'vitest'
import { createRounds } from '../../src/lib/async.ts'

it('runs once for all who ask meanwhile, after they asked, each key by itself', async () => {
  const rounds = createRounds<string>()
  const begun: string[] = []
  const ends: (() => void)[] = []
  const task =
    (name: string, fails = false) =>
    async () => {
      begun.push(name)
      await new Promise<void>((resolve) => ends.push(resolve))
      if (fails) throw new Error(`${name} failed`)
      return name
    }
  const first = rounds('a', task('first', true))
  const later = [rounds('a', task('second')), rounds('a', task('never'))]
  const other = rounds('b', task('other'))
  expect(begun).toEqual(['first', 'other'])
  ends.shift()?.()
  await expect(first).rejects.toThrow('first failed')
  ends.shift()?.()
  await expect(other).resolves.toBe('other')
  await expect.poll(() => begun).toEqual(['first', 'other', 'second'])
  const last = rounds('a', task('last'))
  ends.shift()?.()
  expect(await Promise.all(later)).toEqual(['second', 'second'])
  await expect.poll(() => begun.at(-1)).toBe('last')
  ends.shift()?.()
  await expect(last).resolves.toBe('last')
})
