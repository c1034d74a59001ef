import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { encodeId, newId } from '../../src/lib/ids.ts'
import type { Answer } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Door, openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { fine, sound, ways } from './bad-arguments.cases.ts'
import {
  isBlamed,
  operationFor,
  type Place,
  places,
  type Spot,
  selectionOf,
  spotsOf,
  withValue,
  wrongValues,
} from './bad-arguments.harness.ts'
import { alice, fillForAlice, rowReader } from './tenancy.harness.ts'
import type { Ids } from './tenancy.matrix.ts'

let app: TestApp
let ids: Ids
let rowsOf: Awaited<ReturnType<typeof rowReader>>
let admin: Door
let service: Door
beforeAll(async () => {
  app = await startTestApp()
  ids = await fillForAlice(app)
  rowsOf = await rowReader(app)
  const doorFor = async (role: 'ADMIN' | 'SERVICE') => {
    const identity = { tenant: alice.tenant, user: role.toLowerCase(), role }
    await app.api(identity).run('{ viewer { role } }')
    const doors = await openDoors(app.url, app.token(identity))
    doors.close()
    return doors.http
  }
  admin = await doorFor('ADMIN')
  service = await doorFor('SERVICE')
})
besideNeighbour(() => app)

const namesOf = (all: object) => Object.keys(all).sort()

it('has arguments for every field that takes some', () => {
  expect(namesOf(sound)).toEqual(places.map(({ name }) => name).sort())
})

/** Nothing of what an operation with one wrong value wants is done; a subscription to what is sound waits for ever. */
async function answerTo(place: Place, spot: Spot, value: unknown): Promise<Answer> {
  const base = sound[place.name]?.(ids) ?? {}
  const isMutation = place.root === 'mutation'
  const variables = withValue(place, isMutation ? { input: base } : base, spot.path, value)
  const operation = operationFor(place, ways[place.name]?.(ids) ?? '', selectionOf(place))
  // Only a service token may act for others.
  const acts = isMutation && /^(userId|externalUserId)$/.test(spot.path.at(-1) ?? '')
  const answer = (acts ? service : admin)(operation, variables)
  return (await Promise.race([answer, sleep(30_000, {}, { ref: false })])) ?? {}
}

/** What was answered otherwise than with the place of the value that is wrong. */
async function faultsOf(place: Place): Promise<string[]> {
  const faults: string[] = []
  for (const spot of spotsOf(place))
    for (const value of wrongValues(spot, encodeId('Tenant', newId()))) {
      const where = `${place.name}(${spot.path.join('.')})`
      const given = JSON.stringify(value)
      if (fine[where]?.test(given)) continue
      const answer = await answerTo(place, spot, value)
      const text = JSON.stringify(answer)
      // However much is wrong, telling it takes little.
      if (!isBlamed(answer, place, spot.path) || text.length > 20_000)
        faults.push(`${where} ${given.slice(0, 50)}: ${text.length} characters, ${text.slice(0, 300)}`)
    }
  return faults
}

describe('one wrong value', () => {
  it.each([
    ['query', 19],
    ['mutation', 44],
    ['subscription', 8],
    ['field below the roots', 5],
  ] as const)('of a %s is named, and nothing is done', async (root, atLeast) => {
    const of = places.filter((place) => (place.root || 'field below the roots') === root)
    expect(of.length).toBeGreaterThanOrEqual(atLeast)
    const before = await rowsOf(ids.Tenant)
    const all = []
    for (const place of of) all.push(...(await faultsOf(place)))
    expect(all).toEqual([])
    expect(await rowsOf(ids.Tenant)).toEqual(before)
  })
})
