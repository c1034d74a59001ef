import type { GraphQLSchema } from 'graphql'
import type { Tokens } from '../auth/jwt.ts'
import type { Config } from '../config.ts'
import type { Context } from '../graphql/context.ts'
import type { Holds } from '../lib/holds.ts'
import type { Meter } from '../lib/meter.ts'
import type { Rates } from '../lib/rates.ts'
import type { TurnEnd } from '../lib/turn.ts'
import type { Log } from '../telemetry/log.ts'
import { type Caller, createAdmission } from './admission.ts'
import { createBearers } from './bearers.ts'
import { createBodies } from './bodies.ts'
import { createByteRoom } from './byte-room.ts'
import { createCompiledOperations } from './compiled.ts'
import { createConnectionLimits } from './connection-limits.ts'
import { createCookieSignIn } from './cookies.ts'
import { createEventStreams } from './event-streams.ts'
import { createExportDoor, type OpenDownload } from './exports.ts'
import type { Health } from './health.ts'
import { close, createHttpServer, listen } from './http.ts'
import { createNetwork } from './network.ts'
import { createOperations } from './operations.ts'
import type { Pages } from './pages.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { createWebSocketDoor } from './websocket.ts'
import type { SignIn } from './websocket-protocol.ts'
import { createGraphqlServer, type OperationOrigin, type Present } from './yoga.ts'

/** Every way in, on one port. */
export type Doors = {
  /** Resolves to the address to reach it by. */
  open(): Promise<string>
  /** What is open now: sockets and event streams, and operations under way on them. */
  counts(): { connections: number; subscriptions: number }
  /** Looks anew at the tokens of what is open, of a user, a whole tenant or all, and ends what is no longer proven. */
  recheck(whose: { tenantId: string; userId: string | null } | 'all'): void
  /** Tells balancers to send nobody, and lets no new socket or stream in. Requests are answered still. */
  refuse(): void
  /** Sends the sockets and streams elsewhere, spread over `withinMs`, then closes for requests, too. */
  close(withinMs: number): Promise<void>
}

type Options = {
  config: Config
  schema: GraphQLSchema
  contextOf: (origin: OperationOrigin) => Promise<Context>
  present: Present
  signIn: SignIn
  holdsForMs: Tokens['holdsForMs']
  /** Ends what a token is good for. */
  signOut: (token: string) => Promise<void>
  health: Health
  pages: Pages
  openDownload: OpenDownload
  rates: Rates
  meter: Meter
  /** Counts the connections that are open. */
  holds: Holds
  /** Absent: every operation of the schema may be asked. */
  persisted: PersistedOperations | null
  /** At which what was written to a connection is sent. */
  atTurnEnd: TurnEnd
  log: Log
}

/** Of the connections to the database, those that subscriptions which begin may take; the rest is for requests. */
const shareOfPool = 0.6
/** Milliseconds that requests have to end in once the sockets have gone. */
const requestsEndWithinMs = 2_000

export function createDoors(options: Options): Doors {
  const { config, schema, present, signIn, holdsForMs, health, rates, persisted, atTurnEnd, meter, log } =
    options
  const { corsOrigins, host, port, bodyMaxBytes, websocket, connections, trustedProxyHops } = config.server
  const { requestTimeoutMs, tcpConnectionsMax, largeBodyMaxBytes, heldBodiesMaxBytes, slowReaders } =
    config.server
  const answers = createByteRoom({
    maxBytes: config.server.heldAnswersMaxBytes,
    what: 'answers',
    setting: 'ANSWERS_MAX_BYTES',
  })
  const contextOf = (origin: OperationOrigin) => {
    origin.context ??= options.contextOf(origin)
    return origin.context
  }
  const { introspection } = config.server
  const engine = {
    schema,
    contextOf,
    present,
    introspection,
    corsOrigins,
    limits: config.operations,
    meter,
    log,
  }
  const yoga = createGraphqlServer(engine)
  const compiled = createCompiledOperations({ schema, contextOf, present, yoga, meter })
  const openingAtOnce = Math.ceil(config.database.poolSize * shareOfPool)
  const operations = createOperations({
    ...{ schema, present, yoga, meter, openingAtOnce },
    openingWaitMs: requestTimeoutMs,
  })
  const admission = createAdmission({ rates, limits: config.rates, trustedProxyHops, log })
  const limits = createConnectionLimits(connections, admission, options.holds)
  const cookies = config.server.cookieSignIn
    ? createCookieSignIn({ admission, corsOrigins, signIn, holdsForMs, signOut: options.signOut })
    : null
  const staying = {
    operations,
    present,
    signIn,
    holdsForMs,
    limits,
    bearers: createBearers(),
    admission,
    persisted,
    corsOrigins,
    cookies,
    slowReaders,
    atTurnEnd,
    meter,
    log,
  }
  const eventStreams = createEventStreams({ ...staying, maxAgeMs: config.server.eventStreamMaxAgeMs })
  const { pages } = options
  const exports = createExportDoor(options.openDownload, admission)
  const answering = { yoga, compiled, operations, eventStreams, health, pages, exports }
  const { addressOf } = admission
  const bodies = createBodies({
    ...{ bodyMaxBytes, largeBodyMaxBytes, heldBodiesMaxBytes, addressOf },
    operationMaxLength: config.operations.maxLength,
  })
  const network = createNetwork(config.server.network, log)
  const server = createHttpServer({
    ...answering,
    persisted,
    cookies,
    admission,
    contextOf,
    corsOrigins,
    requestTimeoutMs,
    tcpConnectionsMax,
    network,
    answerStalledMs: slowReaders.closeMs,
    bodies,
    answers,
    meter,
    log,
  })
  const sockets = createWebSocketDoor({
    ...staying,
    ...websocket,
    answers,
    operationRate: config.rates.operations,
    network,
    server,
  })
  return {
    open: () => listen(server, host, port),
    counts: () => ({
      connections: limits.count(),
      subscriptions: sockets.operations() + eventStreams.count(),
    }),
    recheck(whose) {
      const isMeant = ({ tenantId, userId }: Caller) =>
        whose === 'all' || (tenantId === whose.tenantId && (whose.userId === null || userId === whose.userId))
      sockets.recheck(isMeant)
      eventStreams.recheck(isMeant)
    },
    refuse() {
      health.drain()
      sockets.refuse()
      eventStreams.refuse()
    },
    async close(withinMs) {
      await Promise.all([sockets.drain(withinMs), eventStreams.drain(withinMs)])
      await close(server, requestsEndWithinMs)
    },
  }
}
