import fc from 'fast-check'
import { test } from 'vitest'
import type { CreateHarness } from './broker.harness.ts'
import { type Batch, createModel, drain, outlive, type Place, type Step, take } from './broker.model.ts'

const log = fc.nat({ max: 1 })
const follower = fc.nat({ max: 9 })

const place: fc.Arbitrary<Place> = fc.record(
  { back: fc.integer({ min: -2, max: 12 }), epoch: fc.constant('elsewhere') },
  { requiredKeys: ['back'] },
)

const bound = fc.integer({ min: -2, max: 3 })

const mark = fc.record(
  { name: fc.constantFrom('one', 'two'), min: bound, max: bound, to: fc.option(bound, { nil: null }) },
  { requiredKeys: ['name'] },
)

const batch: fc.Arbitrary<Batch> = fc.record({
  size: fc.nat({ max: 4 }),
  marks: fc.uniqueArray(mark, { maxLength: 2, selector: ({ name }) => name }),
})

const stepOf = <Type extends Step['type'], Rest>(weight: number, type: Type, rest: fc.Arbitrary<Rest>) => ({
  weight,
  arbitrary: rest.map((values) => ({ type, ...values })),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  stepOf(5, 'append', fc.record({ log, batches: fc.array(batch, { minLength: 1, maxLength: 3 }) })),
  stepOf(2, 'attach', fc.record({ log })),
  stepOf(2, 'attach', fc.record({ log, after: place })),
  stepOf(9, 'next', fc.record({ follower })),
  stepOf(1, 'detach', fc.record({ follower, by: fc.constantFrom('abort' as const, 'return' as const) })),
  stepOf(2, 'look', fc.record({ log, after: place, limit: fc.integer({ min: 1, max: 6 }) })),
)

const steps = fc.array(step, { maxLength: 50, size: 'max' })

const bounds = fc.record({
  maxEntries: fc.integer({ min: 1, max: 8 }),
  batchSize: fc.integer({ min: 1, max: 4 }),
})

/** Calls in any order, each compared with a model; a failure prints its seed and the fewest steps that show it. */
export function describeModel(create: CreateHarness, pauses: number) {
  test('of calls gives what the model gives', { timeout: 240_000 }, async () => {
    const property = fc.asyncProperty(bounds, steps, async (limits, calls) => {
      const { broker } = await create(limits)
      const model = await createModel(broker, limits)
      for (const call of calls) await take(model, call)
      await drain(model)
      await broker.close()
    })
    await fc.assert(property, {
      numRuns: 300,
      timeout: 60_000,
      interruptAfterTimeLimit: 180_000,
      markInterruptAsFailure: true,
    })
  })

  if (pauses === 0) return
  test('of calls around a long pause gives what the model gives', { timeout: 240_000 }, async () => {
    const maxAgeMs = 1_000
    const property = fc.asyncProperty(bounds, steps, steps, async (limits, earlier, later) => {
      const { broker, passTime } = await create({ ...limits, maxAgeMs })
      const model = await createModel(broker, limits)
      await soonerThan(maxAgeMs, async () => {
        for (const call of earlier) await take(model, call)
      })
      await passTime(maxAgeMs * 2.1)
      await soonerThan(maxAgeMs, async () => {
        await outlive(model)
        for (const call of later) await take(model, call)
        await drain(model)
      })
      await broker.close()
    })
    await fc.assert(property, {
      numRuns: pauses,
      timeout: 60_000,
      interruptAfterTimeLimit: 180_000,
      markInterruptAsFailure: true,
    })
  })
}

/** Another history is tried where the machine was so slow that entries may have aged on the way. */
async function soonerThan(ms: number, work: () => Promise<void>) {
  const startedAt = performance.now()
  try {
    await work()
  } finally {
    fc.pre(performance.now() - startedAt < ms)
  }
}
