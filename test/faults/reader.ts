import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Observation } from './history.ts'

/**
 * A live reader of a session written against the protocol alone, by none of the product's code: it connects to one
 * address after another, resumes with the cursor of the last event that it got, and writes everything down.
 */
export type Reader = {
  readonly observations: readonly Observation[]
  /** Resolves when an event with this message's end, or a snapshot that holds it, was seen. */
  readonly cursor: string | null
  /** How often it came back. */
  readonly attachments: number
  /** Stops reading from its socket, or goes on. */
  pause(isPaused: boolean): void
  stop(): Promise<void>
}

type Options = { name: string; sessionId: string; token: string; nextPort: () => number }

const document = `subscription ($sessionId: ID!, $after: Cursor) {
  sessionEvents(sessionId: $sessionId, after: $after) {
    __typename cursor
    ... on SessionSnapshot { reason session { title } messages { id seq role status content } }
    ... on MessageAdded { message { id seq role status content } }
    ... on MessageUpdated { message { id seq role status content } }
    ... on MessageRemoved { messageId }
    ... on TextDelta { messageId offset text }
    ... on RunQueued { run { id status } } ... on RunStarted { run { id status } }
    ... on RunFinished { run { id status } }
    ... on SessionUpdated { session { title } } ... on SessionDeleted { sessionId }
  }
}`

const connectTimeoutMs = 3_000

export function createReader({ name, sessionId, token, nextPort }: Options): Reader {
  const observations: Observation[] = []
  let cursor: string | null = null
  let attachments = 0
  let isStopped = false
  let socket: WebSocket | undefined

  /** One connection, until it ends in whatever way. */
  const read = () =>
    new Promise<void>((resolve) => {
      const ws = new WebSocket(`ws://127.0.0.1:${nextPort()}/graphql`, 'graphql-transport-ws', {
        handshakeTimeout: connectTimeoutMs,
        perMessageDeflate: false,
      })
      socket = ws
      // A network that swallows everything tells nobody.
      const silence = setTimeout(() => ws.terminate(), 30_000)
      ws.on('open', () =>
        ws.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
      )
      ws.on('message', (data) => {
        silence.refresh()
        const frame = JSON.parse(String(data))
        if (frame.type === 'connection_ack') {
          observations.push({ reader: name, type: 'attached', after: cursor })
          attachments += 1
          const variables = { sessionId, after: cursor }
          ws.send(JSON.stringify({ id: 's', type: 'subscribe', payload: { query: document, variables } }))
        } else if (frame.type === 'ping') ws.send('{"type":"pong"}')
        else if (frame.type === 'next' && frame.payload.data) {
          const event = frame.payload.data.sessionEvents
          observations.push({ reader: name, type: 'event', event, atMs: performance.now() })
          cursor = event.cursor
        } else if (frame.type === 'next' || frame.type === 'error' || frame.type === 'complete') ws.close()
      })
      ws.on('error', () => {})
      ws.on('close', () => {
        clearTimeout(silence)
        resolve()
      })
    })

  const reading = (async () => {
    while (!isStopped) {
      await read()
      if (!isStopped) await sleep(20)
    }
  })()

  return {
    observations,
    get cursor() {
      return cursor
    },
    get attachments() {
      return attachments
    },
    pause(isPaused) {
      if (isPaused) socket?.pause()
      else socket?.resume()
    },
    async stop() {
      isStopped = true
      socket?.terminate()
      await reading
    },
  }
}
