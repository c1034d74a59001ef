import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { Viewer } from '../auth/viewer.ts'
import type { Context } from '../graphql/context.ts'
import type { Gone } from '../lib/async.ts'
import { type ErrorCode, ParleyError, UnauthenticatedError } from '../lib/errors.ts'
import type { Meter } from '../lib/meter.ts'
import type { Log } from '../telemetry/log.ts'
import type { Admission } from './admission.ts'
import type { Bodies } from './bodies.ts'
import { type ByteRoom, releaseAfter } from './byte-room.ts'
import type { CompiledOperations } from './compiled.ts'
import type { CookieSignIn } from './cookies.ts'
import { acceptsEvents, type EventStreams } from './event-streams.ts'
import type { ExportDoor } from './exports.ts'
import type { Health } from './health.ts'
import type { Network } from './network.ts'
import { readOperation } from './operation-request.ts'
import type { Operations } from './operations.ts'
import { corsHeaders } from './origins.ts'
import type { Pages } from './pages.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { errorText, refusalFor } from './refusals.ts'
import { newRequestId } from './request-id.ts'
import { graphqlPath, notAcceptable, type OperationOrigin, type Yoga } from './yoga.ts'

type Options = {
  yoga: Yoga
  compiled: CompiledOperations
  operations: Pick<Operations, 'isSubscription'>
  eventStreams: EventStreams
  /** Without them no answer needs CORS headers, which are Yoga's to give. */
  corsOrigins: readonly string[]
  requestTimeoutMs: number
  tcpConnectionsMax: number
  network: Network
  /** How long nothing may be taken of an answer. */
  answerStalledMs: number
  health: Health
  pages: Pages
  exports: ExportDoor
  bodies: Bodies
  /** Of answers that wait to be taken. */
  answers: ByteRoom
  persisted: PersistedOperations | null
  /** Absent: cookies count for nothing. */
  cookies: CookieSignIn | null
  admission: Admission
  contextOf: (origin: OperationOrigin) => Promise<Context>
  meter: Meter
  log: Log
}

/** Yoga lists every character of a text that it is handed; one that is longer, in UTF-16 units, it is given as a stream. */
const mostListed = 4_096

/** Routes requests; what they ask is left to who answers. */
export function createHttpServer(options: Options): Server {
  const { yoga, health, pages, bodies, admission, log } = options

  async function answer(request: IncomingMessage, response: ServerResponse, requestId: string) {
    const path = request.url?.split('?', 1)[0]
    if (health.handle(request, response)) return
    const page = pages(request, response)
    if (page) return void (await page)
    if (path === graphqlPath) {
      const refusal = refusalOf(request)
      if (refusal) return sendError(response, refusal.status, 'BAD_USER_INPUT', refusal.message)
      if (options.persisted && request.method === 'GET')
        return sendError(response, 405, 'FORBIDDEN', 'This server takes operations by POST only.')
      const authorization = request.headers.authorization ?? options.cookies?.authorizationOf(request) ?? null
      let viewer: Viewer | null = null
      const addressOf = () => admission.addressOf(request)
      const hold = (bytes: number) => releaseAfter(response, options.answers.take(bytes, viewer, addressOf))
      const origin = { requestId, authorization, gone: goneOf(response), hold }
      viewer = await admit(request, origin)
      const given = request.method === 'POST' ? await bodies.read(request, response, viewer) : null
      if (given && 'status' in given) return sendError(response, given.status, given.code, given.message)
      const read = given?.text ?? null
      const body = options.persisted && read !== null ? options.persisted.resolveBody(read) : read
      const { accept } = request.headers
      const operation = body === null && request.method !== 'GET' ? null : readOperation(request, body)
      const isPlain = operation !== null && isOrdinary(request, options.corsOrigins)
      if (isPlain && (await options.compiled.handle({ accept, operation }, response, origin))) return
      // By what it is, not by what it asks for: every other way would let a stream go on with nobody to end it.
      if (operation && options.operations.isSubscription(operation, origin)) {
        if (acceptsEvents(accept)) return options.eventStreams.handle(request, response, operation, origin)
        return sendError(response, 406, 'BAD_USER_INPUT', notAcceptable)
      }
      // Yoga takes a body that was read before from here.
      if (body !== null)
        Object.assign(request, { body: body.length > mostListed ? Readable.from([body]) : body })
      await yoga(request, response, { origin })
      return
    }
    const answering = options.cookies?.handle(request, response) || options.exports(request, response)
    if (answering) await answering
    else sendError(response, 404, 'NOT_FOUND', `There is nothing here; the API is at ${graphqlPath}.`)
  }

  /** Counts the request before it is read, and refuses one whose token proves nobody; other faults are told later. */
  async function admit(request: IncomingMessage, origin: OperationOrigin): Promise<Viewer | null> {
    let fault: unknown
    const context = await options.contextOf(origin).catch((error: unknown) => {
      fault = error
      return null
    })
    const viewer = context?.viewer ?? null
    admission.request(viewer, () => admission.addressOf(request))
    if (fault instanceof UnauthenticatedError) throw fault
    return viewer
  }

  /** What is wrong with a request as a whole, before anything of it is run. */
  function refuse(request: IncomingMessage, response: ServerResponse, error: ParleyError) {
    for (const [name, value] of corsHeaders(request, options.corsOrigins)) response.setHeader(name, value)
    const { status, headers, text } = refusalFor(error)
    response.writeHead(status, { ...headers, ...closing(status) }).end(text)
  }

  const server = createServer(timeoutsOf(options.requestTimeoutMs), (request, response) => {
    const requestId = newRequestId(request.headers['x-request-id'])
    response.setHeader('x-request-id', requestId)
    cutWhereStalled(request.socket, response, options.answerStalledMs)
    response.once('finish', () => options.meter.httpResponse(response.statusCode))
    answer(request, response, requestId).catch((error) => {
      if (error instanceof ParleyError && !response.headersSent) return refuse(request, response, error)
      log.error({ err: error, requestId }, 'a request failed')
      if (response.headersSent) response.destroy()
      else
        sendError(response, 500, 'INTERNAL_SERVER_ERROR', `Internal server error; request id ${requestId}.`)
    })
  })
  server.maxConnections = options.tcpConnectionsMax
  options.network.watch(server)
  return server
}

