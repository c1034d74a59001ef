import { expect, it } from 'vitest'
import { type Identity, startTestApp } from '../support/app.ts'
import { createRandom } from '../support/session-reader.ts'
import type { Watch } from '../support/watch.ts'

const app = await startTestApp()

const sidebar = `subscription ($filter: SessionFilter) { sessionChanged(filter: $filter) {
  kind sessionId session { id } } }`

const people: Identity[] = [
  { user: 'alice' },
  { user: 'bob' },
  { user: 'carol' },
  { user: 'dave', tenant: 'globex', role: 'ADMIN' },
  { user: 'root', role: 'ADMIN' },
]
const writers = ['alice', 'bob']
const agents = ['primary', 'research']

type Filter = Record<string, unknown>
type Ids = { users: Record<string, string>; parent: string }

/** Every condition that a filter has, alone and together. */
const filtersOf = ({ users, parent }: Ids): Filter[] => [
  {},
  { isActive: true },
  { isActive: false },
  { deleted: true },
  { agent: 'primary' },
  { agent: 'research', isActive: true },
  { title: 'RED' },
  { title: 'blue', tags: ['x'] },
  { tags: ['x'] },
  { tags: ['x', 'y'] },
  { metadata: { level: { kind: 1 } } },
  { metadata: { level: { kind: 2 } }, tags: ['y'] },
  { model: 'demo:demo' },
  { recentlyActive: true },
  { recentlyActive: false },
  { userId: users.alice },
  { externalUserId: 'bob' },
  { participant: users.bob },
  { participant: users.carol, deleted: true },
  { parentId: parent },
  { createdAfter: '2026-01-01T00:00:00Z', lastMessageBefore: '2100-01-01T00:00:00Z' },
]

/**
 * A client that keeps its list as it is told. `faults` is what it need not have been told: of a plain list the server keeps
 * no account, so that one may be told in one burst that a session came and went.
 */
function createList(isPlain: boolean) {
  let ids = new Set<string>()
  const faults: string[] = []
  return {
    faults,
    ids: () => [...ids].sort(),
    read: (listed: readonly string[]) => {
      ids = new Set(listed)
    },
    take({ kind, sessionId, session }: { kind: string; sessionId: string; session: object | null }) {
      const isThere = ids.has(sessionId)
      if (kind === 'DELETED') {
        if ((!isThere && !isPlain) || session) faults.push(`${kind} of ${sessionId}, which is not there`)
        ids.delete(sessionId)
      } else {
        if (((kind === 'CREATED') === isThere && !isPlain) || !session) faults.push(`${kind} of ${sessionId}`)
        ids.add(sessionId)
      }
    },
  }
}

type World = {
  users: Ids['users']
  related: Record<string, Set<string>>
  /** Mutations that succeeded once at least. */
  done: Set<string>
}

/** Something that a person does to its sessions; most of it changes what some filter says. */
async function act(random: () => number, { related, users, done }: World) {
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T
  const user = pick(writers)
  const api = app.api({ user })
  const settings = () => ({
    title: pick(['red one', 'Blue two', 'green']),
    tags: pick([[], ['x'], ['y'], ['x', 'y']]),
    metadata: { level: { kind: pick([1, 2]) } },
    agent: pick(agents),
    ...(random() < 0.3 && { model: 'demo:demo' }),
  })
  const does = pick([
    'create',
    'update',
    'update',
    'update',
    'say',
    'delete',
    'restore',
    'purge',
    'share',
    'part',
  ])
  const own = [...(related[user] ?? [])]
  const sessionId = pick(does === 'part' ? own.filter((id) => related.carol?.has(id)) : own)
  const attempt = async (name: string, input: object = {}) => {
    const { code } = await api.mutate(name, { sessionId, ...input })
    // What is gone cannot be changed, and nobody be added twice with two roles.
    expect([undefined, 'NOT_FOUND', 'BAD_USER_INPUT']).toContain(code)
    if (!code) done.add(name)
  }
  if (does === 'create' || !sessionId) {
    const made = await api.createSession(settings())
    related[user]?.add(made)
  } else if (does === 'update') await attempt('updateSession', { ...settings(), isActive: random() < 0.5 })
  else if (does === 'say') await attempt('addMessages', { messages: [{ role: 'USER', content: 'Hello' }] })
  else if (does === 'delete') await attempt('deleteSession')
  else if (does === 'restore') await attempt('restoreSession')
  else if (does === 'purge') {
    if (random() < 0.3) await attempt('purgeSession')
  } else if (does === 'share') {
    related.carol?.add(sessionId)
    await attempt('addParticipant', { externalUserId: 'carol', role: pick(['VIEWER', 'EDITOR', 'OWNER']) })
  } else await attempt('removeParticipant', { userId: users.carol })
}

