import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { dialects } from '../bench/live/dialects.ts'
import { markedText } from '../bench/live/marks.ts'
import { faultOf, openSwarm } from '../bench/live/swarm.ts'

/** A server that the test speaks for: each subscriber is a socket, and the bytes below it. */
async function openServer(sockets: number) {
  const server = createServer()
  const accepting = new WebSocketServer({ server })
  const members: { socket: WebSocket; wire: Socket }[] = []
  accepting.on('connection', (socket, request) => members.push({ socket, wire: request.socket }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    accepting.close()
    server.close()
  })
  const swarm = await openSwarm({
    port: (server.address() as AddressInfo).port,
    dialect: dialects.raw,
    streams: [{ id: 's', tokens: [''] }],
    sockets,
  })
  onTestFinished(() => swarm.end())
  return { swarm, members }
}

/** The bytes of a text frame as a server sends it. */
function frameOf(text: string): Buffer {
  const payload = Buffer.from(text)
  const head = Buffer.from([0x81, 126, payload.length >> 8, payload.length & 255])
  return Buffer.concat([head, payload])
}

test('the bench counts each delivery once, wherever the network cuts the bytes', async () => {
  const { swarm, members } = await openServer(1)
  const texts = [
    markedText(),
    `${markedText()} and a mail to a@b.example ${markedText()}`,
    markedText('x'.repeat(400)),
  ]
  const bytes = Buffer.concat(texts.map((text) => frameOf(text.padEnd(200))))
  const wire = members[0]?.wire
  for (let at = 0; at < bytes.length; at += 7) {
    wire?.write(bytes.subarray(at, at + 7))
    // Each piece is a segment of its own.
    await new Promise(setImmediate)
  }
  expect(await swarm.settle(4)).toBe(true)
  expect(faultOf(swarm, true)).toBeNull()
})

test('the bench sees a delivery that one subscriber lacks, and one that came twice', async () => {
  const { swarm, members } = await openServer(2)
  const tell = (...places: number[]) => {
    for (const place of places) members[place]?.socket.send(markedText())
  }
  tell(0, 1)
  expect(await swarm.settle(1)).toBe(true)
  tell(0)
  const isWhole = await swarm.settle(2)
  expect(faultOf(swarm, isWhole)).toBe('not every subscriber got every delivery once')
  tell(1)
  expect(await swarm.settle(2)).toBe(true)
  tell(0, 1, 1)
  expect(await swarm.settle(3)).toBe(false)
})

test('the bench sees a socket that was closed', async () => {
  const { swarm, members } = await openServer(2)
  members[1]?.socket.close(4400, 'for a test')
  await expect.poll(() => faultOf(swarm, true)).toBe('1 sockets were lost: closed with 4400 for a test')
})
