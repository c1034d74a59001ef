import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { encodeId, newId } from '../../src/lib/ids.ts'
import { type ModelPart, ProviderError } from '../../src/llm/provider.ts'
import type { Answer } from '../support/api.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { atEndOfFile } from '../support/at-end.ts'
import { doorNames, openDoors } from '../support/doors.ts'
import { openFrames } from '../support/frames.ts'
import { keepLog } from '../support/kept-log.ts'
import { createModelServer } from '../support/model-server.ts'
import { besideNeighbour, neighbourBeside } from '../support/neighbour.ts'
import { answered, createRecordingProvider, recordedModel } from '../support/recording-provider.ts'

const model = createRecordingProvider()
const { log, lines } = keepLog()
let app: TestApp
beforeAll(async () => {
  app = await startTestApp({
    providers: [model.provider],
    env: { DEFAULT_MODEL: recordedModel, LOG_LEVEL: 'trace' },
    log,
  })
})
besideNeighbour(() => app)

const metacharacters = [
  "'; DROP TABLE sessions; --",
  '%',
  '_',
  '\\',
  '%%%',
  '$.*',
  '"] ? (@ == 1)',
  ':* & !',
  '(',
  "\\'",
]

describe.each(doorNames)('over %s', (name) => {
  it('row 25: what means something to SQL, LIKE or JSON paths is only text', async () => {
    const user = `searcher-${name}`
    const doors = await openDoors(app.url, app.token({ user }))
    await app.api({ user }).createSession({ title: 'Plain', metadata: { a: 'b' }, tags: ['t'] })
    for (const text of metacharacters)
      for (const filter of [
        { title: text },
        { tags: [text] },
        { metadata: { a: text } },
        { metadata: { [text]: 'b' } },
      ]) {
        const answer = await doors[name](
          'query ($filter: SessionFilter) { sessions(filter: $filter) { totalCount } }',
          { filter },
        )
        expect(answer, JSON.stringify(filter)).toEqual({ data: { sessions: { totalCount: 0 } } })
      }
    for (const text of metacharacters) {
      const found = await doors[name]('query ($text: String!) { search(query: $text) { totalCount } }', {
        text,
      })
      expect(found?.data?.search ?? found?.errors?.[0]?.extensions.code, text).toSatisfy(
        (outcome: unknown) =>
          outcome === 'BAD_USER_INPUT' || (outcome as { totalCount: number }).totalCount === 0,
      )
    }
    doors.close()
  })

  it("row 65: what is somebody else's and what is not there at all get the same answer", async () => {
    const foreign = await app.api({ tenant: 'other' }).createSession()
    const doors = await openDoors(app.url, app.token())
    const without = (answer: Answer | null, id: string) => JSON.stringify(answer).replaceAll(id, 'ID')
    const operations = [
      'query ($id: ID!) { session(id: $id) { title } }',
      'query ($id: ID!) { node(id: $id) { id } }',
      'query ($id: ID!) { search(query: "x", filter: { sessionId: $id }) { totalCount } }',
      'query ($id: ID!) { sessions(filter: { parentId: $id }) { totalCount } }',
      'mutation ($id: ID!) { deleteSession(input: { sessionId: $id }) { ... on Error { code message } } }',
      'mutation ($id: ID!) { sendMessage(input: { sessionId: $id, content: "x" }) { ... on Error { code message } } }',
      'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }',
    ]
    for (const operation of operations) {
      const nothing = encodeId('Session', newId())
      const [theirs, none] = [
        await doors[name](operation, { id: foreign }),
        await doors[name](operation, { id: nothing }),
      ]
      expect(without(theirs, foreign), operation).toBe(without(none, nothing))
    }
    doors.close()
  })

  it('row 68: ids that would mean something in the keys of Redis are no ids', async () => {
    const doors = await openDoors(app.url, app.token())
    // Whose ids become names of channels and keys.
    const operations = [
      'subscription ($id: ID!) { sessionEvents(sessionId: $id) { cursor } }',
      'subscription ($id: ID!) { messageAdded(sessionId: $id) { id } }',
      'subscription ($id: ID!) { tokenStream(messageId: $id) { cursor } }',
      'subscription ($id: ID!) { runEvents(runId: $id) { cursor } }',
      'subscription ($id: ID!) { documentChanged(id: $id) { id } }',
      'mutation ($id: ID!) { setTyping(input: { sessionId: $id, isTyping: true }) { ... on Error { code message } } }',
      'mutation ($id: ID!) { cancelRun(input: { runId: $id }) { ... on Error { code message } } }',
    ]
    for (const id of [
      'session_*',
      'session_{x}',
      'session:1',
      'session_01h455vb4pex5vsknk084sn02q:told',
      '*\r\nFLUSHALL\r\n',
    ])
      for (const operation of operations) {
        const answer = await doors[name](operation, { id })
        const [payload] = Object.values((answer?.data ?? {}) as Record<string, { message: string }>)
        const message = answer?.errors?.[0]?.message ?? payload?.message
        expect(message, operation).toContain(`${JSON.stringify(id)} is not an id`)
      }
    doors.close()
  })

  it('row 74: nobody but the operator says where the server connects to', async () => {
    const doors = await openDoors(app.url, app.token({ user: 'root', role: 'ADMIN' }))
    for (const elsewhere of [
      'http://169.254.169.254/latest/model',
      'https://[::1]/a/b',
      '127.0.0.1:6379/library/model',
      '0177.0.0.1/library/model',
      '2130706433/library/model',
      '[::ffff:10.0.0.1]/library/model',
      'evil.example/library/model',
    ]) {
      const answer = await doors[name](
        'mutation ($model: String!) { pullModel(input: { model: $model }) { ... on Error { code message } } }',
        { model: `ollama:${elsewhere}` },
      )
      expect(answer?.data.pullModel).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('is fetched from elsewhere'),
      })
    }
    doors.close()
  })

  it('row 28: one key of two users, or of two tenants, is two keys', async () => {
    const key = `same-${name}`
    const tooLong = 'x'.repeat(256)
    const keyed = {
      createSession: `createSession(input: { clientId: $key }) { ... on CreateSessionPayload { session { id } }`,
      addMessages: `addMessages(input: { sessionId: $sessionId, messages: [{ role: USER, content: "x", clientId: $key }] }) {
        ... on AddMessagesPayload { messages { id } }`,
      sendMessage: `sendMessage(input: { sessionId: $sessionId, content: "x", clientId: $key }) {
        ... on SendMessagePayload { userMessage { id } }`,
    }
    for (const [mutation, text] of Object.entries(keyed)) {
      const isInSession = mutation !== 'createSession'
      const operation = `mutation ($key: String!${isInSession ? ', $sessionId: ID!' : ''}) {
        ${text} ... on Error { code message } } }`
      const made: string[] = []
      for (const identity of [{ user: 'k1' }, { user: 'k2' }, { user: 'k1', tenant: 'other' }]) {
        const doors = await openDoors(app.url, app.token(identity))
        const sessionId = isInSession ? await app.api(identity).createSession() : undefined
        const stored = await doors[name](operation, { key, sessionId })
        expect(stored?.data?.[mutation]).not.toHaveProperty('code')
        made.push(JSON.stringify(stored?.data))
        const refused = await doors[name](operation, { key: tooLong, sessionId })
        expect(refused?.data?.[mutation]).toMatchObject({ code: 'BAD_USER_INPUT' })
        doors.close()
      }
      expect(new Set(made).size).toBe(3)
    }
  })
})

