import type { Socket } from 'node:net'
import { setImmediate as otherWork } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { UnauthenticatedError } from '../lib/errors.ts'
import { bearerToken } from '../lib/token-header.ts'
import type { Caller } from './admission.ts'
import type { Bearer } from './bearers.ts'

/** Beyond what in memory it is given nothing more, and is cut; and after how long in which it takes nothing. */
export type SlowReaders = Config['server']['slowReaders']

/** What is kept of an open connection so that one timer can look after all. Times are of `performance.now()`. */
export type Watched = {
  readonly stream: Socket
  /** When the proof of who it is ends, or when the wait for it. */
  dueAtMs: number
  /** Bytes that its peer had taken, and since when it has not taken more. */
  takenBytes: number
  takenAtMs: number
  /** In which second of a round it is asked for a sign of life. */
  readonly beat: number
}

/** Spreads the beats as well as any number. */
export const beatOf = (stream: Socket): number => stream.remotePort ?? 0

type Options<Connection> = {
  connections: () => Iterable<Connection>
  /** Seconds from beat to beat. */
  beatEvery: number
  /** A peer that has taken nothing of what waits for it for this long holds memory for nobody. */
  stalledAfterMs: number
  beat(connection: Connection): void
  due(connection: Connection): void
  stalled(connection: Connection): void
}

const lookMs = 1_000

/** Looks after all connections of a door, once a second. */
export function watchConnections<Connection extends Watched>(options: Options<Connection>): { stop(): void } {
  let round = 0
  const look = () => {
    const nowMs = performance.now()
    round += 1
    for (const connection of options.connections()) {
      if (nowMs >= connection.dueAtMs) options.due(connection)
      else if (isStalled(connection, nowMs, options.stalledAfterMs)) options.stalled(connection)
      else if ((round + connection.beat) % options.beatEvery === 0) options.beat(connection)
    }
  }
  const timer = setInterval(look, lookMs).unref()
  return { stop: () => clearInterval(timer) }
}

function isStalled(connection: Watched, nowMs: number, stalledAfterMs: number): boolean {
  const { writableLength, bytesWritten } = connection.stream
  const takenBytes = bytesWritten - writableLength
  if (writableLength === 0 || takenBytes !== connection.takenBytes) {
    connection.takenBytes = takenBytes
    connection.takenAtMs = nowMs
    return false
  }
  return nowMs - connection.takenAtMs >= stalledAfterMs
}

/** So many tokens are proven at a stretch, by a public key some milliseconds' work. */
const recheckedAtOnce = 100

type Recheck<Connection> = {
  isMeant: (caller: Caller) => boolean
  signIn: (token: string) => Promise<unknown>
  end: (connection: Connection) => void
}

/** Ends those of the connections whose token is not accepted any more; where that cannot be told they stay. */
export async function recheckConnections<Connection extends { bearer: Bearer | null }>(
  connections: Iterable<Connection>,
  { isMeant, signIn, end }: Recheck<Connection>,
): Promise<void> {
  const meant = [...connections].filter(({ bearer }) => bearer && isMeant(bearer))
  for (const [index, connection] of meant.entries()) {
    if (index % recheckedAtOnce === recheckedAtOnce - 1) await otherWork()
    signIn(bearerToken(connection.bearer?.authorization)).catch((error) => {
      if (error instanceof UnauthenticatedError) end(connection)
    })
  }
}
