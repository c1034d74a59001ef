import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { createApi } from '../support/api.ts'
import { openSocket, type Socket } from '../support/socket.ts'
import type { Watch } from '../support/watch.ts'
import type { Mutant } from './mutants.ts'
import type { World } from './world.ts'

const never = 'await new Promise(() => {})'
/** A node that commits and does not come to tell it: so it can be killed just there, whatever it is doing. */
export const stuckAfterCommit: Mutant[] = [
  {
    file: 'src/features/sessions/changes.ts',
    from: 'if (events.length > 0 || isNew || listed)',
    to: `${never}\n    if (events.length > 0 || isNew || listed)`,
  },
  {
    file: 'src/realtime/listing.ts',
    from: 'note(tenantId, change) {',
    to: 'note(tenantId, change) { return',
  },
  {
    file: 'src/features/documents/news.ts',
    from: 'async tell(document) {',
    to: `async tell(document) { ${never}`,
  },
]

const sessionEvents = `subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename
  ... on SessionUpdated { session { title } } ... on SessionSnapshot { session { title } } } }`
const sessionChanged = 'subscription { sessionChanged { kind sessionId } }'
const documentChanged = 'subscription ($id: ID!) { documentChanged(id: $id) { status } }'

type Place = { stuck: string; alive: string; world: World; sockets: Socket[] }

const at = ({ world }: Place, url: string, user: string, role?: 'ADMIN') =>
  createApi(url, world.token(user, role))

/**
 * The first node, which is stuck after each commit, is asked for one of everything and killed; the second must tell all who
 * follow there within 5 s. Fails with what it does not tell.
 */
export async function killUntold(world: World): Promise<void> {
  const [stuck, alive] = world.nodes.map(({ port }) => `http://127.0.0.1:${port}`) as [string, string]
  const place: Place = { stuck, alive, world, sockets: [] }
  try {
    const things = await make(place)
    const watches = await followAll(place, things)
    const answers = change(place, things)
    // All is committed; nothing of it is told.
    await expect
      .poll(() => world.rows(state))
      .toEqual([{ live: 3, all: 4, title: 'Renamed', shared: 0, documents: 0 }])
    await world.nodes[0]?.kill()
    await expect.poll(() => untoldOf(watches), { timeout: 5_000 }).toEqual([])
    expect((await Promise.all(answers)).flat()).toEqual([])
    const { failure } = Object.values(watches.ending).find((watch) => watch.failure !== undefined) ?? {}
    expect(failure).toBeUndefined()
    // What ended the right of one, by whom the feed was read for both, is not the end of the other's.
    await at(place, alive, 'alice').change('updateSession', { sessionId: things.left, title: 'Without him' })
    await watches.staying.until(({ session }) => session?.title === 'Without him')
  } finally {
    await Promise.all(place.sockets.map((socket) => socket.dispose()))
  }
}

const state = `SELECT count(*) FILTER (WHERE deleted_at IS NULL)::int AS live, count(*)::int AS all, max(title) AS title,
  (SELECT count(*)::int FROM participants) AS shared, (SELECT count(*)::int FROM documents) AS documents FROM sessions`

type Things = Awaited<ReturnType<typeof make>>

async function make(place: Place) {
  const api = (user: string) => at(place, place.alive, user)
  const userId = async (user: string): Promise<string> =>
    (await api(user).run('{ viewer { user { id } } }')).viewer.user.id
  const alice = api('alice')
  const [bob, erased] = [await userId('bob'), await userId('erased')]
  const session = () => alice.createSession()
  const [renamed, deleted, purged] = [await session(), await session(), await session()]
  const [left, restored] = [await session(), await session()]
  const ofErased = await api('erased').createSession()
  await alice.change('addParticipant', { sessionId: left, externalUserId: 'bob', role: 'EDITOR' })
  await alice.change('deleteSession', { sessionId: restored })
  const made = await alice.mutate('createDocument', { title: 'Book', text: 'x' }, 'document { id }')
  const documentId: string = made.document.id
  return { bob, erased, renamed, deleted, purged, left, restored, ofErased, documentId }
}

type Watches = Awaited<ReturnType<typeof followAll>>

/** At the node that lives, each with its beginning told. */
async function followAll(place: Place, things: Things) {
  const follow = async (user: string, query: string, id?: string) => {
    const socket = openSocket(place.alive, place.world.token(user))
    place.sockets.push(socket)
    const watch = socket.watch(query, id === undefined ? {} : { id })
    await watch.at(0)
    return watch
  }
  const ending = {
    deleted: await follow('alice', sessionEvents, things.deleted),
    purged: await follow('alice', sessionEvents, things.purged),
    'of the erased': await follow('erased', sessionEvents, things.ofErased),
    'of whom was removed': await follow('bob', sessionEvents, things.left),
    'of the document': await follow('alice', documentChanged, things.documentId),
  }
  const over = new Set<string>()
  for (const [name, { ended }] of Object.entries(ending)) void ended.then(() => over.add(name))
  const lists = {
    alice: await follow('alice', sessionChanged),
    bob: await follow('bob', sessionChanged),
    stranger: await follow('stranger', sessionChanged),
  }
  const staying = await follow('alice', sessionEvents, things.left)
  return { ending, over, lists, staying, renamed: await follow('alice', sessionEvents, things.renamed) }
}

/** Asks the node that is stuck, again where it is too busy; gives what it answered all the same. */
function change(place: Place, things: Things): Promise<string[]>[] {
  async function ask(name: string, input: Record<string, unknown>, user = 'alice', role?: 'ADMIN') {
    for (;;) {
      try {
        const answer = await at(place, place.stuck, user, role).mutate(name, input)
        return [`${name}: ${JSON.stringify(answer)}`]
      } catch (error) {
        // The connection ended, and with it the node.
        if (error instanceof TypeError) return []
        await sleep(100)
      }
    }
  }
  return [
    ask('updateSession', { sessionId: things.renamed, title: 'Renamed' }),
    ask('deleteSession', { sessionId: things.deleted }),
    ask('purgeSession', { sessionId: things.purged }),
    ask('restoreSession', { sessionId: things.restored }),
    ask('removeParticipant', { sessionId: things.left, userId: things.bob }),
    ask('deleteDocument', { documentId: things.documentId }),
    ask('eraseUser', { userId: things.erased }, 'admin', 'ADMIN'),
  ]
}

function untoldOf({ ending, over, lists, renamed }: Watches): string[] {
  const goingOn = Object.keys(ending).filter((name) => !over.has(name))
  const isAnew = ({ events }: Watch) => events.slice(1).some(({ kind }) => kind === 'RESET')
  const old = Object.entries(lists).filter(([, watch]) => !isAnew(watch))
  return [
    ...goingOn.map((name) => `the feed ${name} goes on`),
    ...old.map(([name]) => `the list of ${name} is not read anew`),
    ...(renamed.events.some(({ session }) => session?.title === 'Renamed') ? [] : ['the title is not told']),
  ]
}
