import type { Socket } from 'node:net'
import type { GraphQLError } from 'graphql'
import { CloseCode, MessageType } from 'graphql-ws'
import { WebSocket } from 'ws'
import { SmallSet } from '../lib/small-set.ts'
import type { TurnEnd } from '../lib/turn.ts'
import type { Bearer } from './bearers.ts'
import type { ByteRoom } from './byte-room.ts'
import { beatOf, type SlowReaders, type Watched } from './connection-watch.ts'
import { createCorks, textFrame } from './frames.ts'
import { endOperation, type LiveOperation, resumeOperation } from './live-operations.ts'
import { withoutStatus } from './plans.ts'

/**
 * Close codes, chosen so that a stock graphql-ws client does the right thing: it retries 1012, 1013 and 4403 and gives
 * up on 4400, 4401, 4406, 4409 and 4429.
 */
export const closing = {
  restart: [1012, 'The server restarts: connect again'],
  tooFast: [1013, 'Far too many operations in a short time: connect again later'],
  slow: [1013, 'The reader is too slow: connect again and go on from the last cursor'],
  unavailable: [1013, 'Tokens cannot be checked right now: try again'],
  badMessage: [CloseCode.BadRequest, 'A frame is no message of the protocol'],
  badToken: [CloseCode.Unauthorized, 'Unauthorized: the token is missing or not valid'],
  notReady: [CloseCode.Unauthorized, 'Unauthorized: the acknowledgement of connection_init comes first'],
  expired: [CloseCode.Forbidden, 'The token has expired: connect again with a fresh one'],
  revoked: [CloseCode.Forbidden, 'The token was revoked: connect again with a fresh one'],
  badProtocol: [CloseCode.SubprotocolNotAcceptable, 'Subprotocol not acceptable'],
  noInit: [CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout'],
  idInUse: [CloseCode.SubscriberAlreadyExists, 'Subscriber for this id already exists'],
  initTwice: [CloseCode.TooManyInitialisationRequests, 'Too many initialisation requests'],
} as const

/** One socket. While it is idle this is all that is kept for it: no timer, no promise. */
export type Connection = Watched & {
  readonly socket: WebSocket
  readonly requestId: string | undefined
  /** Of the cookie that it was opened with, until the init has come; else empty. */
  cookieToken: string
  /** Where it comes from, as the network sees it. */
  readonly address: string
  /** Whose connection it is, once the init was acknowledged. */
  bearer: Bearer | null
  /** When the operations that were begun are paid back at the pace that is allowed; time of `performance.now()`. */
  paidAtMs: number
  /** The same of its other messages. */
  heardAtMs: number
  /** Bytes that had come from it when it was last asked for a sign of life; -1 where it was not. */
  heardBytes: number
  /** An init has come. */
  isGreeted: boolean
  isClosing: boolean
  isDraining: boolean
  readonly operations: SmallSet<SocketOperation>
}

export type SocketOperation = LiveOperation & {
  readonly connection: Connection
  readonly id: string
}

export const newConnection = (
  socket: WebSocket,
  stream: Socket,
  requestId: string | undefined,
  address: string,
  initTimeoutMs: number,
): Connection => ({
  // All in one place: an object that is made of others takes twice the memory.
  stream,
  dueAtMs: performance.now() + initTimeoutMs,
  takenBytes: 0,
  takenAtMs: performance.now(),
  beat: beatOf(stream),
  socket,
  requestId,
  cookieToken: '',
  address,
  bearer: null,
  paidAtMs: 0,
  heardAtMs: 0,
  heardBytes: 0,
  isGreeted: false,
  isClosing: false,
  isDraining: false,
  operations: new SmallSet(),
})

export function operationOf({ operations }: Connection, id: string): SocketOperation | undefined {
  for (const operation of operations) if (operation.id === id) return operation
  return undefined
}

export const newSocketOperation = (connection: Connection, id: string): SocketOperation => ({
  isOver: false,
  membership: null,
  values: null,
  wake: null,
  gone: null,
  connection,
  id,
})

/** Everything that a socket is sent, in one order. */
export type SocketSender = {
  message(connection: Connection, message: object): void
  /** Throws where too many results wait for the caller, whatever connections it has. */
  result(operation: SocketOperation, json: string): void
  /** False where the connection is full: it is resumed once it has room. */
  next(operation: SocketOperation, json: string): boolean
  refuse(operation: SocketOperation, errors: readonly GraphQLError[]): void
  complete(operation: SocketOperation): void
  isFull(operation: SocketOperation): boolean
  /** Ends its operations and says why; nothing follows. What it has not taken a second later is lost. */
  close(connection: Connection, why: readonly [code: number, reason: string]): void
}

/** `answers`: what waits to be taken at all doors. */
export function createSocketSender(
  atTurnEnd: TurnEnd,
  answers: ByteRoom,
  { pauseBytes, closeBytes }: SlowReaders,
): SocketSender {
  const corks = createCorks(atTurnEnd)
  /** Readers of one event often go by the same id, and then get the same frame. */
  let last: { id: string; json: string; frame: Uint8Array } | null = null

  const isOpen = ({ isClosing, socket }: Connection) => !isClosing && socket.readyState === WebSocket.OPEN

  /** A reader that does not take what it is given gets no more of it. */
  function give(connection: Connection, frame: Uint8Array, taken?: () => void) {
    const { stream } = connection
    if (!isOpen(connection)) return taken?.()
    if (stream.writableLength > closeBytes) corks.flush(stream)
    if (stream.writableLength <= closeBytes) return corks.write(stream, frame, taken)
    close(connection, closing.slow)
    taken?.()
  }

  const message: SocketSender['message'] = (connection, content) => give(connection, frameOf(content))

  const close: SocketSender['close'] = (connection, [code, reason]) => {
    if (connection.isClosing) return
    connection.isClosing = true
    endOperations(connection)
    connection.socket.close(code, reason)
  }

  function isFull({ connection }: SocketOperation): boolean {
    const { stream } = connection
    if (stream.writableLength <= pauseBytes) return false
    corks.flush(stream)
    if (stream.writableLength <= pauseBytes) return false
    if (!connection.isDraining) {
      connection.isDraining = true
      stream.once('drain', () => {
        connection.isDraining = false
        for (const operation of [...connection.operations]) resumeOperation(operation)
      })
    }
    return true
  }

  function finish(operation: SocketOperation) {
    operation.connection.operations.delete(operation)
    endOperation(operation)
  }

  return {
    message,
    close,
    isFull,
    result({ connection, id }, json) {
      const frame = nextFrame(id, json)
      give(
        connection,
        frame,
        answers.take(frame.length, connection.bearer, () => connection.address),
      )
    },
    next(operation, json) {
      const { connection, id } = operation
      if (last?.json !== json || last.id !== id) last = { id, json, frame: nextFrame(id, json) }
      give(connection, last.frame)
      return !isFull(operation)
    },
    refuse(operation, errors) {
      const { connection, id } = operation
      message(connection, { id, type: MessageType.Error, payload: errors.map(withoutStatus) })
      finish(operation)
    },
    complete(operation) {
      const { connection, id } = operation
      // Small, and the answer that it ends may be large.
      if (isOpen(connection)) corks.write(connection.stream, frameOf({ id, type: MessageType.Complete }))
      finish(operation)
    },
  }
}

const frameOf = (message: object) => textFrame(JSON.stringify(message))

const nextFrame = (id: string, result: string) =>
  textFrame(`{"id":${JSON.stringify(id)},"type":"${MessageType.Next}","payload":${result}}`)

/** Gives up whatever the operations of a connection hold. */
export function endOperations({ operations }: Connection): void {
  for (const operation of [...operations]) {
    operations.delete(operation)
    endOperation(operation)
  }
}
