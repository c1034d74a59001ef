import { setTimeout as sleep } from 'node:timers/promises'
import type { Options } from '../options.ts'
import type { Row } from '../report.ts'
import type { Client } from './client.ts'
import type { Opened, Statements } from './control.ts'
import { shapeOf } from './fan-out.ts'
import type { Peer, Running } from './peers.ts'
import { awaitLive, openSwarm } from './swarm.ts'

const socketsPerStream = 5
const missedPerStream = 3
const openedAtOnce = 200
const waitMs = 60_000

/**
 * All sockets are cut at once, something is said meanwhile, and all come back with the cursor of the last thing that
 * they got. Each is live again when it has what it missed.
 */
export async function measureResume(
  peer: Peer,
  name: string,
  round: number,
  _options: Options,
): Promise<Row> {
  const running = await peer.start()
  try {
    const { sockets } = shapeOf(name)
    const streams = Math.max(1, Math.round(sockets / socketsPerStream))
    const opened = await running.control.ask<Opened>({ do: 'open', streams, followers: 1 })
    const cursors = await cursorsBeforeCut(running, opened, sockets)
    // Who has no cursor to go on from is told nothing of what was missed.
    const isResumable = cursors.every((cursor) => cursor !== null)
    const missed = missedPerStream * streams
    await running.control.ask({ do: 'burst', count: missed })
    await sleep(500)
    await running.control.ask({ do: 'statements' })
    const { numbers, note } = await comeBack(running, opened, {
      cursors,
      missedEach: isResumable ? missedPerStream : 0,
    })
    await running.control.ask({ do: 'close' })
    return { case: name, peer: peer.name, round, numbers, ...(note ? { note } : {}) }
  } finally {
    await running.stop()
  }
}

const cursorOf = ({ lastText }: Client) => /"cursor":"([^"]+)"/.exec(lastText ?? '')?.[1] ?? null

async function cursorsBeforeCut(running: Running, { streams }: Opened, sockets: number) {
  const { port, dialect, control } = running
  const swarm = await openSwarm({ port, dialect, streams, sockets, keepsLast: true })
  await awaitLive(swarm, control, streams.length)
  const cursors = swarm.clients.map(cursorOf)
  swarm.cut()
  await sleep(500)
  return running.name.startsWith('parley') ? cursors : cursors.map(() => null)
}

async function comeBack(
  running: Running,
  { streams }: Opened,
  { cursors, missedEach }: { cursors: (string | null)[]; missedEach: number },
) {
  const { port, dialect, control } = running
  const sockets = cursors.length
  const [startMs, cpu] = [performance.now(), running.cpuSeconds()]
  const swarm = await openSwarm({ port, dialect, streams, sockets, cursors, openedAtOnce })
  const isBack = () => swarm.clients.every(({ received }) => received >= missedEach)
  while (!isBack() && performance.now() - startMs < waitMs) await sleep(5)
  const liveMs = performance.now() - startMs
  const used = running.cpuSeconds() - cpu
  const { count, byName } = await control.ask<Statements>({ do: 'statements' })
  await sleep(1_000)
  const isExact = swarm.clients.every(({ received }) => received === missedEach)
  const fault = swarm.clients.find(({ faults }) => faults.length > 0)?.faults[0]
  swarm.end()
  const most = Object.entries(byName).toSorted(([, a], [, b]) => b - a)
  const notes = [
    ...(isExact ? [] : ['not every socket got what it missed once']),
    ...(fault ? [fault] : []),
    ...(missedEach === 0 ? ['without a cursor'] : []),
    ...most.slice(0, 3).map(([statement, times]) => `${times} x ${statement}`),
  ]
  const numbers = {
    'all live ms': liveMs,
    'statements/resume': count / sockets,
    'server us/resume': (used * 1e6) / sockets,
  }
  return { numbers, note: notes.join('; ') }
}
