import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { neighbourBeside } from '../support/neighbour.ts'
import { patience } from '../support/patience.ts'
import { openRaw } from '../support/raw.ts'
import { requireRedis, startRedis } from '../support/redis.ts'
import { watchSession } from '../support/session-reader.ts'
import { openEventStream } from '../support/sse.ts'

const viewerQuery = '{ viewer { role } }'

describe('SUBSCRIPTIONS_PER_CONNECTION', () => {
  it('is 50: one more fails alone, and what ends makes room', async () => {
    const app = await startTestApp()
    await neighbourBeside(app)
    const sessionId = await app.api().createSession()
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
    const isOf = (id: string) => (frame: { id?: string }) => frame.id === id
    for (let index = 0; index < 50; index += 1) frames.subscribe(`s${index}`, watchSession, { sessionId })
    for (let index = 0; index < 50; index += 1)
      expect((await frames.until(isOf(`s${index}`))).payload.errors).toBeUndefined()
    frames.subscribe('more', watchSession, { sessionId })
    expect(await frames.until(isOf('more'))).toEqual({
      id: 'more',
      type: 'error',
      payload: [
        {
          message: 'The connection has 50 operations open already (SUBSCRIPTIONS_PER_CONNECTION).',
          extensions: { code: 'LIMIT_EXCEEDED' },
        },
      ],
    })
    frames.send({ id: 's0', type: 'complete' })
    frames.subscribe('again', watchSession, { sessionId })
    expect((await frames.until(isOf('again'))).type).toBe('next')
    frames.socket.terminate()
  })

  it('counts what is open: thousands that ended are as nothing', async () => {
    const app = await startTestApp({ env: { SUBSCRIPTIONS_PER_CONNECTION: '3' } })
    await neighbourBeside(app)
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
    const before = frames.received.length
    for (let index = 0; index < 10_002; index += 1) {
      frames.subscribe(`q${index}`, viewerQuery)
      if (index % 3 === 2) await frames.until(({ id, type }) => id === `q${index}` && type === 'complete')
    }
    const outcomes = frames.received.slice(before).map(({ type }) => type)
    expect(outcomes.filter((type) => type === 'next')).toHaveLength(10_002)
    expect(outcomes.filter((type) => type === 'error')).toEqual([])
    frames.socket.terminate()
  })
})

describe('CONNECTIONS_PER_USER of two nodes on one Redis', () => {
  if (!requireRedis()) return

  it('counts sockets and streams of both, and each its own while Redis is away', async () => {
    const redis = await startRedis()
    const env = { REDIS_URL: redis.url, CONNECTIONS_PER_USER: '3' }
    const one = await startTestApp({ env })
    const two = await startTestApp({ env, databaseUrl: one.databaseUrl })
    const token = one.token({ user: 'roamer' })
    const params = { authorization: `Bearer ${token}` }
    const sessionId = await one.api({ user: 'roamer' }).createSession()
    const stream = openEventStream(one.url, token, watchSession, { sessionId })
    await stream.at(0)
    const open = [await openFrames(one.url, { params }), await openFrames(two.url, { params })]
    const refused = async (app: TestApp) => {
      const more = await openFrames(app.url)
      more.send({ type: 'connection_init', payload: params })
      return (await more.closed).reason
    }
    for (const app of [one, two])
      expect(await refused(app)).toBe('The user has 3 connections already (CONNECTIONS_PER_USER).')
    expect((await openEventStream(two.url, token, watchSession, { sessionId }).response).status).toBe(429)
    const neighbour = await neighbourBeside(two)

    stream.cut()
    await vi.waitFor(async () => open.push(await openFrames(two.url, { params })), patience)
    await neighbour.isServed()
    neighbour.leave()
    await redis.kill()
    for (let count = 0; count < 2; count += 1) open.push(await openFrames(one.url, { params }))
    expect(await refused(one)).toBe('The user has 3 connections already (CONNECTIONS_PER_USER).')
    for (const { socket } of open) socket.terminate()
  })
})

describe('CONNECTIONS_PER_USER', () => {
  it('is 10: sockets and streams beyond are turned away, those that are open stay', async () => {
    const app = await startTestApp({ env: { CONNECTIONS_PER_USER: '' } })
    await neighbourBeside(app)
    const params = { authorization: `Bearer ${app.token()}` }
    const sessionId = await app.api().createSession()
    const open = []
    for (let index = 0; index < 9; index += 1) open.push(await openFrames(app.url, { params }))
    const stream = openEventStream(app.url, app.token(), watchSession, { sessionId })
    await stream.at(0)

    const more = await openFrames(app.url)
    more.send({ type: 'connection_init', payload: params })
    expect(await more.closed).toEqual({
      code: 1013,
      reason: 'The user has 10 connections already (CONNECTIONS_PER_USER).',
    })
    const moreEvents = openEventStream(app.url, app.token(), watchSession, { sessionId })
    expect((await moreEvents.response).status).toBe(429)
    await moreEvents.ended
    expect(moreEvents.failure).toMatchObject([{ extensions: { code: 'LIMIT_EXCEEDED' } }])

    const bob = await openFrames(app.url, {
      params: { authorization: `Bearer ${app.token({ user: 'bob' })}` },
    })
    for (const frames of [...open, bob]) {
      frames.subscribe('q', viewerQuery)
      expect((await frames.until(({ id }) => id === 'q')).type).toBe('next')
    }
    stream.cut()
    await stream.ended
    const [first] = open
    first?.socket.terminate()
    // The server learns of it in its own time.
    await expect
      .poll(async () => {
        const again = await openFrames(app.url)
        again.send({ type: 'connection_init', payload: params })
        return Promise.race([
          again.until(({ type }) => type === 'connection_ack').then(() => 'open'),
          again.closed.then(({ code }) => code),
        ]).catch(() => 'closed')
      })
      .toBe('open')
  })
})

