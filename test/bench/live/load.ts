import { setTimeout as sleep } from 'node:timers/promises'
import { createLatencies } from './marks.ts'
import type { Running } from './peers.ts'
import type { Swarm } from './swarm.ts'

/** A swarm on its server, and how many deliveries were published to it since it was live. */
export type Target = { running: Running; swarm: Swarm; streams: number; published: number }

export type Usage = { 'per frame': number; 'server core': number; 'client core': number; 'server us': number }
export type Saturation = Usage & { perSecond: number }
export type Latency = { atPerSecond: number; p50: number; p99: number; samples: number; 'server us': number }

const warmSecondsOf = (seconds: number) => Math.min(0.5, seconds)
const commandsAtOnce = 8
/** Deliveries that one command asks for. */
const deliveriesPerBurst = 500

/** How many sockets get each event. */
const fanOf = ({ swarm, streams }: Target) => swarm.clients.length / streams

/** As many deliveries as it can with `window` of them under way: queues stay short, and nobody waits for a clock. */
export async function saturate(
  target: Target,
  { seconds, window }: { seconds: number; window: number },
): Promise<Saturation> {
  const { swarm, running } = target
  const fan = fanOf(target)
  const burst = Math.max(1, Math.round(deliveriesPerBurst / fan))
  const most = Math.max(window, 2 * fan)
  let pending = 0
  let isRunning = true
  let failure: unknown
  const feed = () => {
    while (isRunning && pending < commandsAtOnce && target.published * fan - swarm.delivered < most) {
      pending += 1
      target.published += burst
      running.control.ask({ do: 'burst', count: burst }).then(
        () => {
          pending -= 1
          feed()
        },
        (error) => {
          failure = error
          isRunning = false
        },
      )
    }
  }
  swarm.onProgress(feed)
  feed()
  await sleep(warmSecondsOf(seconds) * 1_000)
  const measured = await measure(target, seconds)
  isRunning = false
  swarm.onProgress(null)
  while (pending > 0 && failure === undefined) await sleep(20)
  if (failure !== undefined) throw failure
  return measured
}

async function measure({ running, swarm }: Target, seconds: number): Promise<Saturation> {
  const startMs = performance.now()
  const [cpu, ownCpu] = [running.cpuSeconds(), process.cpuUsage()]
  const [delivered, frames] = [swarm.delivered, swarm.frames]
  await sleep(seconds * 1_000)
  const passed = (performance.now() - startMs) / 1_000
  const own = process.cpuUsage(ownCpu)
  const used = running.cpuSeconds() - cpu
  const count = swarm.delivered - delivered
  return {
    perSecond: count / passed,
    'per frame': count / (swarm.frames - frames),
    'server us': (used * 1e6) / count,
    'server core': used / passed,
    'client core': (own.user + own.system) / 1e6 / passed,
  }
}

/** Latencies while the server publishes at a pace of its own. */
export async function pace(
  target: Target,
  { perSecond, seconds, fillerBytes = 0 }: { perSecond: number; seconds: number; fillerBytes?: number },
): Promise<Latency> {
  const { running, swarm } = target
  const events = perSecond / fanOf(target)
  const latencies = createLatencies()
  const warmSeconds = warmSecondsOf(seconds)
  const done = running.control.ask<number>({
    do: 'pace',
    perSecond: events,
    seconds: warmSeconds + seconds,
    fillerBytes,
  })
  const failed = done.then(
    () => null,
    (error) => ({ error }),
  )
  await sleep(warmSeconds * 1_000)
  swarm.sample(latencies)
  const [cpu, delivered] = [running.cpuSeconds(), swarm.delivered]
  const end = await failed
  const used = running.cpuSeconds() - cpu
  const count = swarm.delivered - delivered
  await sleep(100)
  swarm.sample(null)
  if (end) throw end.error
  target.published += await done
  return {
    atPerSecond: events * fanOf(target),
    p50: latencies.at(0.5),
    p99: latencies.at(0.99),
    samples: latencies.samples,
    'server us': (used * 1e6) / count,
  }
}
