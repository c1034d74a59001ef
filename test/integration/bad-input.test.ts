import { beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/lib/digest.ts'
import { encodeId, newId } from '../../src/lib/ids.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { query } from '../support/postgres.ts'
import { badInputs, malformedIds } from './bad-input.cases.ts'
import { type Ids, matrix, ofEachType } from './tenancy.matrix.ts'

let app: TestApp
let sessionId: string
beforeAll(async () => {
  app = await startTestApp()
  sessionId = await app.api().createSession({ title: 'Kept' })
  await app.api().change('sendMessage', { sessionId, content: 'Hello', wait: true })
})
besideNeighbour(() => app)

/** Everything that these tests must leave alone. */
const stored = () =>
  query(
    app.databaseUrl,
    `SELECT (SELECT count(*) FROM messages WHERE tenant_id = t.id) AS messages,
       (SELECT count(*) FROM runs WHERE tenant_id = t.id) AS runs,
       (SELECT json_agg(s ORDER BY id) FROM sessions s WHERE tenant_id = t.id) AS sessions
     FROM tenants t WHERE slug = 'demo'`,
  )

const mutation = (
  field: string,
) => `mutation ($input: ${field.charAt(0).toUpperCase()}${field.slice(1)}Input!) {
  ${field}(input: $input) { __typename ... on Error { code message } ... on ValidationError { fields { path message } } }
}`

describe.each(doorNames)('over %s', (door) => {
  it('wrong values of mutations are named, with what is allowed, and store nothing', async () => {
    const doors = await openDoors(app.url, app.token())
    const before = await stored()
    const wrong: unknown[] = []
    for (const { field, input, path, says } of badInputs(sessionId)) {
      const answer = await doors[door](mutation(field), { input })
      const { code, fields = [] } = answer?.data?.[field] ?? {}
      const fault = fields.find((each: { path: string }) => each.path === path)
      const isTold = says instanceof RegExp ? says.test(fault?.message) : fault?.message.includes(says)
      if (code !== 'BAD_USER_INPUT' || !isTold)
        wrong.push({ field, path, input: shorten(input), answer: shorten(answer) })
    }
    expect(wrong).toEqual([])
    expect(await stored()).toEqual(before)
    doors.close()
  })

  it('malformed ids are refused wherever an id is taken', async () => {
    // An admin: whoever may not do a thing at all is told that first.
    const doors = await openDoors(app.url, app.token({ role: 'ADMIN' }))
    const before = await stored()
    const wrong: unknown[] = []
    // All of them through one door, a few through the others, which read arguments with the same code.
    const malformed = door === 'http' ? malformedIds : malformedIds.slice(0, 4)
    const taking = Object.entries(matrix).flatMap(([name, cases]) => cases.map((each) => ({ name, ...each })))
    for (const { name, operation, variables } of taking)
      for (const bad of variables ? malformed : []) {
        const ids = Object.fromEntries(ofEachType.map((type) => [type, bad])) as Ids
        const given = variables?.(ids, sessionId)
        // Whatever is no id of an agent is looked for among the keys of agents; some fields take no id at all.
        if (/"agent":/.test(JSON.stringify(given)) || !hasText(given, bad)) continue
        const answer = JSON.stringify(await doors[door](operation, given))
        if (!answer.includes('BAD_USER_INPUT') || !answer.includes('is not an id; ids look like session_'))
          wrong.push({ name, bad: shorten(bad), answer })
      }
    expect(wrong).toEqual([])
    expect(await stored()).toEqual(before)
    doors.close()
  })

  it.each([
    ['session', 'query ($id: ID!) { session(id: $id) { id } }', 'Message'],
    ['message', 'query ($id: ID!) { message(id: $id) { id } }', 'Session'],
    ['run', 'query ($id: ID!) { run(id: $id) { id } }', 'Message'],
    ['user', 'query ($id: ID!) { sessions(filter: { userId: $id }) { totalCount } }', 'Tenant'],
    ['session', 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }', 'Run'],
    ['session', 'subscription ($id: ID!) { messageAdded(sessionId: $id) { id } }', 'User'],
    ['message', 'subscription ($id: ID!) { tokenStream(messageId: $id) { text } }', 'Run'],
    [
      'session',
      'mutation ($id: ID!) { deleteSession(input: { sessionId: $id }) { ... on Error { code message } } }',
      'Agent',
    ],
    [
      'run',
      'mutation ($id: ID!) { cancelRun(input: { runId: $id }) { ... on Error { code message } } }',
      'Session',
    ],
  ] as const)('an id of another type is no id of a %s: %s', async (expected, operation, type) => {
    const doors = await openDoors(app.url, app.token())
    const answer = await doors[door](operation, { id: encodeId(type, newId()) })
    const text = JSON.stringify(answer)
    expect(text).toContain('BAD_USER_INPUT')
    expect(text).toContain(
      `is the id of a ${type.toLowerCase()}; expected one of a ${expected} (${expected}_…)`,
    )
    doors.close()
  })

  it('what GraphQL itself refuses has the code, too', async () => {
    const doors = await openDoors(app.url, app.token())
    const create = 'mutation ($input: CreateSessionInput!) { createSession(input: $input) { __typename } }'
    const operations: [string, Record<string, unknown>?][] = [
      ['{ viewer { role }'],
      ['{ unheard }'],
      ['{ agents(limit: 3) { id } }'],
      ['{ sessions(orderBy: { field: SIZE }) { totalCount } }'],
      ['{ sessions(orderBy: { field: "TITLE" }) { totalCount } }'],
      ['query ($o: SessionOrder!) { sessions(orderBy: $o) { totalCount } }', { o: { field: 'SIZE' } }],
      ['query ($o: SessionOrder!) { sessions(orderBy: $o) { totalCount } }', { o: {} }],
      ['query ($id: ID!) { session(id: $id) { id } }'],
      ['query ($id: ID!) { session(id: $id) { id } }', { id: null }],
      ['query ($id: ID!) { session(id: $id) { id } }', { id: { contains: 'session' } }],
      ['query ($id: ID!) { session(id: $id) { id } }', { id: ['session'] }],
      [
        'query ($f: SessionFilter) { sessions(filter: $f) { totalCount } }',
        { f: { title: { contains: '' } } },
      ],
      [
        'query ($f: SessionFilter) { sessions(filter: $f) { totalCount } }',
        { f: { createdAfter: 'yesterday' } },
      ],
      [create, { input: { metadata: [1] } }],
      [create, { input: { metadata: 'text' } }],
      [create, { input: { parameters: 1 } }],
      [create, { input: { tags: [1] } }],
      [create, { input: { title: 1 } }],
      [create, { input: { name: 'x' } }],
      [create, { input: JSON.parse('{"__proto__": {"title": "x"}}') }],
      [create, { input: null }],
      [create, {}],
    ]
    for (const [operation, variables] of operations) {
      const answer = await doors[door](operation, variables)
      expect(answer?.data ?? null, operation).toBeNull()
      expect(answer?.errors, operation).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }])
    }
    doors.close()
  })
})

