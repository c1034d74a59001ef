import { describe, expect, it } from 'vitest'
import { requireRedis } from '../support/redis.ts'
import { createRandom } from '../support/session-reader.ts'
import { type Control, controls } from './controls.ts'
import { createMutant } from './mutants.ts'
import { type Scenario, scenarios } from './scenarios.ts'
import { createWorld } from './world.ts'

const timeout = 240_000

requireRedis()

describe('nothing is violated where', () => {
  it.each(Object.entries(scenarios))('%s', { timeout }, async (_name, scenario) => {
    expect(await violationsOf(scenario)).toEqual([])
  })
})

describe('the checker finds it', () => {
  it.each(controls.map((control) => [control.without, control] as const))(
    'without %s',
    { timeout },
    async (_name, control) => {
      expect((await violationsOf(control)).join('\n')).toMatch(control.found)
    },
  )
})

async function violationsOf(
  asked: Scenario & Partial<Pick<Control, 'mutants' | 'isDurable'>>,
): Promise<string[]> {
  const { given = [], givenOfFirst = [], mutants = [], isDurable, env, run } = asked
  const random = createRandom(7)
  const all = [...given, ...mutants]
  const copies = await Promise.all([createMutant([...all, ...givenOfFirst]), createMutant(all)])
  const root = copies.map((copy) => copy.root)
  const pick = (count: number) => Math.floor(random() * count)
  try {
    const world = await createWorld({ root, isDurable, env, pick })
    try {
      return await run(world, random)
    } finally {
      await world.stop()
    }
  } finally {
    await Promise.all(copies.map((copy) => copy.remove()))
  }
}
