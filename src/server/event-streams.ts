import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { GraphQLError } from 'graphql'
import { LimitError, RateLimitedError, UnauthenticatedError } from '../lib/errors.ts'
import type { TurnEnd } from '../lib/turn.ts'
import type { Admission, Caller } from './admission.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { beatOf, type Watched, watchConnections } from './connection-watch.ts'
import { inBatches } from './draining.ts'
import { createCorks } from './frames.ts'
import {
  createOperationRunner,
  endOperation,
  type LiveOperation,
  type OperationDoor,
  resumeOperation,
} from './live-operations.ts'
import type { OperationRequest, Operations } from './operations.ts'
import { withoutStatus } from './plans.ts'
import type { SignIn } from './websocket-protocol.ts'
import type { OperationOrigin, Present } from './yoga.ts'

/**
 * Subscriptions as server-sent events: one request each, in the form of graphql-sse's distinct connections. A stream
 * that is cut off ends without its `complete`, so that clients take it for a failed connection and come back.
 */
export type EventStreams = {
  /** Answers a subscription; false for whatever else it is, with nothing sent and nothing run. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    body: string | null,
    origin: OperationOrigin,
  ): Promise<boolean>
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
  admission: Admission
  corsOrigins: readonly string[]
  atTurnEnd: TurnEnd
}

type EventStream = LiveOperation &
  Watched & { readonly response: ServerResponse; caller: Caller | null; token: string; isDraining: boolean }

const beatEveryS = 12
const fullAboveBytes = 262_144
const comment = Buffer.from(':\n\n')
const completed = Buffer.from('event: complete\ndata:\n\n')
const beforeResult = Buffer.from('event: next\ndata: ')
const afterResult = Buffer.from('\n\n')

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
  admission,
  corsOrigins,
  atTurnEnd,
}: Options): EventStreams {
  const open = new Set<EventStream>()
  const door = createDoor(atTurnEnd)
  const run = createOperationRunner<EventStream>(operations, present, door)
  let isDraining = false

  const watch = watchConnections<EventStream>({
    connections: () => open,
    beatEvery: beatEveryS,
    beat: (stream) => door.comment(stream),
    due: cut,
    stalled: ({ stream }) => stream.destroy(),
  })

  /** Counts it as a connection of its user; without one, whatever there is to say the operation says. */
  async function admit(stream: EventStream, { authorization }: OperationOrigin) {
    if (isDraining) throw new LimitError('The server restarts: connect again.', 0)
    const token = authorization?.replace(/^bearer\s+/i, '')
    const viewer = token ? await signIn(token).catch(() => null) : null
    if (!viewer || stream.isOver) return
    limits.claim(viewer)
    stream.caller = viewer
    stream.token = token ?? ''
    stream.dueAtMs = performance.now() + viewer.expiresAt.getTime() - Date.now()
  }

  function begin(response: ServerResponse, socket: Socket): EventStream {
    const stream: EventStream = {
      isOver: false,
      membership: null,
      values: null,
      wake: null,
      stream: socket,
      dueAtMs: Number.POSITIVE_INFINITY,
      takenBytes: 0,
      takenAtMs: performance.now(),
      beat: beatOf(socket),
      response,
      caller: null,
      token: '',
      isDraining: false,
    }
    open.add(stream)
    response.once('close', () => {
      open.delete(stream)
      endOperation(stream)
      if (stream.caller !== null) limits.unclaim(stream.caller)
      limits.leave()
    })
    return stream
  }

  return {
    count: () => open.size,
    async handle(request, response, body, origin) {
      const operation = body === null ? fromUrl(request.url ?? '') : fromBody(body)
      if (!operation || !operations.isSubscription(operation, origin)) return false
      for (const [name, value] of corsHeaders(request, corsOrigins)) response.setHeader(name, value)
      let stream: EventStream | undefined
      try {
        limits.enter(admission.addressOf(request))
        stream = begin(response, request.socket)
        await admit(stream, origin)
      } catch (error) {
        const isTooFast = error instanceof RateLimitedError
        if (isTooFast) response.setHeader('retry-after', error.retryAfterSeconds)
        const status = isTooFast || (stream && !isDraining) ? 429 : 503
        refuse(response, status, [present(error, origin.requestId)])
        return true
      }
      await run(stream, operation, origin)
      return true
    },
    recheck(isMeant) {
      for (const stream of open)
        if (stream.caller && isMeant(stream.caller))
          signIn(stream.token).catch((error) => {
            if (error instanceof UnauthenticatedError) cut(stream)
          })
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

function createDoor(atTurnEnd: TurnEnd): OperationDoor<EventStream> & { comment(stream: EventStream): void } {
  const corks = createCorks(atTurnEnd)
  let last: { bytes: Uint8Array; block: Uint8Array } | null = null

  function isFull(stream: EventStream): boolean {
    const { response, stream: socket } = stream
    if (response.writableLength <= fullAboveBytes) return false
    corks.flush(response)
    if (response.writableLength <= fullAboveBytes) return false
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
    next(stream, bytes) {
      const block = last?.bytes === bytes ? last.block : Buffer.concat([beforeResult, bytes, afterResult])
      last = { bytes, block }
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

function fromBody(body: string): OperationRequest | null {
  try {
    return operationFrom(JSON.parse(body))
  } catch {
    return null
  }
}

function fromUrl(url: string): OperationRequest | null {
  try {
    const { searchParams } = new URL(url, 'http://localhost')
    const variables = searchParams.get('variables')
    return operationFrom({
      query: searchParams.get('query'),
      operationName: searchParams.get('operationName'),
      variables: variables === null ? null : JSON.parse(variables),
    })
  } catch {
    return null
  }
}

function operationFrom(given: Record<string, unknown>): OperationRequest | null {
  const { query, operationName = null, variables = null } = given
  if (typeof query !== 'string' || (operationName !== null && typeof operationName !== 'string')) return null
  if (typeof variables !== 'object' || Array.isArray(variables)) return null
  return { query, operationName, variables: variables as Record<string, unknown> | null }
}

/** The same as for any other answer. */
export function corsHeaders({ headers: { origin } }: IncomingMessage, corsOrigins: readonly string[]) {
  if (origin === undefined || !corsOrigins.includes(origin)) return []
  return [
    ['access-control-allow-origin', origin],
    ['access-control-allow-credentials', 'true'],
    ['vary', 'Origin'],
  ] as const
}
