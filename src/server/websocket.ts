import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws'
import { type WebSocket, WebSocketServer } from 'ws'
import { ParleyError, RateLimitedError } from '../lib/errors.ts'
import type { Meter } from '../lib/meter.ts'
import type { TurnEnd } from '../lib/turn.ts'
import type { Caller } from './admission.ts'
import type { ByteRoom } from './byte-room.ts'
import { recheckConnections, type SlowReaders, watchConnections } from './connection-watch.ts'
import type { CookieSignIn } from './cookies.ts'
import { inBatches } from './draining.ts'
import type { Network } from './network.ts'
import { originKind } from './origins.ts'
import {
  type Connection,
  closing,
  createSocketSender,
  endOperations,
  newConnection,
} from './websocket-connection.ts'
import { createSocketProtocol, type ProtocolOptions } from './websocket-protocol.ts'
import { graphqlPath } from './yoga.ts'

export type WebSocketDoor = {
  /** Ends the connections of these callers whose token is not accepted any more. */
  recheck(isMeant: (caller: Caller) => boolean): void
  /** Operations that are under way on all sockets. */
  operations(): number
  /** Refuses new sockets from now on. */
  refuse(): void
  /** Tells the open ones to come back elsewhere, spread over this time, and resolves when they have gone. */
  drain(withinMs: number): Promise<void>
}

type Options = ProtocolOptions & {
  server: Server
  corsOrigins: readonly string[]
  cookies: CookieSignIn | null
  network: Network
  answers: ByteRoom
  meter: Meter
  atTurnEnd: TurnEnd
  frameMaxBytes: number
  initTimeoutMs: number
  pingEverySeconds: number
  slowReaders: SlowReaders
}

/** How long a peer may take to answer a close. */
const closeTimeoutMs = 1_000

export function createWebSocketDoor(options: Options): WebSocketDoor {
  const { server, network, corsOrigins, limits, bearers, admission, signIn, slowReaders, log } = options
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: options.frameMaxBytes,
    // Each fragment and chunk costs more than it carries, however small it is.
    maxFragments: 1_024,
    maxBufferedChunks: 4_096,
    perMessageDeflate: false,
    // Not among the types yet.
    ...({ closeTimeout: closeTimeoutMs } as object),
    clientTracking: false,
    handleProtocols: (offered) => offered.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) && GRAPHQL_TRANSPORT_WS_PROTOCOL,
  })
  const connections = new Map<WebSocket, Connection>()
  const sender = createSocketSender(options.atTurnEnd, options.answers, slowReaders)
  const receive = createSocketProtocol(sender, options)
  let isDraining = false

  // One function of each kind for all sockets; `this` is the socket.
  function onMessage(this: WebSocket, data: Buffer, isBinary: boolean) {
    const connection = connections.get(this)
    if (connection && isBinary) sender.close(connection, closing.badMessage)
    else if (connection) receive(connection, data.toString())
  }
  function onClose(this: WebSocket, code: number) {
    options.meter.socketClosed(code)
    limits.leave()
    const connection = connections.get(this)
    if (!connection) return
    network.leave(connection.address)
    connections.delete(this)
    connection.isClosing = true
    endOperations(connection)
    if (connection.bearer === null) return
    limits.unclaim(connection.bearer)
    bearers.leave(connection.bearer)
  }
  const onError = (error: Error) => log.debug({ err: error }, 'a socket failed')

  function open(socket: WebSocket, stream: Socket, request: IncomingMessage) {
    const given = request.headers['x-request-id']
    const requestId = typeof given === 'string' ? given : undefined
    const connection = newConnection(
      socket,
      stream,
      requestId,
      network.handOver(stream),
      options.initTimeoutMs,
    )
    connection.cookieToken = options.cookies?.tokenOfSocket(request) ?? ''
    connections.set(socket, connection)
    // From now on `ws` listens to it, and tells of its end.
    stream.off('error', onError).off('close', limits.leave)
    socket.on('message', onMessage).on('close', onClose).on('error', onError)
    if (socket.protocol !== GRAPHQL_TRANSPORT_WS_PROTOCOL) sender.close(connection, closing.badProtocol)
  }

  server.on('upgrade', (request: IncomingMessage, stream: Socket, head: Buffer) => {
    // Node listens to it no more, and `ws` not yet; an error that nobody hears ends the process.
    stream.on('error', onError)
    const path = request.url?.split('?', 1)[0]
    if (path !== graphqlPath) return refuse(stream, '404 Not Found')
    if (isDraining) return refuse(stream, '503 Service Unavailable')
    // A browser names the page that opens a socket; programs name none.
    if (originKind(request, corsOrigins) === 'foreign') return refuse(stream, '403 Forbidden')
    try {
      limits.enter(admission.addressOf(request))
    } catch (error) {
      if (error instanceof RateLimitedError)
        return refuse(stream, '429 Too Many Requests', error, error.retryAfterSeconds)
      return refuse(stream, '503 Service Unavailable', error, fullRetrySeconds)
    }
    stream.on('close', limits.leave)
    sockets.handleUpgrade(request, stream, head, (socket) => open(socket, stream, request))
  })

  const watch = watchConnections<Connection>({
    connections: () => connections.values(),
    beatEvery: options.pingEverySeconds,
    stalledAfterMs: slowReaders.closeMs,
    beat(connection) {
      const { bytesRead, writableLength } = connection.stream
      // A ping would wait behind what it has to take first; whether it takes that is looked after.
      if (writableLength > 0) connection.heardBytes = -1
      // Whatever came since it was asked is a sign of life.
      else if (bytesRead === connection.heardBytes) connection.socket.terminate()
      else {
        connection.socket.ping()
        connection.heardBytes = bytesRead
      }
    },
    due: (connection) => sender.close(connection, connection.isGreeted ? closing.expired : closing.noInit),
    stalled: (connection) => sender.close(connection, closing.slow),
  })

  return {
    operations: () => connections.values().reduce((sum, { operations }) => sum + operations.size, 0),
    recheck(isMeant) {
      void recheckConnections(connections.values(), {
        isMeant,
        signIn,
        end: (connection) => sender.close(connection, closing.revoked),
      })
    },
    refuse() {
      isDraining = true
    },
    async drain(withinMs) {
      isDraining = true
      await inBatches([...connections.values()], withinMs, (connection) =>
        sender.close(connection, closing.restart),
      )
      while (connections.size > 0) await sleep(50)
      watch.stop()
    },
  }
}

/** When a server that is full may have room again, about. */
const fullRetrySeconds = 5

/** `error` says why, as an answer by HTTP would. */
function refuse(stream: Duplex, status: string, error?: unknown, retryAfterSeconds?: number): void {
  const body = error instanceof ParleyError ? errorBody(error) : ''
  const retryAfter = retryAfterSeconds === undefined ? '' : `Retry-After: ${retryAfterSeconds}\r\n`
  const type = body === '' ? '' : 'Content-Type: application/json\r\n'
  const head = `HTTP/1.1 ${status}\r\n${retryAfter}${type}Connection: close\r\n`
  // The peer may never close it.
  stream.once('finish', () => stream.destroy())
  stream.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

const errorBody = ({ message, code }: ParleyError) =>
  JSON.stringify({ errors: [{ message, extensions: { code } }] })
