import { setTimeout as sleep } from 'node:timers/promises'
import type { Options } from '../options.ts'
import type { Row } from '../report.ts'
import { closeTarget, openTarget, shapeOf } from './fan-out.ts'
import { type Latency, pace, type Target } from './load.ts'
import type { Peer } from './peers.ts'
import { faultOf } from './swarm.ts'

/** The slow one subscribes so often, to texts so long, that the buffers of the kernel are full in seconds. */
const timesOfSlow = 50
const fillerBytes = 2_000
const slowIndex = 0
const eventsPerSecond = 10
/** Longer than it takes a server to find that a peer takes nothing. */
const slowSeconds = 16
const mebibyte = 1_048_576

/** One of many sockets stops to read: what is that to the others, and to the memory of the server? */
export async function measureSlowReader(
  peer: Peer,
  name: string,
  round: number,
  options: Options,
): Promise<Row> {
  const running = await peer.start()
  try {
    const shape = shapeOf(name)
    const target = await openTarget(running, shape, {
      times: (socket) => (socket === slowIndex ? timesOfSlow : 1),
    })
    const perSecond = eventsPerSecond * shape.sockets
    const load = { perSecond, fillerBytes, seconds: Math.max(options.seconds, slowSeconds) }
    const without = await watch(target, () => pace(target, load))
    target.swarm.clients[slowIndex]?.pause()
    const withSlow = await watch(target, () => pace(target, load))
    await sleep(1_500)
    const slow = target.swarm.clients[slowIndex]
    const others = target.swarm.clients.filter((client) => client !== slow)
    const isWhole = others.every(({ received }) => received === target.published)
    const fault = faultOf(target.swarm, isWhole, slow)
    const isCut = slow?.closedBy !== null
    await closeTarget(target)
    const numbers = {
      'at/s': without.latency.atPerSecond,
      'p99 ms': without.latency.p99,
      'p99 ms with': withSlow.latency.p99,
      'grown MiB': without.growth / mebibyte,
      'grown MiB with': withSlow.growth / mebibyte,
      'slow held s': withSlow.heldSeconds,
    }
    const note = [fault, isCut ? 'the slow reader was cut' : 'the slow reader was kept']
      .filter(Boolean)
      .join('; ')
    return { case: name, peer: peer.name, round, numbers, note }
  } finally {
    await running.stop()
  }
}

/** `growth` is the most that the server grew; `heldSeconds` until the slow one was cut, or all of the time. */
async function watch({ running, swarm }: Target, work: () => Promise<Latency>) {
  const slow = swarm.clients[slowIndex]
  const startMs = performance.now()
  const before = running.residentBytes()
  const passed = () => (performance.now() - startMs) / 1_000
  let growth = 0
  let heldSeconds: number | null = null
  const watching = setInterval(() => {
    growth = Math.max(growth, running.residentBytes() - before)
    if (slow?.closedBy) heldSeconds ??= passed()
    // The system tells that a connection is gone only to who uses it, and this one does not read.
    slow?.pong()
  }, 250)
  try {
    const latency = await work()
    return { latency, growth, heldSeconds: heldSeconds ?? passed() }
  } finally {
    clearInterval(watching)
  }
}
