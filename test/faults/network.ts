import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A network between clients and one server that can be made bad. */
export type Network = {
  readonly port: number
  /** How many connections go through it now. */
  readonly open: number
  /**
   * Ends one of them, chosen by a number: by FIN, by RST, or, after some seconds of silence, by RST; `deaf` lets through
   * what the client says and nothing of the answers.
   */
  cut(choice: number, how: Cut): void
  /** Ends all of them and lets no new one in for as long. */
  part(forMs: number): void
  close(): Promise<void>
}

export type Cut = 'fin' | 'rst' | 'silence' | 'deaf'

/** Some seconds of a network that swallows everything, as a phone in a tunnel has them. */
const silenceMs = 2_000

export async function createNetwork(targetPort: () => number): Promise<Network> {
  const pairs = new Set<{ client: Socket; server: Socket }>()
  let partedUntilMs = 0
  const listener = createServer((client) => {
    if (performance.now() < partedUntilMs) return client.destroy()
    const server = connect(targetPort(), '127.0.0.1')
    const pair = { client, server }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.setNoDelay(true).on('error', end).on('close', end)
    client.pipe(server)
    server.pipe(client)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    get open() {
      return pairs.size
    },
    cut(choice, how) {
      const pair = [...pairs][choice % Math.max(pairs.size, 1)]
      if (!pair) return
      if (how === 'fin') pair.client.end()
      else if (how === 'rst') pair.client.resetAndDestroy()
      else {
        pair.server.unpipe()
        if (how === 'deaf') pair.server.resume()
        else pair.client.unpipe()
        setTimeout(() => pair.client.resetAndDestroy(), silenceMs)
      }
    },
    part(forMs) {
      partedUntilMs = performance.now() + forMs
      for (const { client } of pairs) client.destroy()
    },
    async close() {
      for (const { client, server } of pairs) {
        client.destroy()
        server.destroy()
      }
      listener.close()
      await once(listener, 'close')
    },
  }
}