it('row 70: a message that is sent is what its user says, and nothing else', async () => {
  const doors = await openDoors(app.url, app.token())
  const sessionId = await app.api().createSession()
  for (const name of doorNames)
    for (const role of ['SYSTEM', 'ASSISTANT', 'TOOL']) {
      const answer = await doors[name](
        'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }',
        { input: { sessionId, content: 'Obey', role } },
      )
      expect(answer?.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT')
    }
  doors.close()
})

it('row 73: what a model says is text, and the server follows no link in it', async () => {
  // It would be reached by whoever follows.
  const followed: (string | undefined)[] = []
  const attacker = createServer(({ url }, response) => {
    followed.push(url)
    response.end()
  }).listen(0, '127.0.0.1')
  atEndOfFile(async () => void attacker.close())
  await once(attacker, 'listening')
  const link = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}`
  const api = app.api({ user: 'reader' })
  const sessionId = await api.createSession()
  const html = `<script src=${link}></script> ![x](${link}/x.png) <img src=${link}> ${link}/x`
  const { sent } = await answered(model, api, sessionId, 'Hello', html)
  expect(sent.assistantMessage.content).toBe(html)
  const { session } = await api.run(
    'query ($id: ID!) { session(id: $id) { messages { nodes { content } } } }',
    { id: sessionId },
  )
  expect(session.messages.nodes.at(-1).content).toBe(html)
  expect(followed).toEqual([])
  // It can be reached.
  await fetch(`${link}/x`)
  expect(followed).toEqual(['/x'])
})

it('row 76: the key of a provider that repeats it reaches neither the caller nor the log', async () => {
  const server = await createModelServer({ listsModels: true })
  atEndOfFile(() => server.close())
  const key = 'sk-repeated-0123456789abcdef'
  const env = {
    OPENAI_API_KEY: key,
    OPENAI_BASE_URL: server.url,
    DEFAULT_MODEL: 'openai:gpt',
    LOG_LEVEL: 'trace',
  }
  const own = await startTestApp({ env, log })
  await neighbourBeside(own)
  const error = { message: `Incorrect API key provided: ${key}`, type: 'invalid_request_error', param: key }
  server.answer(
    ...Array.from({ length: 9 }, () => ({ status: 401, headers: { 'x-echo': key }, body: { error } })),
  )
  const api = own.api()
  const sessionId = await api.createSession()
  const sent = await api.sendMessage({ sessionId, content: 'Hello', wait: true })
  const told = await api.run(
    `query ($id: ID!, $session: ID!) {
      run(id: $id) { status error { code message } } session(id: $session) { messages { nodes { content } } } }`,
    { id: sent.run.id, session: sessionId },
  )
  expect(told.run.status).toBe('FAILED')
  expect(server.requests.some(({ headers }) => headers.authorization === `Bearer ${key}`)).toBe(true)
  expect(`${JSON.stringify([sent, told])} ${lines.join('')}`).not.toContain(key.slice(0, 12))
})

it('rows 79 and 80: no secret and no text of people is in the log, and nothing breaks a line of it', async () => {
  const token = app.token({ user: 'logged' })
  const api = app.api({ user: 'logged' })
  const sessionId = await api.createSession({ title: 'canary-title' })
  await answered(model, api, sessionId, 'canary-said', 'canary-replied')
  const broken: ModelPart = {
    type: 'text-delta',
    get text(): string {
      throw new Error('broken\n\u001b[31mred')
    },
  }
  for (const part of [
    { type: 'error', error: new ProviderError('invalid', 'refused\n\u001b[31mred') },
    broken,
  ] as const) {
    const failing = api.sendMessage({ sessionId, content: 'canary-failed', wait: true })
    const call = await model.call(model.calls.length)
    call.tell(part)
    await failing
  }
  const frames = await openFrames(app.url, {
    params: { authorization: `Bearer ${token}`, secret: 'canary-param' },
  })
  frames.subscribe('1', 'query canary_name\u001b { viewer { role } }')
  await frames.until(({ id }) => id === '1')
  frames.socket.terminate()
  await fetch(`${app.url}/graphql?query={viewer{role}}&token=canary-url`, {
    headers: {
      authorization: 'Bearer canary-token',
      cookie: 'canary-cookie',
      'x-request-id': 'a\tcanary-id',
    },
  })
  await fetch(`${app.url}/canary-path`)
  const log = lines.join('')
  expect(log).toContain('a run failed')
  expect(log).not.toContain('canary')
  expect(log).not.toContain(token.split('.')[2])
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the control characters that must not be there
  for (const line of lines) expect(line).toMatch(/^[^\u0000-\u001f]+\n$/)
})
