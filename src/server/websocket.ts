import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ExecutionArgs, GraphQLError, type GraphQLFormattedError } from 'graphql'
import type { ServerOptions } from 'graphql-ws'
import { type Extra, useServer } from 'graphql-ws/use/ws'
import { type WebSocket, WebSocketServer } from 'ws'
import { ExpiredTokenError } from '../auth/jwt.ts'
import { UnauthenticatedError } from '../lib/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { newRequestId } from './request-id.ts'
import { graphqlPath, type Yoga } from './yoga.ts'

/**
 * Close codes, chosen so that a stock graphql-ws client does the right thing: it retries 1012, 1013 and 4403 and gives
 * up on 4401.
 */
const closing = {
  badToken: [4401, 'Unauthorized: the token is missing or not valid'],
  expired: [4403, 'The token has expired: connect again with a fresh one'],
  restart: [1012, 'The server restarts: connect again'],
  slow: [1013, 'The reader is too slow'],
  unavailable: [1013, 'Tokens cannot be checked right now: try again'],
} as const

export type WebSocketDoor = {
  /** Refuses new sockets, tells the open ones to come back elsewhere, a batch at a time. */
  drain(): Promise<void>
}

type Options = {
  server: Server
  yoga: Yoga
  /** Proves the token and finds who it speaks for; the same errors as a request of it would meet. */
  signIn: (token: string) => Promise<{ expiresAt: Date }>
  corsOrigins: readonly string[]
  frameMaxBytes: number
  log: Log
}

const slowCheckMs = 2_000
const slowAfterMs = 10_000
const slowAboveBytes = 1_048_576
const drainBatch = 100
const drainPauseMs = 50
const longestTimeoutMs = 2 ** 31 - 1

export function createWebSocketDoor({
  server,
  yoga,
  signIn,
  corsOrigins,
  frameMaxBytes,
  log,
}: Options): WebSocketDoor {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: frameMaxBytes, perMessageDeflate: false })
  const expiries = new WeakMap<WebSocket, NodeJS.Timeout>()
  let isDraining = false

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const path = request.url?.split('?', 1)[0]
    if (path !== graphqlPath) return refuse(socket, '404 Not Found')
    if (isDraining) return refuse(socket, '503 Service Unavailable')
    if (!isAllowedOrigin(request, corsOrigins)) return refuse(socket, '403 Forbidden')
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      sockets.emit('connection', webSocket, request),
    )
  })

  const options: ServerOptions<Record<string, unknown>, Extra> = {
    connectionInitWaitTimeout: 3_000,
    execute: (args) => (args as YogaArgs).rootValue.execute(args),
    subscribe: (args) => (args as YogaArgs).rootValue.subscribe(args),
    async onConnect({ connectionParams, extra: { socket } }) {
      try {
        const { expiresAt } = await signIn(tokenOf(connectionParams) ?? '')
        const remainingMs = Math.min(expiresAt.getTime() - Date.now(), longestTimeoutMs)
        expiries.set(
          socket,
          setTimeout(() => socket.close(...closing.expired), Math.max(remainingMs, 0)),
        )
        return true
      } catch (error) {
        if (error instanceof ExpiredTokenError) socket.close(...closing.expired)
        else if (error instanceof UnauthenticatedError) socket.close(...closing.badToken)
        else {
          log.error({ err: error }, 'tokens cannot be checked')
          socket.close(...closing.unavailable)
        }
        // The socket is closed with the code that says why; `false` would close it with another.
        return new Promise<never>(() => {})
      }
    },
    onDisconnect: ({ extra: { socket } }) => clearTimeout(expiries.get(socket)),
    onSubscribe: async ({ connectionParams, extra }, _id, payload) => {
      const authorization = `Bearer ${tokenOf(connectionParams) ?? ''}`
      const origin = { requestId: newRequestId(extra.request.headers['x-request-id']), authorization }
      return prepare(yoga, origin, payload)
    },
    onNext: (_context, _id, _payload, _args, result) =>
      result.errors && { ...result, errors: result.errors.map(withoutStatus) },
    onError: (_context, _id, _payload, errors) => errors.map(withoutStatus),
  }
  useServer(options, sockets, 20_000)
  // graphql-ws prints every frame that cannot be read, with a stack, past the log.
  sockets.on('connection', (socket) => {
    socket.removeAllListeners('error')
    socket.on('error', (error) => log.debug({ err: error }, 'a socket failed'))
  })

  const slowness = watchSlowReaders(sockets)
  return {
    async drain() {
      isDraining = true
      clearInterval(slowness)
      const open = [...sockets.clients]
      for (let at = 0; at < open.length; at += drainBatch) {
        for (const socket of open.slice(at, at + drainBatch)) socket.close(...closing.restart)
        await sleep(drainPauseMs)
      }
      for (const socket of sockets.clients) socket.terminate()
    },
  }
}

