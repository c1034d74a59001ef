import { once } from 'node:events'
import { type ClientOptions, WebSocket } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: frames are as free in shape as what the tests ask for
type Frame = { type: string; id?: string; payload?: any }

/** A WebSocket without a client library, for what no client library sends. */
export type Frames = {
  readonly socket: WebSocket
  /** Every frame that has come. */
  readonly received: readonly Frame[]
  /** Sends a frame, or a text as it is. */
  send(frame: Frame | string): void
  subscribe(id: string, query: string, variables?: Record<string, unknown>): void
  /** The first frame, had already or yet to come, that fits; fails when the socket closes before. */
  until(fits: (frame: Frame) => boolean): Promise<Frame>
  /** Resolves with the code and the reason when the socket has closed. */
  readonly closed: Promise<{ code: number; reason: string }>
}

type Options = {
  /** In `connection_init`, which is sent at once; null to send none. */
  params?: Record<string, unknown> | null
  protocol?: string
} & ClientOptions

export async function openFrames(
  url: string,
  { params = null, protocol = 'graphql-transport-ws', ...options }: Options = {},
): Promise<Frames> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, protocol, options)
  const received: Frame[] = []
  const waiting = new Set<() => void>()
  let isClosed = false
  const wake = () => {
    for (const each of [...waiting]) each()
    waiting.clear()
  }
  socket.on('message', (data) => {
    received.push(JSON.parse(String(data)) as Frame)
    wake()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => {
      isClosed = true
      resolve({ code, reason: String(reason) })
      wake()
    })
  })
  await once(socket, 'open')
  const send: Frames['send'] = (frame) =>
    socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  const frames: Frames = {
    socket,
    received,
    send,
    subscribe: (id, query, variables) =>
      send({ id, type: 'subscribe', payload: { query, ...(variables ? { variables } : {}) } }),
    async until(fits) {
      for (let next = 0; ; next += 1) {
        while (next >= received.length) {
          if (isClosed) throw new Error(`The socket closed first; it had ${JSON.stringify(received)}`)
          await new Promise<void>((resolve) => waiting.add(resolve))
        }
        const frame = received[next]
        if (frame && fits(frame)) return frame
      }
    },
    closed,
  }
  if (params) {
    send({ type: 'connection_init', payload: params })
    await frames.until(({ type }) => type === 'connection_ack')
  }
  return frames
}
