import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** The server's ends of the connections that are made while `work` runs, in their order. */
export async function serverSocketsOf<Result>(
  url: string,
  work: () => Promise<Result>,
): Promise<{ result: Result; sockets: Socket[] }> {
  const port = Number(new URL(url).port)
  const sockets: Socket[] = []
  const take = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    if (socket.localPort === port) sockets.push(socket)
  }
  subscribe('net.server.socket', take)
  try {
    return { result: await work(), sockets }
  } finally {
    unsubscribe('net.server.socket', take)
  }
}
