import {
  type ConnectionInitMessage,
  type Message,
  MessageType,
  parseMessage,
  type SubscribeMessage,
} from 'graphql-ws'
import { ExpiredTokenError, RevokedTokenError, type Tokens } from '../auth/jwt.ts'
import { LimitError, RateLimitedError, UnauthenticatedError } from '../lib/errors.ts'
import type { Rate } from '../lib/rates.ts'
import { bearerToken } from '../lib/token-header.ts'
import type { Log } from '../telemetry/log.ts'
import type { Admission, Caller } from './admission.ts'
import type { Bearers } from './bearers.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { createOperationRunner, endOperation, goneOf } from './live-operations.ts'
import type { Operations } from './operations.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { newRequestId } from './request-id.ts'
import {
  type Connection,
  closing,
  newSocketOperation,
  operationOf,
  type SocketSender,
} from './websocket-connection.ts'
import type { Present } from './yoga.ts'

/** Whose connection it is, and for how long that is proven. */
export type SignIn = (token: string) => Promise<Caller & { expiresAt: Date }>

export type ProtocolOptions = {
  operations: Operations
  present: Present
  signIn: SignIn
  holdsForMs: Tokens['holdsForMs']
  limits: ConnectionLimits
  bearers: Bearers
  admission: Admission
  persisted: PersistedOperations | null
  operationsPerConnection: number
  /** Of one connection. */
  operationRate: Rate
  log: Log
}

const idMaxLength = 255

/** What a message that begins nothing counts as, beside an operation. */
const shareOf = (data: string) => 0.1 + data.length / 16_384

/** What the messages of graphql-transport-ws do; the rest of a socket's life is the door's. */
export function createSocketProtocol(
  sender: SocketSender,
  options: ProtocolOptions,
): (connection: Connection, data: string) => void {
  const {
    operations,
    present,
    signIn,
    limits,
    bearers,
    admission,
    persisted,
    operationsPerConnection,
    operationRate,
    log,
  } = options
  const run = createOperationRunner(operations, present, sender)

  async function greet(connection: Connection, { payload }: ConnectionInitMessage) {
    if (connection.isGreeted) return sender.close(connection, closing.initTwice)
    connection.isGreeted = true
    connection.dueAtMs = Number.POSITIVE_INFINITY
    const token = tokenOf(payload ?? undefined) ?? connection.cookieToken
    connection.cookieToken = ''
    try {
      const proven = await signIn(token)
      if (connection.isClosing) return
      await limits.claim(proven)
      if (connection.isClosing) return limits.unclaim(proven)
      connection.bearer = bearers.enter(proven, token)
      connection.dueAtMs = performance.now() + options.holdsForMs(proven)
      sender.message(connection, { type: MessageType.ConnectionAck })
    } catch (error) {
      if (error instanceof ExpiredTokenError) sender.close(connection, closing.expired)
      else if (error instanceof RevokedTokenError) sender.close(connection, closing.revoked)
      else if (error instanceof UnauthenticatedError) sender.close(connection, closing.badToken)
      else if (error instanceof LimitError) sender.close(connection, [1013, error.message])
      else {
        log.error({ err: error }, 'tokens cannot be checked')
        sender.close(connection, closing.unavailable)
      }
    }
  }

  function subscribe(connection: Connection, { id, payload }: SubscribeMessage) {
    if (connection.bearer === null) return sender.close(connection, closing.notReady)
    if (id.length > idMaxLength) return sender.close(connection, closing.badMessage)
    if (operationOf(connection, id)) return sender.close(connection, closing.idInUse)
    const operation = newSocketOperation(connection, id)
    const requestId = newRequestId(connection.requestId)
    let asked = payload
    try {
      keepPace(connection)
      if (persisted) asked = { ...payload, query: persisted.resolve(payload) }
    } catch (error) {
      return sender.refuse(operation, [present(error, requestId)])
    }
    connection.operations.add(operation)
    const { authorization } = connection.bearer
    void run(operation, asked, { requestId, authorization, gone: () => goneOf(operation) })
  }

  /** Counts so many operations, or messages that cost as much; whether the connection has gone far beyond its pace. */
  function isFarTooFast(
    connection: Connection,
    counter: 'paidAtMs' | 'heardAtMs',
    operations: number,
  ): boolean {
    const { perSecond, burst } = operationRate
    if (perSecond === 0 || connection.bearer?.role === 'SERVICE') return false
    const nowMs = performance.now()
    connection[counter] = Math.max(nowMs, connection[counter]) + (operations * 1_000) / perSecond
    return connection[counter] - nowMs > (2 * burst * 1_000) / perSecond
  }

  /** Throws where the connection, or its user by all doors, begins more than it may. */
  function keepPace(connection: Connection) {
    if (connection.operations.size >= operationsPerConnection) {
      const message = `The connection has ${operationsPerConnection} operations open already (SUBSCRIPTIONS_PER_CONNECTION).`
      throw new LimitError(message, operationsPerConnection)
    }
    const { perSecond, burst } = operationRate
    const waitMs = connection.paidAtMs - performance.now() - (burst * 1_000) / perSecond
    if (waitMs > 0)
      throw new RateLimitedError('operations on this connection', waitMs, 'OPERATIONS_PER_SECOND')
    admission.request(connection.bearer, () => connection.address)
  }

  function complete(connection: Connection, id: string) {
    const operation = operationOf(connection, id)
    if (!operation) return
    connection.operations.delete(operation)
    endOperation(operation)
  }

  return (connection, data) => {
    if (connection.isClosing) return
    const message = read(data)
    // What is refused counts, too: who goes on without a pause is cut in the end.
    const isFar =
      message?.type === MessageType.Subscribe
        ? isFarTooFast(connection, 'paidAtMs', 1)
        : isFarTooFast(connection, 'heardAtMs', shareOf(data))
    if (isFar) return sender.close(connection, closing.tooFast)
    if (message?.type === MessageType.ConnectionInit) void greet(connection, message)
    else if (message?.type === MessageType.Subscribe) subscribe(connection, message)
    else if (message?.type === MessageType.Complete) complete(connection, message.id)
    else if (message?.type === MessageType.Ping) {
      const { payload } = message
      sender.message(connection, payload ? { type: MessageType.Pong, payload } : { type: MessageType.Pong })
    } else if (message?.type !== MessageType.Pong) sender.close(connection, closing.badMessage)
  }
}

function read(data: string): Message | null {
  try {
    return parseMessage(data)
  } catch {
    return null
  }
}

/** `{ authorization: 'Bearer …' }`, in any case, or `{ token }`. */
function tokenOf(connectionParams: Readonly<Record<string, unknown>> | undefined): string | null {
  for (const [name, value] of Object.entries(connectionParams ?? {})) {
    if (typeof value !== 'string') continue
    if (name.toLowerCase() === 'authorization') return bearerToken(value)
    if (name === 'token') return value
  }
  return null
}