describe('CONNECTIONS_PER_NODE', () => {
  it('refuses sockets and streams beyond before anything of them is read', async () => {
    const app = await startTestApp({ env: { CONNECTIONS_PER_NODE: '3' } })
    await neighbourBeside(app)
    const sessionId = await app.api().createSession()
    const open = [await openFrames(app.url), await openFrames(app.url)]
    const more = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
    const [, response] = await once(more, 'unexpected-response')
    expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '5'])
    expect(await json(response)).toEqual({
      errors: [
        {
          message: 'This server has 3 connections already (CONNECTIONS_PER_NODE).',
          extensions: { code: 'LIMIT_EXCEEDED' },
        },
      ],
    })
    more.on('error', () => {})
    more.terminate()
    const stream = openEventStream(app.url, app.token(), watchSession, { sessionId })
    expect((await stream.response).status).toBe(503)
    for (const frames of open) {
      frames.socket.close()
      await frames.closed
    }
    const params = { authorization: `Bearer ${app.token()}` }
    await expect.poll(() => openFrames(app.url, { params }).then(() => 'open', String)).toBe('open')
  })

  it('counts no handshake that failed', async () => {
    const app = await startTestApp({ env: { CONNECTIONS_PER_NODE: '1' } })
    const { host, hostname, port } = new URL(app.url)
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const socket: Socket = connect({ host: hostname, port: Number(port) })
      socket.on('error', () => {})
      socket.write(
        `GET /graphql HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      )
      socket.resume()
      await once(socket, 'close')
    }
    const params = { authorization: `Bearer ${app.token()}` }
    await expect.poll(() => openFrames(app.url, { params }).then(() => 'open', String)).toBe('open')
  })
})

describe('connections of the network', () => {
  const ask = (url: string) => `GET /health HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`

  it.each(['TCP_CONNECTIONS_PER_NODE', 'TCP_CONNECTIONS_PER_ADDRESS'])(
    'beyond %s are closed unread, and those that are open are served',
    async (setting) => {
      const app = await startTestApp({ env: { [setting]: '3' } })
      const open = [await openRaw(app.url), await openRaw(app.url), await openRaw(app.url)]
      const more = await openRaw(app.url)
      more.write(ask(app.url))
      await more.closed
      expect(more.received()).toBe('')
      for (const raw of open) {
        raw.write(ask(app.url))
        expect(await raw.status()).toBe(200)
        raw.socket.destroy()
      }
      await expect.poll(() => fetch(`${app.url}/health`).then(({ status }) => status, String)).toBe(200)
    },
  )

  it('of one address leave room for the others', async () => {
    const app = await startTestApp({ env: { TCP_CONNECTIONS_PER_ADDRESS: '1' } })
    const first = await openRaw(app.url)
    const second = await openRaw(app.url)
    await second.closed
    expect(second.received()).toBe('')
    const other = await openRaw(app.url, '127.0.0.2')
    other.write(ask(app.url))
    expect(await other.status()).toBe(200)
    for (const { socket } of [first, other]) socket.destroy()
  })

  it('count a WebSocket as long as it is open', async () => {
    const app = await startTestApp({ env: { TCP_CONNECTIONS_PER_ADDRESS: '1' } })
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
    const second = await openRaw(app.url)
    await second.closed
    expect(second.received()).toBe('')
    frames.socket.close()
    await frames.closed
    await expect.poll(() => fetch(`${app.url}/health`).then(({ status }) => status, String)).toBe(200)
  })
})

describe('what is no message of the protocol', () => {
  it.each([
    ['a binary frame', Buffer.from(JSON.stringify({ type: 'ping' }))],
    [
      'an id of more than 255 characters',
      { id: 'x'.repeat(256), type: 'subscribe', payload: { query: '{ a }' } },
    ],
    ['a result', { id: '1', type: 'next', payload: {} }],
  ])('closes the socket with 4400: %s', async (_what, frame) => {
    const app = await startTestApp()
    await neighbourBeside(app)
    const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
    if (Buffer.isBuffer(frame)) frames.socket.send(frame)
    else frames.send(frame as never)
    expect((await frames.closed).code).toBe(4400)
  })
})
