import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { GraphQLError } from 'graphql'
import type { Tokens } from '../auth/jwt.ts'
import { LimitError, RateLimitedError, UnauthenticatedError } from '../lib/errors.ts'
import { bearerToken } from '../lib/token-header.ts'
import type { TurnEnd } from '../lib/turn.ts'
import type { Admission, Caller } from './admission.ts'
import type { Bearer, Bearers } from './bearers.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import {
  beatOf,
  recheckConnections,
  type SlowReaders,
  type Watched,
  watchConnections,
} from './connection-watch.ts'
import { inBatches } from './draining.ts'
import { createCorks } from './frames.ts'
import {
  createOperationRunner,
  endOperation,
  type LiveOperation,
  type OperationDoor,
  resumeOperation,
} from './live-operations.ts'
import type { OperationRequest } from './operation-request.ts'
import type { Operations } from './operations.ts'
import { corsHeaders } from './origins.ts'
import { withoutStatus } from './plans.ts'
import type { SignIn } from './websocket-protocol.ts'
import type { OperationOrigin, Present } from './yoga.ts'

/**
 * Subscriptions as server-sent events: one request each, in the form of graphql-sse's distinct connections. A stream
 * that is cut off ends without its `complete`, so that clients take it for a failed connection and come back.
 */
export type EventStreams = {
  /** Answers a subscription, for a request that takes an answer of this kind. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    operation: OperationRequest,
    origin: OperationOrigin,
  ): Promise<void>
  /** Those that are open; each carries one operation. */
  count(): number
  /** Ends the streams of these callers whose token is not accepted any more. */
  recheck(isMeant: (caller: Caller) => boolean): void
  /** Takes no new ones from now on. */
  refuse(): void
  /** Cuts the open ones, spread over this time. */
  drain(withinMs: number): Promise<void>
}

type Options = {
  operations: Operations
  present: Present
  signIn: SignIn
  limits: ConnectionLimits
  bearers: Bearers
  admission: Admission
  corsOrigins: readonly string[]
  /** What a stream may last at most; each ends somewhat earlier, so that those opened at once do not come back at once. */
  maxAgeMs: number
  slowReaders: SlowReaders
  holdsForMs: Tokens['holdsForMs']
  atTurnEnd: TurnEnd
}

type EventStream = LiveOperation &
  Watched & { readonly response: ServerResponse; bearer: Bearer | null; isDraining: boolean }

const beatEveryS = 12
/** The ages that streams end at are spread over this share of the greatest. */
const agesApart = 0.2
const comment = Buffer.from(':\n\n')
const completed = Buffer.from('event: complete\ndata:\n\n')

/** Whether an answer may be a stream of events: everything may be where nothing is said (RFC 9110, 12.5.1). */
export const acceptsEvents = (accept = '*/*'): boolean =>
  accept
    .toLowerCase()
    .split(',')
    .some((range) => /^\s*(\*\/\*|text\/\*|text\/event-stream)\s*(;|$)/.test(range) && !isNever(range))

/** A weight of nothing. */
const isNever = (range: string) => /;\s*q=0(\.0*)?\s*(;|$)/.test(range)

const headers = {
  'content-type': 'text/event-stream',
  connection: 'keep-alive',
  'cache-control': 'no-cache',
  'content-encoding': 'none',
}

