import { connect } from 'node:net'
import type { Dialect, Opening } from './dialects.ts'
import { countMarks } from './marks.ts'

/** One subscribed WebSocket, reduced to what costs the load generator least: it counts bytes and parses no JSON. */
export type Client = {
  /** Deliveries since the start or the last `reset`. */
  readonly received: number
  readonly frames: number
  /** The last frame with a mark; kept where `keepsLast` was asked for. */
  readonly lastText: string | null
  /** Why it is no longer open; null while it is. */
  readonly closedBy: string | null
  readonly faults: readonly string[]
  reset(): void
  /** Stops to read, as a peer does that hangs. */
  pause(): void
  /** A sign of life; servers cut peers that answer no ping. */
  pong(): void
  cut(): void
}

type Options = {
  port: number
  dialect: Dialect
  opening: Opening
  keepsLast?: boolean
  /** After each chunk that held deliveries. */
  onDeliveries: (count: number) => void
  /** Gets the moment of publication of each delivery, while there is one. */
  sampler: { sample: ((micros: number) => void) | null }
  onReady: () => void
  onClosed: () => void
}

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const

// Reads are handled before the next one begins, so that all sockets can share one buffer.
const shared = Buffer.alloc(65_536)

export function openClient(options: Options): Client {
  const { dialect, sampler } = options
  let rest: Buffer | null = null
  let isUpgraded = false
  let isReady = false
  let isPaused = false
  const client = { received: 0, frames: 0, lastText: null as string | null, closedBy: null as string | null }
  const faults: string[] = []
  const conversation = dialect.converse(options.opening)

  const socket = connect({
    port: options.port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: shared,
      callback(length, buffer) {
        take(buffer as Buffer, length)
        return !isPaused
      },
    },
  })
  socket.on('connect', () => socket.write(upgradeRequest(dialect)))
  socket.on('error', (error) => close(error.message))
  socket.on('close', () => close('the connection ended'))

  function close(reason: string) {
    if (client.closedBy !== null) return
    client.closedBy = reason
    options.onClosed()
  }

  const sendAll = (texts: readonly string[]) => {
    for (const text of texts) socket.write(frameOf(opcodes.text, text))
  }

  function take(buffer: Buffer, length: number) {
    const bytes = rest ? Buffer.concat([rest, buffer.subarray(0, length)]) : buffer
    const end = rest ? bytes.length : length
    rest = null
    const from = isUpgraded ? 0 : upgrade(bytes, end)
    const used = takeFrames(bytes, from, end)
    // The shared buffer is overwritten by the next read.
    if (used < end) rest = Buffer.from(bytes.subarray(used, end))
  }

  /** The place after the answer to the upgrade; 0 where it is not whole yet. */
  function upgrade(bytes: Buffer, end: number): number {
    const head = bytes.toString('latin1', 0, end)
    const headEnd = head.indexOf('\r\n\r\n')
    if (headEnd === -1) return 0
    if (!head.startsWith('HTTP/1.1 101')) {
      close(`the upgrade was answered ${head.split('\r\n', 1)[0]}`)
      socket.destroy()
      return end
    }
    isUpgraded = true
    step(conversation.start())
    return headEnd + 4
  }

  function step({ send = [], isLive = false }: { send?: readonly string[]; isLive?: boolean }) {
    sendAll(send)
    if (!isLive || isReady) return
    isReady = true
    options.onReady()
  }

  /** The place after the last whole frame. */
  function takeFrames(bytes: Buffer, start: number, end: number): number {
    if (!isUpgraded) return start
    let from = start
    let deliveries = 0
    while (from + 2 <= end) {
      const short = (bytes[from + 1] ?? 0) & 127
      const headLength = short < 126 ? 2 : short === 126 ? 4 : 10
      if (from + headLength > end) break
      const length =
        short < 126 ? short : short === 126 ? bytes.readUInt16BE(from + 2) : bytes.readUInt32BE(from + 6)
      const next = from + headLength + length
      if (next > end) break
      deliveries += takeFrame(bytes, (bytes[from] ?? 0) & 15, from + headLength, next)
      from = next
    }
    if (deliveries > 0) options.onDeliveries(deliveries)
    return from
  }

  function takeFrame(bytes: Buffer, opcode: number, from: number, to: number): number {
    if (opcode === opcodes.text) {
      const count = countMarks(bytes, from, to, sampler.sample)
      if (count > 0) {
        client.received += count
        client.frames += 1
        if (options.keepsLast) client.lastText = bytes.toString('utf8', from, to)
      }
      if (count === 0 || !isReady) answer(bytes.toString('utf8', from, to))
      return count
    }
    if (opcode === opcodes.ping) socket.write(frameOf(opcodes.pong, bytes.toString('utf8', from, to)))
    if (opcode === opcodes.close) {
      const code = to - from >= 2 ? bytes.readUInt16BE(from) : 1005
      close(`closed with ${code} ${bytes.toString('utf8', Math.min(from + 2, to), to)}`)
    }
    return 0
  }

  function answer(text: string) {
    const { fault, ...next } = conversation.take(text)
    if (fault) faults.push(fault)
    step(next)
  }

  return {
    get received() {
      return client.received
    },
    get frames() {
      return client.frames
    },
    get lastText() {
      return client.lastText
    },
    get closedBy() {
      return client.closedBy
    },
    faults,
    reset() {
      client.received = 0
      client.frames = 0
    },
    pause() {
      isPaused = true
    },
    pong: () => void socket.write(frameOf(opcodes.pong, '')),
    cut: () => socket.destroy(),
  }
}

const upgradeRequest = ({ path, protocol }: Dialect) =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    ...(protocol ? [`Sec-WebSocket-Protocol: ${protocol}`] : []),
    '\r\n',
  ].join('\r\n')

/** A masked frame whose mask is zero, so that its bytes stay as they are. */
function frameOf(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text)
  const isShort = payload.length < 126
  const head = Buffer.alloc(isShort ? 6 : 8)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (isShort ? payload.length : 126)
  if (!isShort) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}
