import { once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startTestApp, type TestApp } from '../support/app.ts'
import { type Frames, openFrames } from '../support/frames.ts'
import { besideNeighbour } from '../support/neighbour.ts'

const follow = 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename cursor } }'

let app: TestApp
let sessionId: string
let params: { authorization: string }
beforeAll(async () => {
  app = await startTestApp()
  sessionId = await app.api().createSession()
  params = { authorization: `Bearer ${app.token()}` }
})
besideNeighbour(() => app)

const isAbout =
  (wanted: string) =>
  ({ id }: { id?: string }) =>
    id === wanted

/** A socket with one subscription that is well. */
async function openFollowing(): Promise<Frames> {
  const frames = await openFrames(app.url, { params })
  frames.subscribe('healthy', follow, { id: sessionId })
  await frames.until(isAbout('healthy'))
  return frames
}

/** The subscription of `openFollowing` still tells what happens. */
async function expectHealthy(frames: Frames) {
  const before = frames.received.filter(isAbout('healthy')).length
  await app
    .api()
    .run(
      `mutation ($id: ID!) { addMessages(input: { sessionId: $id, messages: [{ role: USER, content: "Hi" }] }) { __typename } }`,
      { id: sessionId },
    )
  await frames.until(() => frames.received.filter(isAbout('healthy')).length > before)
}

describe('a socket is closed', () => {
  const first =
    (frame: object | string, given: { init?: boolean } = {}) =>
    async () => {
      const frames = await openFrames(app.url, given.init === false ? {} : { params })
      frames.send(frame as never)
      return frames.closed
    }
  const subscribe = { id: '1', type: 'subscribe', payload: { query: '{ viewer { role } }' } }

  it.each<[string, number, () => Promise<{ code: number }>]>([
    ['a subscription before the init', 4401, first(subscribe, { init: false })],
    ['a second init', 4429, first({ type: 'connection_init', payload: {} })],
    ['no JSON', 4400, first('{')],
    ['a list', 4400, first('[]')],
    ['null', 4400, first('null')],
    ['an unknown type', 4400, first({ type: 'start', id: '1' })],
    ['no id', 4400, first({ type: 'subscribe', payload: { query: '{ viewer { role } }' } })],
    ['an empty id', 4400, first({ ...subscribe, id: '' })],
    ['no query', 4400, first({ ...subscribe, payload: {} })],
    ['a query that is no text', 4400, first({ ...subscribe, payload: { query: 5 } })],
    ['variables that are a list', 4400, first({ ...subscribe, payload: { query: '{ a }', variables: [1] } })],
    ['a name that is no text', 4400, first({ ...subscribe, payload: { query: '{ a }', operationName: 1 } })],
  ])('for %s, with %i', async (_what, code, act) => {
    expect((await act()).code).toBe(code)
  })

  it('for an id that is in use, with 4409', async () => {
    const frames = await openFollowing()
    frames.subscribe('healthy', follow, { id: sessionId })
    expect((await frames.closed).code).toBe(4409)
  })

  it('for no init within three seconds, with 4408', async () => {
    const frames = await openFrames(app.url)
    expect((await frames.closed).code).toBe(4408)
  })

  it.each(['graphql-ws', 'soap'])('for the subprotocol %s, with nothing run', async (protocol) => {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, protocol)
    const outcome = await Promise.race([
      once(socket, 'error').then(([error]) => String(error)),
      once(socket, 'close').then(([code]) => code as number),
    ])
    expect([4406, 'Error: Server sent no subprotocol']).toContain(outcome)
  })

  it('for a frame of more than WEBSOCKET_FRAME_MAX_BYTES, with 1009, and no other with it', async () => {
    const healthy = await openFollowing()
    const frames = await openFrames(app.url, { params })
    frames.send({
      id: '1',
      type: 'subscribe',
      payload: { query: `{ viewer { role } } #${'x'.repeat(131_072)}` },
    })
    expect((await frames.closed).code).toBe(1009)
    await expectHealthy(healthy)
  })
})

