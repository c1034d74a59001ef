/** The bound: `ws` and nothing else. Each event is put into words once, in the bytes that Parley sends. */
import { createServer } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { serveControl } from '../control.ts'
import { nextMessage, subscriptionId } from '../dialects.ts'
import { createRooms, deltaOf } from './rooms.ts'

const members = new Map<string, Set<WebSocket>>()
const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (data) => {
    const { subscribe } = JSON.parse(String(data)) as { subscribe: string }
    const room = members.get(subscribe) ?? new Set()
    members.set(subscribe, room.add(socket))
    socket.on('close', () => room.delete(socket))
  })
})
server.listen(Number(process.env.PORT), '127.0.0.1')
serveControl(
  createRooms((room, offset, text) => {
    const message = JSON.stringify(nextMessage(subscriptionId, deltaOf(offset, text)))
    for (const socket of members.get(room) ?? []) socket.send(message)
  }),
)
