import { expect, it } from 'vitest'
import { createBearers } from '../../src/server/bearers.ts'

const ann = { tenantId: 'tenant', userId: 'ann', role: 'USER' as const }

it('connections with one token share what is known of it, as long as one of them is open', () => {
  const bearers = createBearers()
  const first = bearers.enter(ann, 'a.b.c')
  const second = bearers.enter({ ...ann }, 'a.b.c')
  expect(second).toBe(first)
  expect(bearers.enter(ann, 'd.e.f')).not.toBe(first)
  bearers.leave(first)
  expect(bearers.enter(ann, 'a.b.c')).toBe(first)
  bearers.leave(first)
  bearers.leave(first)
  expect(bearers.enter(ann, 'a.b.c')).not.toBe(first)
})

it('a token that stands for another user has another bearer, and the first stays as it was', () => {
  const bearers = createBearers()
  const first = bearers.enter(ann, 'a.b.c')
  const later = bearers.enter({ ...ann, userId: 'ann again' }, 'a.b.c')
  expect([first.userId, later.userId]).toEqual(['ann', 'ann again'])
  bearers.leave(first)
  expect(bearers.enter({ ...ann, userId: 'ann again' }, 'a.b.c')).toBe(later)
  expect(later).toEqual({ ...ann, userId: 'ann again', authorization: 'Bearer a.b.c' })
})
