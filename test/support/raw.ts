import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A connection that carries whatever bytes a test wants. */
export type Raw = {
  readonly socket: Socket
  write(bytes: string | Uint8Array): void
  /** All that came, as text of one byte per character. */
  received(): string
  /** The status line's number, once it has come. */
  status(): Promise<number>
  /** Resolves when the other side has closed it. */
  readonly closed: Promise<void>
}

/** `from`: the address of this machine that it comes from. */
export async function openRaw(url: string, from?: string): Promise<Raw> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), ...(from && { localAddress: from }) })
  let text = ''
  let wake = () => {}
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    wake()
  })
  socket.on('error', () => {})
  // Not `once`, which fails with an error that comes before.
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      wake()
      resolve()
    })
  })
  await once(socket, 'connect')
  const statusIn = () => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    received: () => text,
    async status() {
      while (statusIn() === 0 && !socket.destroyed)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return statusIn()
    },
    closed,
  }
}

/** A WebSocket by hand, upgraded and greeted, for frames that no library would send. */
export async function openRawSocket(url: string, token: string): Promise<Raw> {
  const raw = await openRaw(url)
  raw.write(
    `GET /graphql HTTP/1.1\r\nHost: ${new URL(url).host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
      'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
  )
  if ((await raw.status()) !== 101) throw new Error(`No upgrade: ${raw.received()}`)
  raw.write(frameOf(JSON.stringify({ type: 'connection_init', payload: { token } })))
  return raw
}

type FrameOptions = { opcode?: number; isLast?: boolean; isMasked?: boolean; reserved?: number }

/** A client's frame; `opcode` 1 is text, 0 goes on with a message, 9 is a ping. */
export function frameOf(
  payload: string | Uint8Array,
  { opcode = 1, isLast = true, isMasked = true, reserved = 0 }: FrameOptions = {},
): Buffer {
  const bytes = Buffer.from(payload)
  const length =
    bytes.length < 126
      ? Buffer.from([bytes.length])
      : Buffer.from([126, bytes.length >> 8, bytes.length & 0xff])
  const first = (isLast ? 0x80 : 0) | (reserved << 4) | opcode
  // A mask of zeros leaves the bytes as they are.
  const mask = isMasked ? Buffer.alloc(4) : Buffer.alloc(0)
  if (isMasked) length[0] = (length[0] ?? 0) | 0x80
  return Buffer.concat([Buffer.from([first]), length, mask, bytes])
}

/** The code of the close frame at the end of what came, if there is one. */
export function closeCodeIn(received: string): number | null {
  const at = received.lastIndexOf('\x88')
  if (at < 0 || received.length < at + 4) return null
  return (received.charCodeAt(at + 2) << 8) | received.charCodeAt(at + 3)
}
