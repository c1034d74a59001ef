import type { Row } from '../report.ts'
import type { Opened } from './control.ts'
import { pace, saturate, type Target } from './load.ts'
import type { Running } from './peers.ts'
import { awaitLive, faultOf, openSwarm, type SwarmOptions } from './swarm.ts'

/** `S1x1000`: one stream for all sockets; `S2x1000`: one for each. */
export type Shape = { streams: number; sockets: number; followers: number }

/** More participants than that a session does not have. */
const mostFollowers = 100
const socketsPerUser = 10

export function shapeOf(name: string): Shape {
  const [, kind, count] = /S([12])x(\d+)$/.exec(name) ?? []
  const sockets = Number(count)
  if (kind === undefined || !(sockets > 0))
    throw new Error(`${name} is not a case such as S1x200 or S2x1000.`)
  if (kind === '2') return { streams: sockets, sockets, followers: 1 }
  const followers = Math.min(mostFollowers, Math.ceil(sockets / socketsPerUser))
  return { streams: 1, sockets, followers }
}

/** Makes the streams, subscribes the sockets, and waits until every one gets what is published. */
export async function openTarget(
  running: Running,
  { streams, sockets, followers }: Shape,
  extras: Pick<SwarmOptions, 'keepsLast' | 'times'> = {},
): Promise<Target> {
  const opened = await running.control.ask<Opened>({ do: 'open', streams, followers })
  const { port, dialect } = running
  const swarm = await openSwarm({ port, dialect, streams: opened.streams, sockets, ...extras })
  await awaitLive(swarm, running.control, streams)
  return { running, swarm, streams, published: 0 }
}

export async function closeTarget({ running, swarm }: Target): Promise<void> {
  swarm.end()
  if (!running.hasDied) await running.control.ask({ do: 'close' })
}

export type FanOutOptions = {
  name: string
  round: number
  seconds: number
  window: number
  /** What raw reached in this round; absent where it is not among the servers. */
  rawPerSecond: number | undefined
}

/** Saturation, and then the latency at half of what raw reaches: the same load for every server. */
export async function measureFanOut(running: Running, options: FanOutOptions): Promise<Row> {
  const { name, round, seconds, window } = options
  const target = await openTarget(running, shapeOf(name))
  try {
    const { perSecond, ...usage } = await saturate(target, { seconds, window })
    const isWhole = await target.swarm.settle(target.published)
    const numbers: Record<string, number> = { 'deliveries/s': perSecond, ...usage }
    const notes = [faultOf(target.swarm, isWhole)]
    const half = (options.rawPerSecond ?? perSecond) / 2
    if (half < perSecond) {
      const { p50, p99, atPerSecond, 'server us': us } = await pace(target, { perSecond: half, seconds })
      Object.assign(numbers, { 'at/s': atPerSecond, 'server us at': us, 'p50 ms': p50, 'p99 ms': p99 })
      notes.push(faultOf(target.swarm, await target.swarm.settle(target.published)))
    } else notes.push('saturated below half of raw')
    const note = [...new Set(notes.filter((each) => each !== null))].join('; ')
    return { case: name, peer: running.name, round, numbers, ...(note ? { note } : {}) }
  } finally {
    await closeTarget(target)
  }
}