type YogaArgs = ExecutionArgs & {
  rootValue: { execute: (args: ExecutionArgs) => never; subscribe: (args: ExecutionArgs) => never }
}

type SubscribePayload = {
  query: string
  operationName?: string | null
  variables?: Record<string, unknown> | null
}

/**
 * Parses, validates and makes the context as for HTTP. Every fault is an error of this one operation: a throw from
 * here would close the socket under all the others.
 */
async function prepare(
  yoga: Yoga,
  origin: { requestId: string; authorization: string },
  payload: SubscribePayload,
) {
  try {
    const enveloped = yoga.getEnveloped({ origin, params: payload })
    const { schema, execute, subscribe, contextFactory, parse, validate } = enveloped
    const document = parse(payload.query)
    const errors = validate(schema, document)
    if (errors.length > 0) return errors
    return {
      schema,
      document,
      operationName: payload.operationName,
      variableValues: payload.variables,
      contextValue: await contextFactory(),
      rootValue: { execute, subscribe },
    } as ExecutionArgs
  } catch (error) {
    if (error instanceof GraphQLError) return [error]
    throw error
  }
}

/** An error without what is meant for HTTP only. */
function withoutStatus({ extensions: { http: _http, ...extensions } = {}, ...error }: GraphQLFormattedError) {
  return { ...error, extensions }
}

/** `{ authorization: 'Bearer …' }`, in any case, or `{ token }`. */
function tokenOf(connectionParams: Readonly<Record<string, unknown>> | undefined): string | null {
  for (const [name, value] of Object.entries(connectionParams ?? {})) {
    if (typeof value !== 'string') continue
    if (name.toLowerCase() === 'authorization') return value.replace(/^bearer\s+/i, '')
    if (name === 'token') return value
  }
  return null
}

/** A browser names the page that opens a socket: ours, or one that CORS_ORIGINS lists. Programs name none. */
function isAllowedOrigin({ headers }: IncomingMessage, corsOrigins: readonly string[]): boolean {
  if (headers.origin === undefined) return true
  return corsOrigins.includes(headers.origin) || URL.parse(headers.origin)?.host === headers.host
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** Cuts sockets that hold more than they may, or whose peer has taken nothing for too long. */
function watchSlowReaders(sockets: WebSocketServer): NodeJS.Timeout {
  const stuck = new WeakMap<WebSocket, { bytes: number; sinceMs: number }>()
  const check = () => {
    for (const socket of sockets.clients) {
      const bytes = socket.bufferedAmount
      const before = stuck.get(socket)
      if (bytes === 0) stuck.delete(socket)
      else if (!before || bytes < before.bytes) stuck.set(socket, { bytes, sinceMs: performance.now() })
      const waitedMs = before && bytes > 0 ? performance.now() - before.sinceMs : 0
      if (bytes <= slowAboveBytes && waitedMs < slowAfterMs) continue
      socket.close(...closing.slow)
      socket.terminate()
    }
  }
  return setInterval(check, slowCheckMs).unref()
}
