import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { GraphiqlPage } from './graphiql.ts'
import type { Health } from './health.ts'
import { newRequestId } from './request-id.ts'
import { graphqlPath, type Yoga } from './yoga.ts'

type Options = { yoga: Yoga; health: Health; graphiql: GraphiqlPage | null; bodyMaxBytes: number }

/** Routes requests; everything but the body's size is left to who answers. */
export function createHttpServer({ yoga, health, graphiql, bodyMaxBytes }: Options): Server {
  const server = createServer(async (request, response) => {
    const requestId = newRequestId(request.headers['x-request-id'])
    response.setHeader('x-request-id', requestId)
    const path = request.url?.split('?', 1)[0]
    if (health.handle(request, response)) return
    if (path === graphqlPath) {
      const refusal = refusalOf(request, bodyMaxBytes)
      if (refusal) return sendError(response, ...refusal)
      const authorization = request.headers.authorization ?? null
      await yoga(request, response, { origin: { requestId, authorization } })
      return
    }
    const page = graphiql?.(request, response)
    if (page) await page
    else if (path === '/' && graphiql) response.writeHead(302, { location: '/graphiql' }).end()
    else sendError(response, 404, `There is nothing here; the API is at ${graphqlPath}.`)
  })
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  return server
}

/** Bodies that are too large, of unknown size or packed are refused before a byte of them is kept. */
function refusalOf({ method, headers }: IncomingMessage, bodyMaxBytes: number): [number, string] | null {
  if (method !== 'POST') return null
  if (headers['content-encoding'] !== undefined)
    return [415, 'Packed bodies are not accepted: leave out content-encoding.']
  if (headers['content-length'] === undefined) return [411, 'The body needs a content-length.']
  const bytes = Number(headers['content-length'])
  if (bytes > bodyMaxBytes)
    return [413, `The body has ${bytes} bytes; at most ${bodyMaxBytes} are allowed (HTTP_BODY_MAX_BYTES).`]
  return null
}

function sendError(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(`${JSON.stringify({ errors: [{ message, extensions: { code: 'BAD_USER_INPUT' } }] })}\n`)
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
  server.closeIdleConnections()
  const force = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(force)
}
