import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { Context } from '../graphql/context.ts'
import { type ErrorCode, ForbiddenError, RateLimitedError } from '../lib/errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Admission } from './admission.ts'
import { readText } from './body.ts'
import type { CompiledOperations } from './compiled.ts'
import { corsHeaders, type EventStreams } from './event-streams.ts'
import type { ExportDoor } from './exports.ts'
import type { Health } from './health.ts'
import type { LargeBodies } from './large-bodies.ts'
import type { Pages } from './pages.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { newRequestId } from './request-id.ts'
import { graphqlPath, type OperationOrigin, type Yoga } from './yoga.ts'

type Options = {
  yoga: Yoga
  compiled: CompiledOperations
  eventStreams: EventStreams
  /** Without them no answer needs CORS headers, which are Yoga's to give. */
  corsOrigins: readonly string[]
  requestTimeoutMs: number
  health: Health
  pages: Pages
  exports: ExportDoor
  largeBodies: LargeBodies
  persisted: PersistedOperations | null
  admission: Admission
  contextOf: (origin: OperationOrigin) => Promise<Context>
  log: Log
}

/** Routes requests; everything but the body's size is left to who answers. */
export function createHttpServer(options: Options): Server {
  const { yoga, health, pages, largeBodies, admission, log } = options

  async function answer(request: IncomingMessage, response: ServerResponse, requestId: string) {
    const path = request.url?.split('?', 1)[0]
    if (health.handle(request, response)) return
    if (path === graphqlPath) {
      const refusal = refusalOf(request)
      if (refusal) return sendError(response, refusal.status, 'BAD_USER_INPUT', refusal.message)
      if (options.persisted && request.method === 'GET')
        return sendError(response, 405, 'FORBIDDEN', 'This server takes operations by POST only.')
      const origin = { requestId, authorization: request.headers.authorization ?? null }
      const excess = await excessOf(request, origin)
      if (excess) return sendTooMany(request, response, excess)
      const large = largeBodies.isLarge(request) ? await largeBodies.read(request, origin) : null
      if (large && 'status' in large) return sendError(response, large.status, large.code, large.message)
      const isForEvents = wantsEvents(request)
      const isPlain = !isForEvents && isOrdinary(request, options.corsOrigins)
      const read = large?.body ?? (request.method === 'POST' ? await readText(request) : null)
      if (read === null && request.method === 'POST')
        return sendError(response, 400, 'BAD_USER_INPUT', 'The body is not UTF-8.')
      const body = allowed(read)
      if (body instanceof ForbiddenError) return sendError(response, 403, body.code, body.message)
      if (isForEvents && (await options.eventStreams.handle(request, response, body, origin))) return
      const { accept } = request.headers
      if (isPlain && body !== null && (await options.compiled.handle({ accept, body }, response, origin)))
        return
      // Yoga takes a body that was read before from here; of a text it would list every character first.
      if (body !== null) Object.assign(request, { body: large ? Readable.from([body]) : body })
      await yoga(request, response, { origin })
      return
    }
    const answering = pages(request, response) || options.exports(request, response)
    if (answering) await answering
    else sendError(response, 404, 'NOT_FOUND', `There is nothing here; the API is at ${graphqlPath}.`)
  }

  /** The body with the operation that it names, where only some are taken. */
  function allowed(body: string | null): string | null | ForbiddenError {
    if (!options.persisted || body === null) return body
    try {
      return options.persisted.resolveBody(body)
    } catch (error) {
      if (error instanceof ForbiddenError) return error
      throw error
    }
  }

  /** Counts the request before it is read; what is wrong with its token is told later, like any other fault. */
  async function excessOf(request: IncomingMessage, origin: OperationOrigin) {
    const context = await options.contextOf(origin).catch(() => null)
    try {
      admission.request(context?.viewer ?? null, admission.addressOf(request))
      return null
    } catch (error) {
      if (error instanceof RateLimitedError) return error
      throw error
    }
  }

  function sendTooMany(request: IncomingMessage, response: ServerResponse, excess: RateLimitedError) {
    for (const [name, value] of corsHeaders(request, options.corsOrigins)) {
      response.setHeader(name, value)
      response.setHeader('access-control-expose-headers', 'retry-after')
    }
    response.setHeader('retry-after', excess.retryAfterSeconds)
    sendError(response, 429, excess.code, excess.message, { retryAfterSeconds: excess.retryAfterSeconds })
  }

  const server = createServer(timeoutsOf(options.requestTimeoutMs), (request, response) => {
    const requestId = newRequestId(request.headers['x-request-id'])
    response.setHeader('x-request-id', requestId)
    answer(request, response, requestId).catch((error) => {
      log.error({ err: error, requestId }, 'a request failed')
      if (response.headersSent) response.destroy()
      else
        sendError(response, 500, 'INTERNAL_SERVER_ERROR', `Internal server error; request id ${requestId}.`)
    })
  })
  return server
}

/** How long a request may take to arrive, and how often that is looked at. */
const timeoutsOf = (requestTimeoutMs: number) => ({
  requestTimeout: requestTimeoutMs,
  headersTimeout: Math.min(10_000, requestTimeoutMs),
  connectionsCheckingInterval: Math.min(5_000, requestTimeoutMs / 2),
  // Longer than clients and proxies keep theirs: a connection that is closed here as they send on it costs a request.
  keepAliveTimeout: 75_000,
})

const wantsEvents = ({ method, headers }: IncomingMessage) =>
  (method === 'POST' || method === 'GET') && headers.accept?.includes('text/event-stream') === true

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

function sendError(
  response: ServerResponse,
  status: number,
  code: ErrorCode,
  message: string,
  more: object = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(`${JSON.stringify({ errors: [{ message, extensions: { code, ...more } }] })}\n`)
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
