import { beforeAll, describe, expect, it } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { openFrames } from '../support/frames.ts'
import { besideNeighbour } from '../support/neighbour.ts'
import { closeCodeIn, frameOf, openRaw, openRawSocket, type Raw } from '../support/raw.ts'
import { serverSocketsOf } from '../support/server-sockets.ts'

let app: TestApp
let vanished: { socket: Promise<unknown>; stream: Promise<unknown>; sinceMs: number }
beforeAll(async () => {
  app = await startTestApp({ env: { EVENT_STREAM_MAX_AGE_MS: '30000' } })
  // They answer nothing from now on, pings neither; the others are tried meanwhile.
  const { freed: stream } = await watched(openSilentStream)
  const { freed: socket } = await watched(() => openRawSocket(app.url, app.token()))
  vanished = { socket, stream, sinceMs: performance.now() }
})
besideNeighbour(() => app)

it.each<[string, Buffer, number[]]>([
  ['row 42: a frame without a mask', frameOf('{}', { isMasked: false }), [1002]],
  ['row 42: reserved bits', frameOf('{}', { reserved: 4 }), [1002]],
  ['row 42: a kind of frame that there is not', frameOf('{}', { opcode: 3 }), [1002]],
  ['row 42: a ping in parts', frameOf('x', { opcode: 9, isLast: false }), [1002]],
  ['row 42: a ping of 126 bytes', frameOf('x'.repeat(126), { opcode: 9 }), [1002]],
  ['row 42: text that is no UTF-8', frameOf(Buffer.from([0xff, 0xfe])), [1007]],
  [
    'row 39: 20,000 empty parts of one message',
    Buffer.concat([
      frameOf('', { isLast: false }),
      ...Array(20_000).fill(frameOf('', { opcode: 0, isLast: false })),
    ]),
    [1008],
  ],
  [
    'row 39: a message that never ends',
    Buffer.concat([
      frameOf('x'.repeat(200), { isLast: false }),
      ...Array(900).fill(frameOf('x'.repeat(200), { opcode: 0, isLast: false })),
    ]),
    [1009],
  ],
  ['row 32: bytes in place of text', frameOf('{"type":"ping"}', { opcode: 2 }), [4400]],
])('%s closes the socket, and no other', async (_what, frame, codes) => {
  const raw = await openRawSocket(app.url, app.token())
  raw.write(frame)
  await raw.closed
  expect(codes).toContain(closeCodeIn(raw.received()))
})

it('row 18: a frame of any depth and with doubled keys has one meaning, and changes no object', async () => {
  const frames = await openFrames(app.url, { params: { authorization: `Bearer ${app.token()}` } })
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  const query = '"query":"{ viewer { role } }"'
  const payloads = [
    `{${query},"variables":{"a":${deep}}}`,
    `{"query":"{ nonsense }",${query}}`,
    `{${query},"variables":{"__proto__":{"role":"ADMIN"},"constructor":{"prototype":{"role":"ADMIN"}}}}`,
    `{${query},"__proto__":{"role":"ADMIN"}}`,
  ]
  for (const [index, payload] of payloads.entries()) {
    frames.send(`{"id":"${index}","type":"subscribe","payload":${payload}}`)
    const { type, payload: answer } = await frames.until(({ id }) => id === `${index}`)
    expect([type, answer?.data]).toEqual(['next', { viewer: { role: 'USER' } }])
  }
  expect(({} as { role?: string }).role).toBeUndefined()
  frames.socket.terminate()
})

describe('an upgrade that is refused', () => {
  const upgrade = (path: string, header = '') =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${header}\r\n`
  const refusals: [status: number, text: string][] = [
    [404, upgrade('/elsewhere')],
    [403, upgrade('/graphql', 'Origin: https://elsewhere.example\r\n')],
    [400, upgrade('/graphql')],
  ]

  it.each(refusals)('with %i, whose peer resets it, ends itself alone', async (status, text) => {
    const { result: raw, sockets } = await serverSocketsOf(app.url, () => openRaw(app.url))
    const freed = new Promise((resolve) => sockets[0]?.once('close', resolve))
    raw.write(text)
    expect(await raw.status()).toBe(status)
    raw.socket.resetAndDestroy()
    await freed
    // An error that nobody hears would end the process in the next turn.
    await new Promise(setImmediate)
  })

  it.each(refusals)('with %i is let go of, though its peer stays', async (status, text) => {
    const { result: raw, sockets } = await serverSocketsOf(app.url, () => openRaw(app.url))
    const freed = new Promise((resolve) => sockets[0]?.once('close', resolve))
    raw.socket.allowHalfOpen = true
    raw.write(text)
    expect(await raw.status()).toBe(status)
    await freed
    raw.socket.destroy()
  })
})

it('row 40: pings that nobody reads the answers of take no memory', async () => {
  const { result: raw, sockets } = await serverSocketsOf(app.url, () => openRawSocket(app.url, app.token()))
  raw.socket.pause()
  const ping = frameOf(JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(2_000) } }))
  // Until the server takes no more, or has closed it.
  const written = new Promise<void>((resolve) => {
    let left = 20_000
    const write = () => {
      while (left > 0 && !raw.socket.destroyed) {
        left -= 1
        if (!raw.socket.write(ping)) return void raw.socket.once('drain', write)
      }
      resolve()
    }
    raw.socket.once('close', () => resolve())
    write()
  })
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, sockets[0]?.writableLength ?? 0)
  }, 5)
  await written
  clearInterval(watch)
  expect(sockets).toHaveLength(1)
  expect(most).toBeLessThan(2_000_000)
  raw.socket.destroy()
})

it('row 44: a peer that vanishes without a word is let go', async () => {
  // A stream cannot be asked; it ends by its age.
  await vanished.stream
  await vanished.socket
  // Asked for a sign of life after 20 s, and cut where there is none 20 s later.
  expect(performance.now() - vanished.sinceMs).toBeLessThan(45_000)
})

/** Its promise resolves when the server has let go of its end of the connection. */
async function watched(open: () => Promise<Raw>): Promise<{ freed: Promise<unknown> }> {
  const { sockets } = await serverSocketsOf(app.url, open)
  return { freed: new Promise((resolve) => sockets[0]?.once('close', resolve)) }
}

/** An event stream whose client reads its beginning, and neither more nor its end. */
async function openSilentStream(): Promise<Raw> {
  const raw = await openRaw(app.url)
  raw.socket.allowHalfOpen = true
  const body = JSON.stringify({ query: 'subscription { sessionChanged { __typename } }' })
  raw.write(
    `POST /graphql HTTP/1.1\r\nHost: ${new URL(app.url).host}\r\nAccept: text/event-stream\r\n` +
      `Content-Type: application/json\r\nAuthorization: Bearer ${app.token()}\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  )
  expect(await raw.status()).toBe(200)
  raw.socket.pause()
  return raw
}
