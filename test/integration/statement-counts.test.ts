import { beforeAll, expect, it } from 'vitest'
import type { Api } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { statementsOf } from '../support/statements.ts'

const many = 10
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { MAX_SESSIONS_PER_AGENT: '100' } })
})

const session = `id title viewerRole viewerUnread user { externalId } agent { key } template { name author { externalId } }
  parent { id agent { key } user { externalId } } forkedAt { seq message { id author { externalId } } }
  forks(first: 2) { totalCount nodes { agent { key } user { externalId } } } participants { role user { externalId } }
  documents { id } lastMessage { seq author { externalId } } messages(last: 2) { nodes { author { externalId } agent { key } } }`
const message = 'id content author { externalId } agent { key } run { id } session { title agent { key } }'

/**
 * Ten rows are asked for by as many statements as one, give or take a few: whether two fields that ask for rows of one kind
 * do so in one turn of the event loop, and so in one statement, depends on when the database answers. So the least of some
 * tries counts. A statement for each row would be nine more each time.
 */
async function expectSame(one: () => Promise<unknown>, several: () => Promise<unknown>): Promise<void> {
  // What is kept from then on is not asked for again.
  await one()
  await several()
  const few = await statementsOf(one)
  expect(few.length).toBeGreaterThan(1)
  const isMore = (statements: readonly string[]) => statements.length - few.length >= many / 2
  let more = await statementsOf(several)
  for (let tries = 1; tries < 5 && isMore(more); tries += 1) more = await statementsOf(several)
  expect(isMore(more), `${few.join('\n')}\n\n${more.join('\n')}`).toBe(false)
}

/** Copies of one conversation, each with all that may hang on a session, and a fork of its own. */
async function storeForks(api: Api, agents: readonly string[], word: string): Promise<void> {
  const name = `Template of ${word}`
  const { template } = await api.mutate('createTemplate', { name, agent: agents[0] }, 'template { id }')
  const source = async (key: string) => {
    const id = await api.createSession({ template: template.id, agent: key, title: 'Source' })
    const messages = [{ role: 'USER', content: 'First' }]
    const added = await api.mutate('addMessages', { sessionId: id, messages }, 'messages { id }')
    return { sessionId: id, atMessageId: added.messages[0].id }
  }
  for (const key of agents) {
    const copied = 'session { id messages(first: 1) { nodes { id } } }'
    const { session } = await api.mutate('forkSession', await source(key), copied)
    const messages = [{ role: 'USER', content: `All about ${word}` }]
    await api.change('addMessages', { sessionId: session.id, messages })
    // Without the word, which is to be found where all the rest is.
    await api.change('forkSession', { sessionId: session.id, atMessageId: session.messages.nodes[0].id })
    await api.change('addParticipant', { sessionId: session.id, externalUserId: 'guest', role: 'VIEWER' })
  }
}

it('finds ten messages by as many statements as one', async () => {
  const api = app.api({ user: 'finder' })
  await storeForks(api, Array(many).fill('research'), 'lighthouses')
  const find = async (first: number) => {
    const { search } = await api.run(
      `query ($first: Int) { search(query: "lighthouses", filter: { role: USER }, first: $first) {
        totalCount nodes { rank snippet { text } session { ${session} } message { ${message} } } } }`,
      { first },
    )
    expect(search.nodes).toHaveLength(first)
  }
  await expectSame(
    () => find(1),
    () => find(many),
  )
})

it('counts the sessions of ten agents by as many statements as those of one', async () => {
  const admin = app.api({ user: 'root', role: 'ADMIN' })
  const keys = Array.from({ length: many }, (_, index) => `agent-${index}`)
  for (const key of keys) await admin.change('createAgent', { key, name: key, model: 'demo:chat' })
  await storeForks(app.api({ user: 'single' }), keys.slice(0, 1), 'one')
  await storeForks(app.api({ user: 'plenty' }), keys, 'several')
  const count = async (user: string, agents: number) => {
    const { userStats } = await app.api({ user }).run(`{ userStats { totalSessions totalMessages tokens cost
      sessionsByAgent { agent { key name tools { name } } count } mostRecentSession { ${session} } oldestSession { ${session} } } }`)
    expect(userStats.sessionsByAgent).toHaveLength(agents)
  }
  await expectSame(
    () => count('single', 1),
    () => count('plenty', many),
  )
})

it('lists ten templates by as many statements as one', async () => {
  const apis = Array.from({ length: many }, (_, index) =>
    app.api({ user: `author-${index}`, tenant: 'books' }),
  )
  for (const [index, api] of apis.entries())
    await api.change('createTemplate', {
      name: `Template ${index}`,
      agent: index % 2 ? 'primary' : 'research',
      openingMessages: [{ role: 'USER', content: 'Hello' }],
    })
  const list = async (first: number) => {
    const { templates } = await app.api({ tenant: 'books' }).run(
      `query ($first: Int) { templates(first: $first) { totalCount nodes {
        name openingMessages { content } metadata author { externalId } agent { key name tools { name } } } } }`,
      { first },
    )
    expect(templates.nodes).toHaveLength(first)
  }
  await expectSame(
    () => list(1),
    () => list(many),
  )
})