const listed = async (who: Identity, filter: Filter): Promise<string[]> => {
  const { sessions } = await app
    .api(who)
    .run('query ($filter: SessionFilter) { sessions(filter: $filter, first: 100) { nodes { id } } }', {
      filter,
    })
  return sessions.nodes.map(({ id }: { id: string }) => id).sort()
}

it('every list holds what a query of its filter gives, whatever happens and whoever looks', async () => {
  const random = createRandom(20_261_120)
  const users: Ids['users'] = {}
  for (const who of people)
    users[who.user ?? ''] = (await app.api(who).run('{ viewer { user { id } } }')).viewer.user.id
  const parent = await app.api().createSession({ title: 'red parent' })
  const related = { alice: new Set([parent]), bob: new Set<string>(), carol: new Set<string>() }
  const world: World = { users, related, done: new Set() }
  for (let count = 0; count < 15; count += 1) await act(random, world)

  const filters = filtersOf({ users, parent })
  const lists: { who: Identity; filter: Filter; list: ReturnType<typeof createList>; watch: Watch }[] = []
  for (const [index, who] of people.entries()) {
    const socket = app.socket(who)
    // Everybody has the plain list and many others: more than 50 lists in the tenant.
    for (const [place, filter] of filters.entries()) {
      if (place > 0 && (place + index) % 4 === 0) continue
      if (filter.externalUserId && who.role !== 'ADMIN') continue
      const watch = socket.watch(sidebar, { filter })
      expect(await watch.at(0), JSON.stringify(filter)).toMatchObject({ kind: 'RESET' })
      lists.push({ who, filter, watch, list: createList(place === 0) })
    }
  }
  expect(lists.filter(({ who }) => who.tenant === undefined).length).toBeGreaterThan(50)
  for (const { who, filter, list } of lists) list.read(await listed(who, filter))

  for (let count = 0; count < 150; count += 1) await act(random, world)
  const taken = lists.map(() => 1)
  const catchUp = () => {
    for (const [index, { watch, list }] of lists.entries())
      for (const change of watch.events.slice(taken[index])) {
        list.take(change)
        taken[index] = (taken[index] ?? 0) + 1
      }
  }
  await expect
    .poll(
      async () => {
        catchUp()
        const wrong: string[] = []
        for (const { who, filter, list } of lists)
          if (list.ids().join() !== (await listed(who, filter)).join())
            wrong.push(`${who.user} ${JSON.stringify(filter)}`)
        return wrong
      },
      { interval: 500 },
    )
    .toEqual([])
  expect(
    lists.flatMap(({ who, filter, list }) =>
      list.faults.map((fault) => `${who.user} ${JSON.stringify(filter)} ${fault}`),
    ),
  ).toEqual([])
  const foreign = lists.filter(({ who }) => who.tenant === 'globex')
  for (const { watch } of foreign) expect(watch.events).toHaveLength(1)
  for (const { who, watch } of lists) {
    const own = who.role === undefined && world.related[who.user ?? '']
    if (own)
      expect([...own]).toEqual(
        expect.arrayContaining(watch.events.slice(1).map(({ sessionId }) => sessionId)),
      )
  }
  expect([...world.done].sort()).toEqual([
    ...['addMessages', 'addParticipant', 'deleteSession', 'purgeSession'],
    ...['removeParticipant', 'restoreSession', 'updateSession'],
  ])
  // There was something to be wrong about: most lists changed, and lost sessions, too.
  expect(
    lists.filter(({ watch }) => watch.events.some(({ kind }) => kind === 'CREATED')).length,
  ).toBeGreaterThan(30)
  expect(
    lists.filter(({ watch }) => watch.events.some(({ kind }) => kind === 'DELETED')).length,
  ).toBeGreaterThan(30)
})
