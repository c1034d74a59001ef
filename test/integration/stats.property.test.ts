import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { decodeId, encodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { query as sql } from '../support/postgres.ts'

const stats = `query ($userId: ID) { userStats(userId: $userId) {
  userId totalSessions activeSessions totalMessages tokens cost
  sessionsByAgent { agent { key } count } mostRecentSession { id } oldestSession { id } } }`

let app: TestApp
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-stats-'))
  const prices = join(folder, 'prices.json')
  // A token that is read is a dollar, one that is written are two.
  await writeFile(prices, '{"demo:chat": {"input": 1000000, "output": 2000000}}')
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '100', MODEL_PRICES_FILE: prices } })
  return () => rm(folder, { recursive: true })
})

type Session = {
  id: string
  owner: number
  agent: string | null
  isActive: boolean
  isDeleted: boolean
  /** Who else may write in it. */
  guests: Set<number>
  /** The conversation as it stands. */
  messages: Message[]
}
/** `author` is null of what a model wrote. */
type Message = { id: string; role: string; author: { id: string } | null }
type Run = { usage: { inputTokens: number; outputTokens: number } }
type Person = { api: Api; user: string; id: string; input: number; output: number }
type World = { people: Person[]; sessions: Session[] }

const people = 3
const said = 'id role author { id }'
const agents = [null, 'primary', 'research']
/** Who does it, to which of the sessions, where in it, and how much. */
const step = fc.record({
  act: fc.constantFrom(
    ...([
      'create',
      'create',
      'create',
      'add',
      'add',
      'send',
      'send',
      'edit',
      'complete',
      'fork',
      'fork',
    ] as const),
    ...(['removeMessage', 'remove', 'restore', 'purge', 'switch', 'share', 'share'] as const),
  ),
  who: fc.nat(people - 1),
  session: fc.nat(),
  place: fc.nat(),
  many: fc.integer({ min: 1, max: 3 }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

let worlds = 0
it('counts what a count by hand counts, whatever was done', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
      const world = await createWorld()
      for (const each of steps) await take(world, each)
      const root = app.api({ user: 'root', role: 'ADMIN' })
      for (const [index, { api, id }] of world.people.entries()) {
        const expected = await countByHand(world, index)
        for (const { userStats } of [await api.run(stats), await root.run(stats, { userId: id })]) {
          const { sessionsByAgent, ...rest } = userStats
          const counts = sessionsByAgent.map(({ count }: { count: number }) => count)
          expect(counts).toEqual(counts.toSorted((a: number, b: number) => b - a))
          const byAgent = Object.fromEntries(
            sessionsByAgent.map((each: { agent: { key: string } | null; count: number }) => [
              each.agent?.key ?? null,
              each.count,
            ]),
          )
          expect({ ...rest, byAgent }).toEqual(expected)
        }
      }
    }),
    { numRuns: 20 },
  )
})

/** People who have done nothing so far. */
async function createWorld(): Promise<World> {
  worlds += 1
  const names = Array.from({ length: people }, (_, index) => `person-${worlds}-${index}`)
  const all = names.map(async (user) => {
    const api = app.api({ user })
    return {
      api,
      user,
      id: (await api.run('{ viewer { user { id } } }')).viewer.user.id,
      input: 0,
      output: 0,
    }
  })
  return { people: await Promise.all(all), sessions: [] }
}

const personAt = (world: World, index: number) => world.people[index] as Person

