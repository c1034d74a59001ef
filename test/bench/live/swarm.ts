import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, openClient } from './client.ts'
import type { Control, Opened } from './control.ts'
import type { Dialect } from './dialects.ts'
import type { Latencies } from './marks.ts'

/** Many sockets that follow the streams of one server, spread evenly over them and over their users. */
export type Swarm = {
  readonly clients: readonly Client[]
  /** Marks that have come to all sockets together since the last `reset`. */
  readonly delivered: number
  /** Frames that held them. */
  readonly frames: number
  /** Calls it after each chunk that held deliveries. */
  onProgress(callback: (() => void) | null): void
  /** Collects latencies until it is called with null. */
  sample(latencies: Latencies | null): void
  /** Forgets what came so far; call it when nothing is under way. */
  reset(): void
  /** True where every socket got what was published since the reset, and nothing more, once all had time to come. */
  settle(published: number): Promise<boolean>
  cut(): void
  end(): void
}

export type SwarmOptions = {
  port: number
  dialect: Dialect
  streams: Opened['streams']
  sockets: number
  keepsLast?: boolean
  /** Cursor per socket, to go on from. */
  cursors?: readonly (string | null)[]
  /** How many times a socket subscribes; once, if nothing is said. */
  times?: (socket: number) => number
  openedAtOnce?: number
}

const readyTimeoutMs = 60_000
const quietMs = 1_500
const surplusMs = 100
const pongMs = 10_000

/** Resolves when all are subscribed as far as the protocol tells. */
export async function openSwarm(options: SwarmOptions): Promise<Swarm> {
  const { streams, sockets } = options
  const clients: Client[] = []
  const sampler: { sample: ((micros: number) => void) | null } = { sample: null }
  let delivered = 0
  let progressed: (() => void) | null = null
  let ready = 0
  let wake = () => {}
  const openOne = () => {
    const index = clients.length
    const stream = streams[index % streams.length]
    const token = stream?.tokens[Math.floor(index / streams.length) % stream.tokens.length]
    if (!stream || token === undefined) throw new Error('There is nothing to follow.')
    const after = options.cursors?.[index] ?? null
    clients.push(
      openClient({
        ...options,
        opening: { stream: stream.id, token, after, times: options.times?.(index) ?? 1 },
        sampler,
        onDeliveries(count) {
          delivered += count
          progressed?.()
        },
        onReady() {
          ready += 1
          wake()
        },
        onClosed: () => wake(),
      }),
    )
  }

  const deadlineMs = performance.now() + readyTimeoutMs
  const atOnce = options.openedAtOnce ?? 40
  while (ready < sockets) {
    while (clients.length < sockets && clients.length - ready < atOnce) openOne()
    const lost = clients.find(({ closedBy }) => closedBy !== null)
    if (lost) throw endWith(clients, `a socket was lost before it was subscribed: ${lost.closedBy}`)
    if (performance.now() > deadlineMs)
      throw endWith(clients, `only ${ready} of ${sockets} sockets were subscribed in ${readyTimeoutMs} ms`)
    const changed = new Promise<void>((resolve) => {
      wake = resolve
    })
    await Promise.race([changed, sleep(1_000)])
  }
  const beating = setInterval(() => {
    for (const client of clients) client.pong()
  }, pongMs)

  const end = () => {
    clearInterval(beating)
    for (const client of clients) client.cut()
  }
  return {
    clients,
    get delivered() {
      return delivered
    },
    get frames() {
      return clients.reduce((sum, { frames }) => sum + frames, 0)
    },
    onProgress: (callback) => {
      progressed = callback
    },
    sample: (latencies) => {
      sampler.sample = latencies && ((micros) => latencies.add(micros))
    },
    reset() {
      delivered = 0
      for (const client of clients) client.reset()
    },
    async settle(published) {
      const expected = sumOfExpected(clients.length, streams.length, published)
      let [before, sinceMs] = [delivered, performance.now()]
      while (delivered < expected && performance.now() - sinceMs < quietMs) {
        await sleep(20)
        if (delivered > before) [before, sinceMs] = [delivered, performance.now()]
      }
      // One that comes twice may come last.
      await sleep(surplusMs)
      return clients.every(({ received }, index) => received === expectedOf(index, streams.length, published))
    },
    cut: end,
    end,
  }
}

/** What is published round robin over the streams, as one socket sees it. */
export const expectedOf = (socket: number, streams: number, published: number) =>
  Math.ceil((published - (socket % streams)) / streams)

const sumOfExpected = (sockets: number, streams: number, published: number) => {
  let sum = 0
  for (let index = 0; index < sockets; index += 1) sum += expectedOf(index, streams, published)
  return sum
}

function endWith(clients: readonly Client[], reason: string): Error {
  for (const client of clients) client.cut()
  return new Error(reason)
}

/** Publishes to each stream until every socket got it: some protocols do not tell when a subscription has begun. */
export async function awaitLive(swarm: Swarm, control: Control, streams: number): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    swarm.reset()
    await control.ask({ do: 'burst', count: streams })
    for (let waited = 0; waited < 40; waited += 1) {
      if (swarm.clients.every(({ received }) => received > 0)) {
        await sleep(100)
        swarm.reset()
        return
      }
      await sleep(25)
    }
    await sleep(quietMs)
  }
  throw new Error('Not every subscription came to live.')
}

/** What is wrong with the sockets; null where nothing is. `except` were meant to fail. */
export function faultOf(swarm: Swarm, isWhole: boolean, except?: Client): string | null {
  const judged = swarm.clients.filter((client) => client !== except)
  const closed = judged.filter(({ closedBy }) => closedBy !== null)
  const [fault] = judged.flatMap(({ faults }) => faults)
  if (closed[0]) return `${closed.length} sockets were lost: ${closed[0].closedBy}`
  if (fault) return `a subscription failed: ${fault}`
  return isWhole ? null : 'not every subscriber got every delivery once'
}
