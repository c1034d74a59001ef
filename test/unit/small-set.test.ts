import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SmallSet } from '../../src/lib/small-set.ts'

test('a small set is a set, whatever is put in and taken out', () => {
  const items = Array.from({ length: 4 }, (_, index) => ({ index }))
  const change = fc.record({ item: fc.constantFrom(...items), isAdded: fc.boolean() })
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const small = new SmallSet<object>()
      const model = new Set<object>()
      for (const { item, isAdded } of changes) {
        if (isAdded) {
          small.add(item)
          model.add(item)
        } else expect(small.delete(item)).toBe(model.delete(item))
        expect([small.size, small.has(item), ...small]).toEqual([model.size, model.has(item), ...model])
      }
    }),
  )
})
