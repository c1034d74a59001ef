import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { hearLostConnections } from '../../src/db/lost-connections.ts'

/** As PostgreSQL says that an administrator ends it: `E`, the length, and fields that end with zeros. */
function shutdown(): Buffer {
  const fields = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0')
  const head = Buffer.alloc(5, 'E')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

/** A database that lets in whoever comes and says nothing more. */
async function startDatabase() {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    // Authentication is done, and the connection is ready.
    socket.once('data', () => socket.write(Buffer.from('520000000800000000' + '5a0000000549', 'hex')))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, sockets }
}

it('a connection that pg-boss has let go of may fail without ending the process', async () => {
  hearLostConnections()
  const { port, sockets } = await startDatabase()
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'nobody', database: 'none' })
  await client.connect()
  // What pg-boss does where it finds the connection lost.
  client.removeAllListeners()
  // Not `once` of node:events, which would hear the error.
  const ended = new Promise<void>((resolve) => client.once('end', resolve))
  sockets[0]?.write(shutdown())
  sockets[0]?.end()
  await ended
  expect(client.listenerCount('error')).toBeGreaterThan(0)
})
