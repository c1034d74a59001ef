import {
  type ConnectionInitMessage,
  type Message,
  MessageType,
  parseMessage,
  type SubscribeMessage,
} from 'graphql-ws'
import { ExpiredTokenError, RevokedTokenError } from '../auth/jwt.ts'
import { LimitError, RateLimitedError, UnauthenticatedError } from '../lib/errors.ts'
import type { Rate } from '../lib/rates.ts'
import type { Log } from '../telemetry/log.ts'
import type { Admission, Caller } from './admission.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { createOperationRunner, endOperation } from './live-operations.ts'
import type { Operations } from './operations.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { newRequestId } from './request-id.ts'
import { type Connection, closing, newSocketOperation, type SocketSender } from './websocket-connection.ts'
import type { Present } from './yoga.ts'

/** Whose connection it is, and for how long that is proven. */
export type SignIn = (token: string) => Promise<Caller & { expiresAt: Date }>

export type ProtocolOptions = {
  operations: Operations
  present: Present
  signIn: SignIn
  limits: ConnectionLimits
  admission: Admission
  persisted: PersistedOperations | null
  operationsPerConnection: number
  /** Of one connection. */
  operationRate: Rate
  log: Log
}

const idMaxLength = 255

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
    const token = tokenOf(payload ?? undefined) ?? ''
    try {
      const { tenantId, userId, role, expiresAt } = await signIn(token)
      if (connection.isClosing) return
      const caller = { tenantId, userId, role }
      limits.claim(caller)
      connection.caller = caller
      connection.authorization = `Bearer ${token}`
      connection.dueAtMs = performance.now() + expiresAt.getTime() - Date.now()
      connection.isReady = true
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
    if (!connection.isReady) return sender.close(connection, closing.notReady)
    if (id.length > idMaxLength) return sender.close(connection, closing.badMessage)
    if (connection.operations.has(id)) return sender.close(connection, closing.idInUse)
    const operation = newSocketOperation(connection, id)
    const requestId = newRequestId(connection.requestId)
    let asked = payload
    try {
      keepPace(connection)
      if (persisted) asked = { ...payload, query: persisted.resolve(payload) }
    } catch (error) {
      if (error instanceof RateLimitedError && isFarTooFast(connection))
        return sender.close(connection, closing.tooFast)
      return sender.refuse(operation, [present(error, requestId)])
    }
    connection.operations.set(id, operation)
    void run(operation, asked, { requestId, authorization: connection.authorization })
  }

  /** Throws where the connection, or its user by all doors, begins more than it may. */
  function keepPace(connection: Connection) {
    if (connection.operations.size >= operationsPerConnection) {
      const message = `The connection has ${operationsPerConnection} operations open already (SUBSCRIPTIONS_PER_CONNECTION).`
      throw new LimitError(message, operationsPerConnection)
    }
    const { perSecond, burst } = operationRate
    if (perSecond > 0 && connection.caller?.role !== 'SERVICE') {
      const nowMs = performance.now()
      // What is refused counts, too: who goes on without a pause is cut in the end.
      connection.paidAtMs = Math.max(nowMs, connection.paidAtMs) + 1_000 / perSecond
      const waitMs = connection.paidAtMs - nowMs - (burst * 1_000) / perSecond
      if (waitMs > 0)
        throw new RateLimitedError('operations on this connection', waitMs, 'OPERATIONS_PER_SECOND')
    }
    admission.request(connection.caller, connection.address)
  }

  const isFarTooFast = ({ paidAtMs }: Connection) =>
    paidAtMs - performance.now() > (2 * operationRate.burst * 1_000) / operationRate.perSecond

  function complete({ operations: open }: Connection, id: string) {
    const operation = open.get(id)
    if (!operation) return
    open.delete(id)
    endOperation(operation)
  }

  return (connection, data) => {
    connection.isAsked = false
    if (connection.isClosing) return
    const message = read(data)
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
    if (name.toLowerCase() === 'authorization') return value.replace(/^bearer\s+/i, '')
    if (name === 'token') return value
  }
  return null
}