/** Nothing happens where there is nothing to do it to. */
async function take(world: World, { act, who, session: place, ...step }: Step): Promise<void> {
  const used = (by: Person, { usage }: Run) => {
    by.input += usage.inputTokens
    by.output += usage.outputTokens
  }
  const runFields = 'run { usage { inputTokens outputTokens } }'
  const fresh = { owner: who, isActive: true, isDeleted: false, guests: new Set<number>() }
  if (act === 'create') {
    const agent = agents[step.place % agents.length] ?? null
    const id = await personAt(world, who).api.createSession({ agent, title: 'Titled' })
    world.sessions.push({ ...fresh, id, agent, messages: [] })
    return
  }
  if (act === 'complete') {
    const messages = [{ role: 'USER', content: 'Nowhere' }]
    const done = await personAt(world, who).api.change('complete', { messages, wait: true }, runFields)
    return used(personAt(world, who), done.run)
  }
  const fitting = world.sessions.filter(
    ({ isDeleted }) => act === 'purge' || isDeleted === (act === 'restore'),
  )
  const session = fitting[place % fitting.length]
  if (!session) return
  const owner = personAt(world, session.owner).api
  const sessionId = session.id
  const by = personAt(world, session.guests.has(who) ? who : session.owner)
  const at = step.place % session.messages.length
  const message = session.messages[at]
  switch (act) {
    case 'add': {
      const messages = Array(step.many).fill({ role: 'USER', content: 'Noted' })
      const added = await by.api.change('addMessages', { sessionId, messages }, `messages { ${said} }`)
      session.messages.push(...added.messages)
      break
    }
    case 'send': {
      const fields = `userMessage { ${said} } assistantMessage { ${said} } ${runFields}`
      const sent = await by.api.change('sendMessage', { sessionId, content: 'Hello', wait: true }, fields)
      session.messages.push(sent.userMessage, sent.assistantMessage)
      used(by, sent.run)
      break
    }
    case 'edit': {
      if (message?.role !== 'USER') return
      // Guests change their own words alone.
      const editor = message.author?.id === by.id ? by : personAt(world, session.owner)
      const fields = `userMessage { ${said} } assistantMessage { ${said} } run { id }`
      const input = { messageId: message.id, content: 'Anew' }
      const edited = await editor.api.change('editMessage', input, fields)
      session.messages = [...session.messages.slice(0, at), edited.userMessage, edited.assistantMessage]
      used(editor, await ended(editor.api, edited.run.id))
      break
    }
    case 'fork': {
      if (!message) return
      const isRead = session.guests.has(who) || session.owner === who
      const forker = isRead ? who : session.owner
      const payload = `session { id messages(first: 100) { nodes { ${said} } } }`
      const input = { sessionId, atMessageId: message.id }
      const forked = await personAt(world, forker).api.change('forkSession', input, payload)
      const { id, messages } = forked.session
      expect(messages.nodes).toHaveLength(at + 1)
      world.sessions.push({ ...fresh, owner: forker, id, agent: session.agent, messages: messages.nodes })
      break
    }
    case 'removeMessage': {
      if (!message) return
      const removed = await owner.change('deleteMessage', { messageId: message.id }, 'deletedMessageIds')
      session.messages = session.messages.filter(({ id }) => !removed.deletedMessageIds.includes(id))
      break
    }
    case 'remove':
    case 'restore': {
      await owner.change(act === 'remove' ? 'deleteSession' : 'restoreSession', { sessionId })
      session.isDeleted = act === 'remove'
      break
    }
    case 'purge':
      await owner.change('purgeSession', { sessionId })
      world.sessions = world.sessions.filter((each) => each !== session)
      break
    case 'switch':
      session.isActive = !session.isActive
      await owner.change('updateSession', { sessionId, isActive: session.isActive })
      break
    case 'share':
      if (who === session.owner) return
      await owner.change('addParticipant', {
        sessionId,
        externalUserId: personAt(world, who).user,
        role: 'EDITOR',
      })
      session.guests.add(who)
  }
}

async function ended(api: Api, id: string): Promise<Run> {
  for (;;) {
    const asked = 'query ($id: ID!) { run(id: $id) { status usage { inputTokens outputTokens } } }'
    const { run } = await api.run(asked, { id })
    if (run.status === 'COMPLETED') return run
    expect(['QUEUED', 'RUNNING']).toContain(run.status)
  }
}

async function countByHand({ people, sessions }: World, index: number) {
  const { id: userId, input, output } = people[index] as Person
  const own = sessions.filter(({ owner, isDeleted }) => owner === index && !isDeleted)
  const byAgent: Record<string, number> = {}
  for (const { agent } of own) byAgent[`${agent}`] = (byAgent[`${agent}`] ?? 0) + 1
  // What the clock of the database said, nobody else knows.
  const times = await sql<{ id: string; created: string; active: string }>(
    app.databaseUrl,
    `SELECT id, created_at::text AS created, last_message_at::text AS active FROM sessions WHERE id = ANY($1)`,
    { values: [own.map(({ id }) => decodeId(id).uuid)] },
  )
  const firstBy = (by: 'created' | 'active') =>
    times.toSorted((a, b) => Date.parse(a[by]) - Date.parse(b[by]) || (a.id < b.id ? -1 : 1))
  const idOf = (row: { id: string } | undefined) => (row ? { id: encodeId('Session', row.id) } : null)
  return {
    userId,
    totalSessions: own.length,
    activeSessions: own.filter(({ isActive }) => isActive).length,
    totalMessages: own.reduce((sum, { messages }) => sum + messages.length, 0),
    tokens: input + output,
    cost: String(input + 2 * output),
    byAgent,
    mostRecentSession: idOf(firstBy('active').at(-1)),
    oldestSession: idOf(firstBy('created')[0]),
  }
}