/**
 * An answer waits in memory for whoever asked; one that is still being made is left alone, and so is a reader that is slow.
 * Node looks once in this time whether anything was taken since it last looked.
 */
function cutWhereStalled(socket: Socket, response: ServerResponse, stalledAfterMs: number) {
  response.setTimeout(stalledAfterMs / 2, () => {
    if (socket.writableLength > 0) socket.destroy()
  })
}

/** How long a request may take to arrive, and how often that is looked at. */
const timeoutsOf = (requestTimeoutMs: number) => ({
  requestTimeout: requestTimeoutMs,
  headersTimeout: Math.min(10_000, requestTimeoutMs),
  connectionsCheckingInterval: Math.min(5_000, requestTimeoutMs / 2),
  // Longer than clients and proxies keep theirs: a connection that is closed here as they send on it costs a request.
  keepAliveTimeout: 75_000,
})

/** Closed before it was answered, the caller does not wait any more. */
function goneOf(response: ServerResponse): Gone {
  let gone: AbortController | undefined
  return () => {
    if (gone) return gone.signal
    const made = new AbortController()
    gone = made
    if (response.destroyed) made.abort()
    else response.once('close', () => made.abort())
    return made.signal
  }
}

/** JSON over POST that wants one answer, from nowhere that CORS has a say in. */
const isOrdinary = ({ method, headers }: IncomingMessage, corsOrigins: readonly string[]) =>
  method === 'POST' &&
  headers['content-type']?.startsWith('application/json') === true &&
  (corsOrigins.length === 0 || headers.origin === undefined)

/** Bodies that are no JSON, of unknown size or packed are refused before a byte of them is kept. */
function refusalOf({ method, headers }: IncomingMessage) {
  if (method !== 'POST') return null
  if (headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json')
    return { status: 415, message: 'The body must be JSON, with the content-type application/json.' }
  if (headers['content-encoding'] !== undefined)
    return { status: 415, message: 'Packed bodies are not accepted: leave out content-encoding.' }
  if (headers['content-length'] === undefined)
    return { status: 411, message: 'The body needs a content-length.' }
  return null
}

/** Whoever has a new token comes back over the same connection; meanwhile Node reads the body into nothing. */
const closing = (status: number) => (status === 401 ? {} : { connection: 'close' })

function sendError(response: ServerResponse, status: number, code: ErrorCode, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', ...closing(status) })
  response.end(errorText(code, message))
}

/** Starts to listen; resolves to the address to reach it by. */
export async function listen(server: Server, host: string, port: number): Promise<string> {
  server.listen(port, host)
  await once(server, 'listening')
  const { port: actual } = server.address() as AddressInfo
  const name = host === '127.0.0.1' || host === '0.0.0.0' || host === '::' ? 'localhost' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${actual}`
}

/** Lets open requests end, closes idle connections; after `graceMs` it closes all. */
export async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // A connection that falls idle after this moment would be kept alive for the next request.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const force = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearInterval(idle)
  clearTimeout(force)
}
