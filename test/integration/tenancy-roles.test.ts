import { beforeAll, describe, expect, it } from 'vitest'
import type { Answer } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { alice, canary, fillForAlice, rowReader } from './tenancy.harness.ts'
import { type Case, type Ids, matrix } from './tenancy.matrix.ts'

let app: TestApp
let ids: Ids
let rowsOf: Awaited<ReturnType<typeof rowReader>>
beforeAll(async () => {
  app = await startTestApp()
  ids = await fillForAlice(app)
  rowsOf = await rowReader(app)
  for (const role of ['VIEWER', 'EDITOR'] as const) {
    const { user } = guest(role)
    await app.api(alice).change('addParticipant', { sessionId: ids.Session, externalUserId: user, role })
    // The first request of a user is written down with it.
    await app.api(guest(role)).run('{ viewer { role } }')
  }
})
besideNeighbour(() => app)

const guest = (role: 'VIEWER' | 'EDITOR') => ({ user: `guest-${role}`, tenant: alice.tenant })

type Try = { name: string; input: Record<string, unknown>; operation: string; variables: object }

/** What the matrix tries with what alice shares: her session and what is in it. Her own name is nobody else's. */
const tries = (ofRoot: (name: string) => boolean): Try[] =>
  Object.entries(matrix)
    .filter(([name]) => ofRoot(name))
    .flatMap(([name, cases]) => cases.filter(isOfShared).map((each) => tryOf(name, each)))

const none = 'none of the caller’s'
const isOfShared = ({ variables, isSharedInTenant }: Case) => {
  const given = JSON.stringify(variables?.(ids, none) ?? {})
  const shared = [ids.Session, ids.Message, ids.Run, ids.Document]
  return !isSharedInTenant && !given.includes(none) && shared.some((id) => given.includes(id))
}
function tryOf(name: string, { operation, variables }: Case): Try {
  const given = variables?.(ids, none) as { input?: Record<string, unknown> }
  return { name: name.replace('Mutation.', ''), operation, variables: given, input: given.input ?? {} }
}
const mutations = () => tries((name) => name.startsWith('Mutation.'))

/** The code of the failure, or the name of the payload, of each of them in turn. */
async function outcomes(role: 'VIEWER' | 'EDITOR', all: Try[]): Promise<[string, string][]> {
  const doors = await openDoors(app.url, app.token(guest(role)))
  const told: [string, string][] = []
  for (const { name, operation, variables } of all) {
    const answer = (await doors.http(operation, variables as Record<string, unknown>)) as Answer
    told.push([name, answer.data?.[name]?.code ?? answer.data?.[name]?.__typename ?? JSON.stringify(answer)])
  }
  doors.close()
  return told
}
const isForAnother = ({ input }: Try) => 'userId' in input
const payloadOf = (name: string) => `${name.charAt(0).toUpperCase()}${name.slice(1)}Payload`

/** What needs no more than to read; `createSession` and its like take a document along. */
const reading = ['forkSession', 'markRead', 'exportSession', 'createSession', 'getOrCreateSession']
const isReading = (each: Try) => reading.includes(each.name) && !isForAnother(each)

/** What is for the owner, or for whoever made it. */
const ownersAlone = [
  ...['deleteSession', 'restoreSession', 'purgeSession'],
  ...['addParticipant', 'updateParticipant', 'removeParticipant'],
  ...['editMessage', 'deleteMessage', 'updateDocument', 'deleteDocument'],
]

describe('a participant who is a viewer', () => {
  it('changes nothing by any mutation', async () => {
    const before = await rowsOf(ids.Tenant)
    const refused = mutations().filter((each) => !isReading(each))
    expect(refused.length).toBeGreaterThan(30)
    expect(await outcomes('VIEWER', refused)).toEqual(refused.map(({ name }) => [name, 'FORBIDDEN']))
    expect(await rowsOf(ids.Tenant)).toEqual(before)
  })

  it('does what needs no more than to read', async () => {
    const granted = mutations().filter(isReading)
    expect(new Set(granted.map(({ name }) => name))).toEqual(new Set(reading))
    expect(await outcomes('VIEWER', granted)).toEqual(granted.map(({ name }) => [name, payloadOf(name)]))
  })

  it('reads and follows all that is shared', async () => {
    // Tell of what comes only, or of what is the caller’s own.
    const leftOut = ['Subscription.messageAdded', 'Subscription.sessionChanged', 'Query.usage']
    const doors = await openDoors(app.url, app.token(guest('VIEWER')))
    const all = tries((name) => !name.startsWith('Mutation.') && !leftOut.includes(name))
    expect(all.length).toBeGreaterThan(15)
    for (const { name, operation, variables } of all)
      expect(
        JSON.stringify(await doors.http(operation, variables as Record<string, unknown>)),
        `${name} ${JSON.stringify(variables)}`,
      ).toContain(canary)
    doors.close()
  })
})

// Last, since it changes what is there.
it('a participant who is an editor is refused what is for owners, and nothing else', async () => {
  const isRefused = (each: Try) => ownersAlone.includes(each.name) || isForAnother(each)
  const refused = mutations().filter(isRefused)
  expect(new Set(refused.map(({ name }) => name).filter((name) => ownersAlone.includes(name)))).toEqual(
    new Set(ownersAlone),
  )
  const before = await rowsOf(ids.Tenant)
  expect(await outcomes('EDITOR', refused)).toEqual(refused.map(({ name }) => [name, 'FORBIDDEN']))
  expect(await rowsOf(ids.Tenant)).toEqual(before)
  // What waits for the line of the session is not to wait for ever.
  const isFirst = ({ name }: Try) => Number(name === 'cancelRun')
  const granted = mutations()
    .filter((each) => !isRefused(each))
    .sort((one, other) => isFirst(other) - isFirst(one))
  expect(granted.length).toBeGreaterThan(15)
  for (const [name, outcome] of await outcomes('EDITOR', granted))
    expect(outcome, name).not.toMatch(/FORBIDDEN|"errors"/)
})
