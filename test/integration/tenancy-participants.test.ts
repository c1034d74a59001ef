import { beforeAll, describe, expect, it } from 'vitest'
import { decodeId } from '../../src/lib/ids.ts'
import type { Api } from '../support/api.ts'
import { type Identity, startTestApp, type TestApp } from '../support/app.ts'
import { query } from '../support/postgres.ts'

let app: TestApp
let sessionId: string
let runId: string

const people = {
  viewer: { user: 'vera' },
  editor: { user: 'edgar' },
  coOwner: { user: 'olga' },
  stranger: { user: 'stan' },
  admin: { user: 'ada', role: 'ADMIN' },
  service: { user: 'robot', role: 'SERVICE' },
} satisfies Record<string, Identity>
type Person = keyof typeof people

beforeAll(async () => {
  app = await startTestApp()
  const alice = app.api()
  sessionId = await alice.createSession({ title: 'Shared' })
  const sent = await alice.sendMessage({ sessionId, content: 'Hello', wait: true })
  runId = sent.run.id
  await share(sessionId, { viewer: 'VIEWER', editor: 'EDITOR', coOwner: 'OWNER' })
})

async function userId(person: Person): Promise<string> {
  const { viewer } = await app.api(people[person]).run('{ viewer { user { id } } }')
  return viewer.user.id
}

async function share(id: string, roles: Partial<Record<Person, 'VIEWER' | 'EDITOR' | 'OWNER'>>) {
  for (const [person, role] of Object.entries(roles)) {
    const user = decodeId(await userId(person as Person)).uuid
    await query(
      app.databaseUrl,
      `INSERT INTO participants (tenant_id, session_id, user_id, role)
       SELECT tenant_id, id, $2, $3::"ParticipantRole" FROM sessions WHERE id = $1`,
      { values: [decodeId(id).uuid, user, role] },
    )
  }
}

const codes = {
  updateSession: (id: string) => ({ sessionId: id, title: 'Shared' }),
  addMessages: (id: string) => ({ sessionId: id, messages: [{ role: 'USER', content: 'Hi' }] }),
  sendMessage: (id: string) => ({ sessionId: id, content: 'Hi', wait: true }),
  cancelRun: () => ({ runId }),
  deleteSession: (id: string) => ({ sessionId: id }),
} as const

