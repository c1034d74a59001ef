import type { Duplex } from 'node:stream'
import type { TurnEnd } from '../lib/turn.ts'

/** A text frame of a server, which is not masked (RFC 6455, 5.2). */
export function textFrame(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const headLength = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headLength + length)
  frame[0] = 0x81
  if (headLength === 2) frame[1] = length
  else if (headLength === 4) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.write(text, headLength)
  return frame
}

/** What frames are written to: a socket, or the response that stands on it. */
export type Outlet = Pick<Duplex, 'cork' | 'uncork' | 'writableCorked' | 'destroyed'> & {
  write(bytes: Uint8Array, taken?: () => void): boolean
}

/** Joins what is written to an outlet in one turn of the event loop into one write to the network. */
export type Corks = {
  /** `taken` is called once the system has the bytes, or the outlet is gone. */
  write(outlet: Outlet, bytes: Uint8Array, taken?: () => void): void
  /** Sends what has gathered now; to come before an `end`, which a response loses it with. */
  flush(outlet: Outlet): void
}

export function createCorks(atTurnEnd: TurnEnd): Corks {
  let corked: Outlet[] = []
  const flushAll = () => {
    const outlets = corked
    corked = []
    for (const outlet of outlets) if (outlet.writableCorked > 0) outlet.uncork()
  }
  return {
    write(outlet, bytes, taken) {
      if (outlet.destroyed) return taken?.()
      if (outlet.writableCorked === 0) {
        outlet.cork()
        if (corked.push(outlet) === 1) atTurnEnd(flushAll)
      }
      outlet.write(bytes, taken)
    },
    flush(outlet) {
      if (outlet.writableCorked > 0) outlet.uncork()
    },
  }
}