it('storing several messages is all or nothing, and links calls with results', async () => {
  const add = (...messages: object[]) =>
    app.api().run(
      `mutation ($input: AddMessagesInput!) { addMessages(input: $input) {
        ... on AddMessagesPayload { messages { seq role content toolCallId toolCalls { id name arguments } } }
        ... on ValidationError { fields { path message } } } }`,
      { input: { sessionId: linked, messages } },
    )
  const linked = await app.api().createSession()
  const call = { id: 'call-1', name: 'weather', arguments: { city: 'Hilo' } }
  const result = { role: 'TOOL', content: 'sunny', toolCallId: 'call-1' }

  const early = await add(result, { role: 'ASSISTANT', toolCalls: [call] })
  expect(early.addMessages.fields).toEqual([
    { path: 'messages.0.toolCallId', message: '"call-1" is no tool call of an earlier message' },
  ])
  const stored = await add(
    { role: 'USER', content: 'And in Hilo?' },
    { role: 'ASSISTANT', toolCalls: [call] },
    result,
  )
  expect(stored.addMessages.messages).toEqual([
    { seq: 1, role: 'USER', content: 'And in Hilo?', toolCallId: null, toolCalls: [] },
    { seq: 2, role: 'ASSISTANT', content: null, toolCallId: null, toolCalls: [call] },
    { seq: 3, role: 'TOOL', content: 'sunny', toolCallId: 'call-1', toolCalls: [] },
  ])
  const later = await add({ ...result, content: 'still sunny' })
  expect(later.addMessages.messages).toMatchObject([{ seq: 4 }])
  const most = await add(...Array(100).fill({ role: 'USER', content: 'x' }))
  expect(most.addMessages.messages.at(-1)).toMatchObject({ seq: 104 })
})

it('odd but storable values come back as they were', async () => {
  const metadata = JSON.parse(
    '{"__proto__": {"isAdmin": true}, "constructor": {"prototype": {"isAdmin": true}}, "path": "\\\\ud800 \\\\u0000", "": null}',
  )
  const title = `'; DROP TABLE sessions; -- \u202e\ufeff${'e\u0301'.repeat(3)} %_\\ 👩‍🚀`
  const id = await app.api().createSession({ metadata, title, tags: ['__proto__', '{"a"}', 'a,b'] })
  const { session } = await app
    .api()
    .run('query ($id: ID!) { session(id: $id) { metadata title tags } }', { id })
  // A comparison of values would look past the prototype.
  expect(digestOf(session.metadata)).toBe(digestOf(metadata))
  expect(session).toMatchObject({ title, tags: ['__proto__', '{"a"}', 'a,b'] })
  expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
})

const hasText = (value: unknown, text: string): boolean =>
  value === text ||
  (typeof value === 'object' && value !== null && Object.values(value).some((inner) => hasText(inner, text)))

const shorten = (value: unknown) => JSON.stringify(value).slice(0, 300)
