import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { watchSession } from '../support/session-reader.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: { CONNECTIONS_PER_USER: '2' } })
})
besideNeighbour(() => app)

type Method = 'POST' | 'GET'

/** The head of the answer to a subscription; undefined sends no accept header at all, as `fetch` cannot. */
async function subscribe(method: Method, accept: string | undefined, token: string, sessionId: string) {
  const asked = { query: watchSession, variables: { sessionId } }
  const search = new URLSearchParams({ query: watchSession, variables: JSON.stringify({ sessionId }) })
  const body = method === 'POST' ? JSON.stringify(asked) : ''
  const sent: ClientRequest = request(`${app.url}/graphql${method === 'GET' ? `?${search}` : ''}`, {
    method,
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      ...(accept === undefined ? {} : { accept }),
      ...(body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {}),
    },
  })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  // A stream that is cut is no fault of the test.
  response.on('error', () => {}).resume()
  const closed = new Promise((resolve) => response.once('close', resolve))
  return { response, closed, leave: () => sent.destroy() }
}

const eventAccepts = [
  undefined,
  '*/*',
  'text/*',
  'text/event-stream',
  'Text/Event-Stream',
  'application/json, */*;q=0.1',
]
const otherAccepts = [
  'application/json',
  'application/graphql-response+json',
  'multipart/mixed',
  'text/html',
  'application/json, text/event-stream;q=0',
]
const methods: Method[] = ['POST', 'GET']
const each = (accepts: (string | undefined)[]) =>
  methods.flatMap((method) => accepts.map((accept) => [method, accept] as const))

let users = 0
/** Somebody new, with a session. */
async function newcomer() {
  users += 1
  const user = `reader-${users}`
  return { user, sessionId: await app.api({ user }).createSession() }
}

describe.each(each(eventAccepts))('a subscription by %s that accepts %s', (method, accept) => {
  it('is a stream of events that counts as a connection', async () => {
    const { user, sessionId } = await newcomer()
    const open = () => subscribe(method, accept, app.token({ user }), sessionId)
    const [one, two] = [await open(), await open()]
    for (const { response } of [one, two]) {
      expect(response.statusCode).toBe(200)
      expect(response.headers['content-type']).toBe('text/event-stream')
    }
    expect((await open()).response.statusCode).toBe(429)
    one.leave()
    two.leave()
  })

  it('ends with its token, and as soon as that is revoked', async () => {
    const { user, sessionId } = await newcomer()
    const other = await newcomer()
    const briefly = app.token({ user: other.user, expiresInSeconds: 2 })
    const brief = await subscribe(method, accept, briefly, other.sessionId)
    const revoked = await subscribe(method, accept, app.token({ user }), sessionId)
    const { viewer } = await app.api({ user }).run('{ viewer { user { id } } }')
    await app.api({ user: 'root', role: 'ADMIN' }).change('revokeTokens', { userId: viewer.user.id })
    await revoked.closed
    await brief.closed
  })
})

it.each(each(otherAccepts))(
  'a subscription by %s that accepts %s alone is refused',
  async (method, accept) => {
    const { user, sessionId } = await newcomer()
    const { response } = await subscribe(method, accept, app.token({ user }), sessionId)
    expect(response.statusCode).toBe(406)
    expect(response.headers['content-type']).toBe('application/json')
  },
)

it('what is refused says what would not be', async () => {
  const { user, sessionId } = await newcomer()
  const answer = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      authorization: `Bearer ${app.token({ user })}`,
    },
    body: JSON.stringify({ query: watchSession, variables: { sessionId } }),
  })
  expect(await answer.json()).toEqual({
    errors: [
      {
        message: expect.stringContaining('the accept header must allow (text/event-stream)'),
        extensions: { code: 'BAD_USER_INPUT' },
      },
    ],
  })
})
