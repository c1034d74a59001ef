import fc from 'fast-check'
import { expect, it } from 'vitest'
import { coarsen, createCeiling } from '../../src/features/documents/coarse-vectors.ts'

const unit = fc
  .array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 64, maxLength: 64 })
  .map((values) => {
    const length = Math.hypot(...values) || 1
    return values.map((value) => value / length)
  })

it('is never less than what the vectors themselves give, and little more', () => {
  fc.assert(
    fc.property(unit, unit, (one, other) => {
      // As the database keeps it.
      const stored = Float32Array.from(other)
      const exact = one.reduce((sum, value, index) => sum + value * (stored[index] ?? 0), 0)
      const ceiling = createCeiling(one)(coarsen(other)) ?? Number.NaN
      expect(ceiling).toBeGreaterThanOrEqual(exact)
      expect(ceiling - exact).toBeLessThan(0.07)
    }),
    { numRuns: 1_000 },
  )
})

it('is a byte a dimension, and nothing to a vector of others', () => {
  expect(coarsen([0.6, -0.8, 0])).toHaveLength(4 + 3)
  expect(createCeiling([0.6, -0.8])(coarsen([0.6, -0.8, 0]))).toBeNull()
  expect(createCeiling([1, 0])(coarsen([0, 0]))).toBeCloseTo(0, 5)
})
