/** socket.io over WebSocket alone, with its rooms: what people take for this work in Node. */
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { serveControl } from '../control.ts'
import { createRooms, deltaOf } from './rooms.ts'

const server = createServer()
const io = new Server(server, { transports: ['websocket'] })
io.on('connection', (socket) => {
  socket.on('subscribe', (room: string) => void socket.join(room))
})
server.listen(Number(process.env.PORT), '127.0.0.1')
serveControl(createRooms((room, offset, text) => void io.to(room).emit('event', deltaOf(offset, text))))
