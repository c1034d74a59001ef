import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { serverSocketsOf } from '../support/server-sockets.ts'
import { bySeq, createSessionReader, storedMessages, watchSession } from '../support/session-reader.ts'
import { longMessages, openStopped, writeMuch } from '../support/stopped-reader.ts'

let app: TestApp
beforeAll(async () => {
  app = await startTestApp({ env: longMessages })
})
besideNeighbour(() => app)

const mib = 1_048_576

/** The same as `openStopped`, of server-sent events. */
async function openStoppedStream(sessionId: string): Promise<Socket> {
  const { hostname, port, host } = new URL(app.url)
  const { result: client, sockets } = await serverSocketsOf(app.url, async () => {
    const socket = connect({ host: hostname, port: Number(port) })
    const body = JSON.stringify({ query: watchSession, variables: { sessionId } })
    const lines = [
      'POST /graphql HTTP/1.1',
      `host: ${host}`,
      'accept: text/event-stream',
      'content-type: application/json',
      `authorization: Bearer ${app.token()}`,
      `content-length: ${Buffer.byteLength(body)}`,
    ]
    socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`)
    let seen = ''
    while (!seen.includes('SessionSnapshot')) seen += String((await once(socket, 'data'))[0])
    socket.pause()
    return socket
  })
  const served = sockets.find(({ remotePort }) => remotePort === client.localPort)
  if (!served) throw new Error('The server saw no connection.')
  return served
}

describe('a reader that stops', () => {
  it('keeps the rest in the log, not in memory, and gets all of it once when it goes on', async () => {
    const sessionId = await app.api().createSession()
    const healthy = app.socket().watch(watchSession, { sessionId })
    await healthy.at(0)
    const stopped = await openStopped(app, sessionId)
    const stream = await openStoppedStream(sessionId)
    let most = 0
    await writeMuch(app, sessionId, () => {
      most = Math.max(most, stopped.served.writableLength, stream.writableLength)
    })
    // It was full, and then got nothing more.
    expect(most).toBeGreaterThan(mib / 4)
    expect(most).toBeLessThan(mib / 2)
    const isLast = ({ message }: { message?: { content: string } }) =>
      message?.content.startsWith('149 ') === true
    await healthy.until(isLast)

    stopped.frames.socket.resume()
    await stopped.frames.until(({ payload }) => isLast(payload?.data?.sessionEvents ?? {}))
    const reader = createSessionReader()
    for (const { payload, id } of stopped.frames.received)
      if (id === 's') reader.take(payload.data.sessionEvents)
    expect(reader.names).not.toContain('GAP')
    expect(bySeq(reader.messages.values())).toEqual(await storedMessages(app, sessionId))
    stopped.frames.socket.terminate()
    stream.destroy()
  })

  it('is cut after ten seconds, with a reason that it can still read', async () => {
    const sessionId = await app.api().createSession()
    const one = await openStopped(app, sessionId)
    const stream = await openStoppedStream(sessionId)
    const cutStream = once(stream, 'close')
    await writeMuch(app, sessionId)
    const startedAtMs = performance.now()
    const held = one.served.writableLength
    expect(held).toBeGreaterThan(mib / 4)
    // The frame with the reason comes last; pings, which may come before it, are smaller.
    await expect.poll(() => one.served.writableLength, { interval: 20 }).toBeGreaterThan(held + 60)
    one.frames.socket.resume()
    expect(await one.frames.closed).toEqual({
      code: 1013,
      reason: 'The reader is too slow: connect again and go on from the last cursor',
    })
    await cutStream
    expect(performance.now() - startedAtMs).toBeLessThan(15_000)
  })

  it('is cut when it asks for more and more all the same', async () => {
    const sessionId = await app.api().createSession()
    await writeMuch(app, sessionId)
    const { frames, served } = await openStopped(app, sessionId)
    const gone = once(served, 'close')
    const startedAtMs = performance.now()
    let most = 0
    const query = `query ($id: ID!) { session(id: $id) { messages(last: 40) { nodes { content } } } }`
    for (let index = 0; index < 40 && !served.destroyed; index += 1) {
      frames.subscribe(`q${index}`, query, { id: sessionId })
      await new Promise((resolve) => setImmediate(resolve))
      most = Math.max(most, served.writableLength)
    }
    await gone
    // Long before it would be for taking nothing.
    expect(performance.now() - startedAtMs).toBeLessThan(9_000)
    // One answer of 4 MB is let through whole; what comes on top of it is not.
    expect(most).toBeLessThan(12 * mib)
    frames.socket.terminate()
  })
})

describe('an answer over HTTP', () => {
  let sessionId: string
  beforeAll(async () => {
    sessionId = await app.api().createSession()
    await writeMuch(app, sessionId)
  })

  /** Asks for 15 MB, and takes nothing but its first bytes. */
  async function askForMuch(url = app.url) {
    const { hostname, port, host } = new URL(url)
    const { result: client, sockets } = await serverSocketsOf(url, async () => {
      const socket = connect({ host: hostname, port: Number(port) })
      const query = 'query ($id: ID!) { session(id: $id) { messages(last: 150) { nodes { content } } } }'
      const body = JSON.stringify({ query, variables: { id: sessionId } })
      const head = `POST /graphql HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n`
      const proof = `authorization: Bearer ${app.token()}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
      socket.write(`${head}${proof}\r\n${body}`)
      await once(socket, 'readable')
      return socket
    })
    const served = sockets.find(({ remotePort }) => remotePort === client.localPort)
    if (!served) throw new Error('The server saw no connection.')
    return { client, served }
  }

  /** Takes a piece now and then, for 14 s, and then all that is left. */
  function takeSlowly(client: Socket) {
    const startedAt = performance.now()
    const slowly = () => performance.now() - startedAt < 14_000
    const pauses = setInterval(() => (client.isPaused() ? client.resume() : client.pause()), 80)
    client.once('close', () => clearInterval(pauses))
    let taken = 0
    client.on('data', ({ length }: Buffer) => {
      taken += length
      if (slowly()) client.pause()
    })
    return { taken: () => taken, slowly }
  }

  it('that nobody takes is kept for 10 s at most', async () => {
    const { client, served } = await askForMuch()
    expect(served.writableLength).toBeGreaterThan(mib)
    await expect.poll(() => served.destroyed, { interval: 200 }).toBe(true)
    client.destroy()
  })

  it('that waits counts, until it was taken or its reader is gone, against ANSWERS_MAX_BYTES', async () => {
    const patient = { DATABASE_STATEMENT_TIMEOUT_MS: '60000', DATABASE_POOL_WAIT_MS: '60000' }
    // A user may have an eighth: one answer of 15 MB, and next to nothing beside it.
    const env = { ...patient, ANSWERS_MAX_BYTES: String(8 * 15_100_000) }
    const { url, token } = await startTestApp({ databaseUrl: app.databaseUrl, env })
    const ask = async (
      query: string,
      { role = 'USER', ...more }: { role?: 'USER' | 'ADMIN' } & object = {},
    ) => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${token({ user: role === 'ADMIN' ? 'root' : 'alice', role })}`,
        },
        body: JSON.stringify({ query, variables: { id: sessionId }, ...more }),
      })
      const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] }
      const retryAfter = response.headers.get('retry-after')
      return { status: response.status, code: errors?.[0]?.extensions.code, retryAfter }
    }
    const fits = { status: 200, code: undefined, retryAfter: null }
    const query = (fields: string, last: number) =>
      `query ($id: ID!) { session(id: $id) { messages(last: ${last}) { nodes { ${fields} } } } }`
    const { client, served } = await askForMuch(url)
    expect(served.writableLength).toBeGreaterThan(mib)
    const doors = [{}, { extensions: {} }]
    const more = query('content', 2)
    const refused = { status: 429, code: 'RATE_LIMITED', retryAfter: '2' }
    expect(await Promise.all(doors.map((yoga) => ask(more, yoga)))).toEqual([refused, refused])
    for (const yoga of doors) {
      expect(await ask('{ viewer { role } }', yoga)).toEqual(fits)
      expect(await ask(more, { ...yoga, role: 'ADMIN' })).toEqual(fits)
    }
    client.destroy()
    await expect.poll(() => ask(more)).toEqual(fits)
    const tooLarge = { status: 400, code: 'LIMIT_EXCEEDED', retryAfter: null }
    for (const yoga of doors) expect(await ask(query('a: content b: content', 80), yoga)).toEqual(tooLarge)
    // Nothing of such a refusal is in those that follow.
    const nobody = await fetch(`${url}/graphql?query={__typename}`, {
      headers: { authorization: 'Bearer nonsense' },
    })
    expect(await nobody.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
  })

  it('that waits on a socket counts for all doors of its user, until it was taken or its reader is gone', async () => {
    const env = { ANSWERS_MAX_BYTES: String(8 * 15_100_000), DATABASE_STATEMENT_TIMEOUT_MS: '60000' }
    const other = await startTestApp({ databaseUrl: app.databaseUrl, env })
    const most = 'query ($id: ID!) { session(id: $id) { messages(last: 150) { nodes { content } } } }'
    const open = () => openFrames(other.url, { params: { authorization: `Bearer ${other.token()}` } })
    const stop = async () => {
      const { result, sockets } = await serverSocketsOf(other.url, open)
      result.socket.pause()
      result.subscribe('much', most, { id: sessionId })
      await expect.poll(() => sockets[0]?.writableLength).toBeGreaterThan(mib)
      return result
    }
    const codeOverHttp = async () =>
      (await other.api().send(most, { id: sessionId })).errors?.[0]?.extensions.code
    const reader = await open()
    let count = 0
    const ask = async (query: string) => {
      const id = String(count++)
      reader.subscribe(id, query, { id: sessionId })
      const { type, payload } = await reader.until((frame) => frame.id === id)
      if (type === 'error') return payload[0].extensions.code
      await reader.until((frame) => frame.id === id && frame.type === 'complete')
      return type
    }

    const taken = await stop()
    expect([await ask(most), await codeOverHttp()]).toEqual(['RATE_LIMITED', 'RATE_LIMITED'])
    expect(await ask('{ viewer { role } }')).toBe('next')
    taken.socket.resume()
    await taken.until(({ type }) => type === 'complete')
    expect(await ask(most)).toBe('next')

    const gone = await stop()
    expect(await ask(most)).toBe('RATE_LIMITED')
    gone.socket.terminate()
    await expect.poll(codeOverHttp).toBeUndefined()
    expect(await ask(most.replace('content', 'a: content b: content'))).toBe('LIMIT_EXCEEDED')
    for (const { socket } of [reader, taken]) socket.terminate()
  })

  it('that is taken slowly is sent whole, unless that is slower than HTTP_ANSWER_MIN_BYTES_PER_SECOND', async () => {
    const env = { ...longMessages, HTTP_ANSWER_MIN_BYTES_PER_SECOND: '100000000' }
    const impatient = await startTestApp({ databaseUrl: app.databaseUrl, env })
    const [waitedFor, cut] = await Promise.all([askForMuch(), askForMuch(impatient.url)])
    const [whole, part] = [takeSlowly(waitedFor.client), takeSlowly(cut.client)]
    await expect.poll(() => cut.served.destroyed, { interval: 200 }).toBe(true)
    expect(part.taken()).toBeLessThan(15_000_000)
    await expect.poll(whole.taken, { interval: 200 }).toBeGreaterThan(15_000_000)
    expect(whole.slowly()).toBe(false)
    waitedFor.client.destroy()
  })
})