describe('one operation fails alone', () => {
  it.each([
    ['a syntax error', '{ viewer {', 'Syntax Error'],
    ['an unknown field', '{ unheard }', 'Cannot query field "unheard"'],
    ['an unknown operation', 'fragment F on Viewer { role }', ''],
    ['a variable that does not fit', 'query ($id: ID!) { session(id: $id) { id } }', '$id'],
    [
      'a subscription that is refused',
      'subscription { sessionEvents(sessionId: "x") { cursor } }',
      'is not an id',
    ],
    [
      'two fields in a subscription',
      'subscription { a: messageAdded(sessionId: "x") { id } b: messageAdded(sessionId: "x") { id } }',
      'must select only one top level field',
    ],
    ['an empty document', '', 'Syntax Error'],
  ])('for %s', async (_what, query, says) => {
    const frames = await openFollowing()
    // What was parsed before comes out of a cache.
    for (const id of ['bad', 'again']) {
      frames.subscribe(id, query)
      const { type, payload } = await frames.until(isAbout(id))
      const errors = type === 'error' ? payload : payload.errors
      expect(errors[0].message).toContain(says)
      expect(errors[0].extensions).toEqual({ code: 'BAD_USER_INPUT' })
    }
    frames.subscribe('good', '{ viewer { role } }')
    expect((await frames.until(isAbout('good'))).payload).toEqual({ data: { viewer: { role: 'USER' } } })
    await expectHealthy(frames)
  })

  it('with ids that objects have by nature', async () => {
    const frames = await openFollowing()
    for (const id of ['__proto__', 'constructor', 'toString', 'x'.repeat(200)]) {
      frames.subscribe(id, '{ viewer { role } }')
      expect((await frames.until(isAbout(id))).payload).toEqual({ data: { viewer: { role: 'USER' } } })
    }
    await expectHealthy(frames)
  })

  it('and completing what is not there changes nothing', async () => {
    const frames = await openFollowing()
    frames.send({ id: 'unheard', type: 'complete' })
    frames.send({ type: 'ping' })
    await frames.until(({ type }) => type === 'pong')
    await expectHealthy(frames)
  })
})

describe('two subscriptions of one socket', () => {
  it('get what is theirs', async () => {
    const otherId = await app.api().createSession()
    const frames = await openFrames(app.url, { params })
    const events = `subscription ($id: ID!) { messageAdded(sessionId: $id) { content session { id } } }`
    frames.subscribe('one', events, { id: sessionId })
    frames.subscribe('two', events, { id: otherId })
    frames.subscribe('ready', follow, { id: otherId })
    await frames.until(isAbout('ready'))
    const add = `mutation ($input: AddMessagesInput!) { addMessages(input: $input) { __typename } }`
    for (let round = 0; round < 5; round += 1)
      for (const id of [sessionId, otherId])
        await app
          .api()
          .run(add, { input: { sessionId: id, messages: [{ role: 'USER', content: `${id} ${round}` }] } })
    for (const [name, id] of [
      ['one', sessionId],
      ['two', otherId],
    ] as const) {
      await frames.until(
        (frame) => isAbout(name)(frame) && frame.payload.data.messageAdded.content === `${id} 4`,
      )
      const got = frames.received.filter(isAbout(name)).map(({ payload }) => payload.data.messageAdded)
      expect(got).toEqual([0, 1, 2, 3, 4].map((round) => ({ content: `${id} ${round}`, session: { id } })))
    }
  })
})

describe('the handshake', () => {
  /** The status of the refusal, or `open`. */
  async function attempt(headers: Record<string, string>, path = '/graphql', url = app.url) {
    const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, 'graphql-transport-ws', { headers })
    const outcome = await Promise.race([
      once(socket, 'open').then(() => 'open'),
      once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number),
    ])
    socket.on('error', () => {})
    socket.terminate()
    return outcome
  }

  it('is for the page of the server itself, for those of CORS_ORIGINS and for programs', async () => {
    const { host, port } = new URL(app.url)
    expect(await attempt({})).toBe('open')
    expect(await attempt({ origin: `http://${host}` })).toBe('open')
    for (const origin of [
      'http://evil.example',
      `http://${host}.evil.example`,
      'null',
      '',
      `http://localhost:${Number(port) + 1}`,
    ])
      expect([origin, await attempt({ origin })]).toEqual([origin, 403])
    const open = await startTestApp({ env: { CORS_ORIGINS: 'https://app.example' } })
    expect(await attempt({ origin: 'https://app.example' }, '/graphql', open.url)).toBe('open')
    expect(await attempt({ origin: 'https://app.example.evil.example' }, '/graphql', open.url)).toBe(403)
  })

  it('is at one path only', async () => {
    for (const path of ['/', '/graphiql', '/graphql/', '/graphqlx'])
      expect([path, await attempt({}, path)]).toEqual([path, 404])
  })

  it('agrees on no compression', async () => {
    const frames = await openFrames(app.url, { perMessageDeflate: true })
    expect(frames.socket.extensions).toBe('')
    frames.socket.terminate()
  })
})