export function createEventStreams({
  operations,
  present,
  signIn,
  limits,
  bearers,
  admission,
  corsOrigins,
  maxAgeMs,
  slowReaders,
  holdsForMs,
  atTurnEnd,
}: Options): EventStreams {
  const open = new Set<EventStream>()
  const door = createDoor(atTurnEnd, slowReaders)
  const run = createOperationRunner<EventStream>(operations, present, door)
  let isDraining = false

  const watch = watchConnections<EventStream>({
    connections: () => open,
    beatEvery: beatEveryS,
    stalledAfterMs: slowReaders.closeMs,
    beat: (stream) => door.comment(stream),
    due: cut,
    stalled: ({ stream }) => stream.destroy(),
  })

  /** Counts it as a connection of its user; where the token proves nobody, the operation says so. */
  async function admit(stream: EventStream, { authorization }: OperationOrigin) {
    if (isDraining) throw new LimitError('The server restarts: connect again.', 0)
    const token = bearerToken(authorization)
    const viewer = token ? await signIn(token).catch(nobodyIfRefused) : null
    if (!viewer || stream.isOver) return
    await limits.claim(viewer)
    if (stream.isOver) return limits.unclaim(viewer)
    stream.bearer = bearers.enter(viewer, token)
    stream.dueAtMs = Math.min(stream.dueAtMs, performance.now() + holdsForMs(viewer))
  }

  function begin(response: ServerResponse, socket: Socket): EventStream {
    const stream: EventStream = {
      isOver: false,
      membership: null,
      values: null,
      wake: null,
      gone: null,
      stream: socket,
      // A reader that vanished without a word takes what it is sent as far as can be seen from here.
      dueAtMs: performance.now() + maxAgeMs * (1 - Math.random() * agesApart),
      takenBytes: 0,
      takenAtMs: performance.now(),
      beat: beatOf(socket),
      response,
      bearer: null,
      isDraining: false,
    }
    open.add(stream)
    response.once('close', () => {
      open.delete(stream)
      endOperation(stream)
      limits.leave()
      if (stream.bearer === null) return
      limits.unclaim(stream.bearer)
      bearers.leave(stream.bearer)
    })
    return stream
  }

  return {
    count: () => open.size,
    async handle(request, response, operation, origin) {
      for (const [name, value] of corsHeaders(request, corsOrigins)) response.setHeader(name, value)
      let stream: EventStream | undefined
      try {
        limits.enter(admission.addressOf(request))
        stream = begin(response, request.socket)
        await admit(stream, origin)
      } catch (error) {
        const isTooFast = error instanceof RateLimitedError
        if (isTooFast) response.setHeader('retry-after', error.retryAfterSeconds)
        const status = isTooFast || (error instanceof LimitError && stream && !isDraining) ? 429 : 503
        return refuse(response, status, [present(error, origin.requestId)])
      }
      await run(stream, operation, origin)
    },
    recheck(isMeant) {
      void recheckConnections(open, { isMeant, signIn, end: cut })
    },
    refuse() {
      isDraining = true
    },
    async drain(withinMs) {
      isDraining = true
      await inBatches([...open], withinMs, cut)
      watch.stop()
    },
  }
}

/** Nobody would end a stream whose token could not be checked when it was opened. */
function nobodyIfRefused(error: unknown): null {
  if (error instanceof UnauthenticatedError) return null
  throw error
}

/** What the reader has not taken yet is still sent, unless it takes nothing. */
function cut(stream: EventStream): void {
  stream.dueAtMs = Number.POSITIVE_INFINITY
  endOperation(stream)
  if (stream.response.writableCorked > 0) stream.response.uncork()
  stream.stream.destroySoon()
}

function refuse(response: ServerResponse, status: number, errors: readonly GraphQLError[]): void {
  if (!response.headersSent) response.writeHead(status, headers)
  const result = JSON.stringify({ errors: errors.map(withoutStatus) })
  response.end(`event: next\ndata: ${result}\n\nevent: complete\ndata:\n\n`)
}

function createDoor(
  atTurnEnd: TurnEnd,
  { pauseBytes }: SlowReaders,
): OperationDoor<EventStream> & { comment(stream: EventStream): void } {
  const corks = createCorks(atTurnEnd)
  let last: { json: string; block: Uint8Array } | null = null

  function isFull(stream: EventStream): boolean {
    const { response, stream: socket } = stream
    if (response.writableLength <= pauseBytes) return false
    corks.flush(response)
    if (response.writableLength <= pauseBytes) return false
    if (!stream.isDraining) {
      stream.isDraining = true
      socket.once('drain', () => {
        stream.isDraining = false
        resumeOperation(stream)
      })
    }
    return true
  }

  return {
    isFull,
    comment({ response }) {
      // Before its head is sent a comment would send one of its own, and the answer could not begin any more.
      if (response.headersSent) corks.write(response, comment)
    },
    opened({ response }, status) {
      response.writeHead(status ?? 200, headers)
      // Some browsers wait for the first bytes before they tell of the answer.
      corks.write(response, comment)
    },
    // No more than why a subscription could not be opened.
    result(stream, json) {
      this.next(stream, json)
    },
    next(stream, json) {
      const block = last?.json === json ? last.block : Buffer.from(`event: next\ndata: ${json}\n\n`)
      last = { json, block }
      corks.write(stream.response, block)
      return !isFull(stream)
    },
    refuse(stream, errors) {
      const status = errors.map(({ extensions }) => extensions.http as { status?: number } | undefined)[0]
        ?.status
      refuse(stream.response, status ?? 200, errors)
      endOperation(stream)
    },
    complete(stream) {
      corks.write(stream.response, completed)
      corks.flush(stream.response)
      stream.response.end()
      endOperation(stream)
    },
  }
}