/** The code of the failure, or the name of the payload. */
async function outcome(person: Person, name: keyof typeof codes, id: string): Promise<string> {
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}`
  const data = await app
    .api(people[person])
    .run(`mutation ($input: ${type}Input!) { ${name}(input: $input) { __typename ... on Error { code } } }`, {
      input: codes[name](id),
    })
  return data[name].code ?? data[name].__typename
}

describe('in a shared session', () => {
  const may = ['UpdateSessionPayload', 'AddMessagesPayload', 'SendMessagePayload', 'CancelRunPayload']
  const change = ['updateSession', 'addMessages', 'sendMessage', 'cancelRun'] as const

  it.each([
    ['viewer', change.map(() => 'FORBIDDEN')],
    ['editor', may],
    ['coOwner', may],
    ['admin', may],
    ['service', may],
    ['stranger', change.map(() => 'NOT_FOUND')],
  ] as const)('%s may change: %s', async (person, expected) => {
    const outcomes = []
    for (const name of change) outcomes.push(await outcome(person, name, sessionId))
    expect(outcomes).toEqual(expected)
  })

  it.each([
    ['viewer', 'FORBIDDEN'],
    ['editor', 'FORBIDDEN'],
    ['stranger', 'NOT_FOUND'],
    ['coOwner', 'DeleteSessionPayload'],
    ['admin', 'DeleteSessionPayload'],
    ['service', 'DeleteSessionPayload'],
  ] as const)('%s deletes: %s', async (person, expected) => {
    const id = await app.api().createSession()
    await share(id, { viewer: 'VIEWER', editor: 'EDITOR', coOwner: 'OWNER' })
    expect(await outcome(person, 'deleteSession', id)).toBe(expected)
    const { session } = await app.api().run('query ($id: ID!) { session(id: $id) { id } }', { id })
    expect(session === null).toBe(expected === 'DeleteSessionPayload')
  })

  it.each([
    ['viewer', 'VIEWER'],
    ['editor', 'EDITOR'],
    ['coOwner', 'OWNER'],
    ['admin', 'OWNER'],
    ['service', 'OWNER'],
  ] as const)('%s reads, lists and follows it as %s', async (person, role) => {
    const api = app.api(people[person])
    const { session, sessions, run } = await api.run(
      `query ($id: ID!, $run: ID!) {
        session(id: $id) { title viewerRole messages(first: 1) { nodes { content author { externalId } } } }
        sessions(filter: { title: "shared" }) { totalCount nodes { id viewerRole } }
        run(id: $run) { status }
      }`,
      { id: sessionId, run: runId },
    )
    expect(session).toEqual({
      title: 'Shared',
      viewerRole: role,
      messages: { nodes: [{ content: 'Hello', author: { externalId: 'alice' } }] },
    })
    expect(sessions).toEqual({ totalCount: 1, nodes: [{ id: sessionId, viewerRole: role }] })
    expect(run).toEqual({ status: 'COMPLETED' })
    const watch = app
      .socket(people[person])
      .watch('subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename } }', { id: sessionId })
    await watch.until(({ __typename }) => __typename === 'SessionSnapshot')
    await app.api().change('sendMessage', { sessionId, content: 'And now' })
    await watch.until(({ __typename }) => __typename === 'RunFinished')
    watch.stop()
  })

  it('an ended reply is told to a viewer, and not to a stranger', async () => {
    const { run } = await app
      .api()
      .run('query ($id: ID!) { run(id: $id) { assistantMessage { id content } } }', {
        id: runId,
      })
    const stream = 'subscription ($id: ID!) { tokenStream(messageId: $id) { text status } }'
    const told = app.socket(people.viewer).watch(stream, { id: run.assistantMessage.id })
    expect(await told.until(() => true)).toEqual({ text: run.assistantMessage.content, status: 'COMPLETE' })
    const refused = app.socket(people.stranger).watch(stream, { id: run.assistantMessage.id })
    await expect(refused.until(() => true)).rejects.toThrow('NOT_FOUND')
  })
})

describe('the other sessions of the owner', () => {
  const payload = 'session { id } deactivatedSessions { id messages(first: 1) { nodes { content } } }'

  /** An inactive session that is shared, and as many private ones as may be active. */
  async function prepare(owner: string) {
    const api = app.api({ user: owner })
    const shared = await api.createSession({ agent: 'primary' })
    await api.change('updateSession', { sessionId: shared, isActive: false })
    await share(shared, { editor: 'EDITOR', coOwner: 'OWNER' })
    for (let n = 0; n < 5; n += 1) await api.createSession({ agent: 'primary', title: 'Private' })
    return { shared, api }
  }
  const countActive = async (api: Api) =>
    (await api.run('{ sessions(filter: { isActive: true }) { totalCount } }')).sessions.totalCount

  it('are neither switched off nor read by an editor of one', async () => {
    const { shared, api } = await prepare('oscar')
    const editor = app.api(people.editor)
    for (const [field, value] of [
      ['isActive', true],
      ['isActive', false],
      ['agent', 'research'],
      ['agent', null],
    ] as const)
      expect(await editor.mutate('updateSession', { sessionId: shared, [field]: value }, payload)).toEqual({
        code: 'FORBIDDEN',
        message: `${field}: only the owner of a session can change it.`,
      })
    expect(await countActive(api)).toBe(5)
    expect(
      await editor.mutate('updateSession', { sessionId: shared, systemPrompt: 'Short.' }),
    ).not.toHaveProperty('code')
  })

  it('give way to one that a co-owner makes active, who is not shown them', async () => {
    const { shared, api } = await prepare('otto')
    const coOwner = app.api(people.coOwner)
    expect(await coOwner.mutate('updateSession', { sessionId: shared, isActive: true }, payload)).toEqual({
      session: { id: shared },
      deactivatedSessions: [],
    })
    expect(await countActive(api)).toBe(5)
    const admin = app.api(people.admin)
    await api.change('updateSession', { sessionId: shared, isActive: false })
    await api.createSession({ agent: 'primary' })
    const { deactivatedSessions } = await admin.mutate(
      'updateSession',
      { sessionId: shared, isActive: true },
      payload,
    )
    expect(deactivatedSessions).toHaveLength(1)
  })
})

describe('for another user', () => {
  const create = `mutation ($input: CreateSessionInput!) { createSession(input: $input) {
    ... on Error { code message } ... on CreateSessionPayload { session { user { externalId } } } } }`

  it.each(['admin', 'service'] as const)('%s may create', async (person) => {
    const { createSession } = await app
      .api(people[person])
      .run(create, { input: { userId: await userId('stranger') } })
    expect(createSession).toEqual({ session: { user: { externalId: 'stan' } } })
  })

  it('nobody else may, not even with the right to a session of it', async () => {
    for (const person of ['editor', 'coOwner'] as const) {
      const { createSession } = await app
        .api(people[person])
        .run(create, { input: { userId: await userId('stranger') } })
      expect(createSession).toEqual({
        code: 'FORBIDDEN',
        message: 'userId: only an admin or a service token may name another user.',
      })
    }
  })

  it('everybody may name itself', async () => {
    const { createSession } = await app
      .api(people.editor)
      .run(create, { input: { userId: await userId('editor') } })
    expect(createSession).toEqual({ session: { user: { externalId: 'edgar' } } })
  })

  it('admins and services list the whole tenant, users what is theirs or shared', async () => {
    const list = async (identity: Identity) => {
      const { sessions } = await app
        .api({ tenant: 'list', ...identity })
        .run('{ sessions(orderBy: { field: TITLE, direction: ASC }) { totalCount nodes { title } } }')
      return [sessions.totalCount, ...sessions.nodes.map(({ title }: { title: string }) => title)]
    }
    for (const user of ['ann', 'ben']) await app.api({ tenant: 'list', user }).createSession({ title: user })
    expect(await list({ user: 'ann' })).toEqual([1, 'ann'])
    expect(await list({ user: 'ben' })).toEqual([1, 'ben'])
    expect(await list({ user: 'cat', role: 'ADMIN' })).toEqual([2, 'ann', 'ben'])
    expect(await list({ user: 'dot', role: 'SERVICE' })).toEqual([2, 'ann', 'ben'])
  })
})
