import { setTimeout as sleep } from 'node:timers/promises'
import type { Options } from '../options.ts'
import type { Row } from '../report.ts'
import type { Opened } from './control.ts'
import { shapeOf } from './fan-out.ts'
import type { Peer, Running } from './peers.ts'
import { faultOf, openSwarm } from './swarm.ts'

/** Sockets that come and go first, so that what is compiled and allocated once is not counted per socket. */
const warmSockets = 200
const settleMs = 1_500

/** Resident memory of an idle subscription, in a process that has done nothing else. */
export async function measureIdle(peer: Peer, name: string, round: number, _options: Options): Promise<Row> {
  const running = await peer.start()
  try {
    const { streams, sockets, followers } = shapeOf(name)
    const opened = await running.control.ask<Opened>({ do: 'open', streams, followers, isIdle: true })
    const warm = await subscribe(running, opened, Math.min(warmSockets, sockets))
    warm.end()
    await sleep(settleMs)
    const before = await running.control.ask<number>({ do: 'memory' })
    const swarm = await subscribe(running, opened, sockets)
    await sleep(settleMs)
    const after = await running.control.ask<number>({ do: 'memory' })
    const note = faultOf(swarm, true)
    swarm.end()
    const numbers = { 'KiB/socket': (after - before) / sockets / 1_024 }
    return { case: name, peer: peer.name, round, numbers, ...(note ? { note } : {}) }
  } finally {
    await running.stop()
  }
}

const subscribe = ({ port, dialect }: Running, { streams }: Opened, sockets: number) =>
  openSwarm({ port, dialect, streams, sockets })
