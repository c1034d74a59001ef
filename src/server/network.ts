import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Log } from '../telemetry/log.ts'
import { networkOf } from './client-address.ts'

export type NetworkLimits = {
  /** Connections that one address may have open, an IPv6 address with all of its /64. 0: any number. */
  perAddress: number
  /** How fast answers must be taken, beyond the first ten seconds. */
  minBytesPerSecond: number
}

/** The connections of the network, whatever comes over them. */
export type Network = {
  /**
   * Closes those of the server that are too many of one address, unread, and those whose reader keeps an answer in memory by
   * taking it a byte at a time.
   */
  watch(server: Server): void
  /**
   * Leaves a connection to another door, which looks after it and says why it closes it. It counts on, until `leave` is
   * told the address that this gives: many of them are idle for hours, and each would keep a listener here.
   */
  handOver(socket: Socket): string
  leave(address: string): void
}

type Connection = {
  readonly address: string
  /** Since when something waits for its reader: what it had taken by then, and until when it may take the next. */
  takenBytes: number
  dueAtMs: number
}

const graceMs = 10_000
const lookMs = 1_000

export function createNetwork({ perAddress, minBytesPerSecond }: NetworkLimits, log: Log): Network {
  const counts = new Map<string, number>()
  const open = new Map<Socket, Connection>()
  let isTold = false

  function refuse(socket: Socket) {
    socket.destroy()
    if (isTold) return
    isTold = true
    log.warn(
      `An address has ${perAddress} connections (TCP_CONNECTIONS_PER_ADDRESS); more of one are closed. This is told once.`,
    )
  }

  function enter(socket: Socket) {
    const address = networkOf(socket.remoteAddress ?? '')
    const count = counts.get(address) ?? 0
    if (perAddress > 0 && count >= perAddress) return refuse(socket)
    counts.set(address, count + 1)
    open.set(socket, { address, takenBytes: 0, dueAtMs: 0 })
    socket.on('close', onClose)
  }

  function leave(address: string) {
    const left = (counts.get(address) ?? 0) - 1
    if (left > 0) counts.set(address, left)
    else counts.delete(address)
  }

  function handOver(socket: Socket): string {
    const { address = '' } = open.get(socket) ?? {}
    open.delete(socket)
    socket.off('close', onClose)
    return address
  }

  function onClose(this: Socket) {
    leave(handOver(this))
  }

  function look() {
    const nowMs = performance.now()
    for (const [socket, connection] of open) {
      const { writableLength } = socket
      if (writableLength === 0) {
        connection.dueAtMs = 0
        continue
      }
      const takenBytes = socket.bytesWritten - writableLength
      if (connection.dueAtMs === 0 || connection.takenBytes !== takenBytes) {
        // One answer is one write, of which nothing counts as taken until all of it is.
        connection.takenBytes = takenBytes
        connection.dueAtMs = nowMs + graceMs + (writableLength * 1_000) / minBytesPerSecond
      } else if (nowMs >= connection.dueAtMs) socket.destroy()
    }
  }

  return {
    watch(server) {
      server.on('connection', enter)
      const looking = setInterval(look, lookMs).unref()
      server.once('close', () => clearInterval(looking))
    },
    handOver,
    leave,
  }
}
