import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'

/** Where the page comes from and what it is told. */
export type GraphiqlPageOptions = {
  /** The folder that `npm run build --workspace web` writes. */
  directory: string
  /** Path of the GraphQL endpoint on this server. */
  endpoint: string
  /**
   * A token for whoever opens the page, or null for none. Anybody who can reach the server gets it, so it is for
   * development on a loopback address only.
   */
  token: () => string | null | Promise<string | null>
}

/** Answers a request for the page or one of its files; false for every other path, with nothing sent. */
export type GraphiqlPage = (request: IncomingMessage, response: ServerResponse) => false | Promise<true>

const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ttf': 'font/ttf',
}

const securityHeaders = {
  // Monaco writes style elements and attributes of its own, hence the one 'unsafe-inline'. Fonts and pictures of
  // the style sheets are partly data URLs.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; " +
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

const forever = 'public, max-age=31536000, immutable'
// One folder and no leading dot: nothing that matches can point out of the directory. The bound keeps it a file
// name: a longer one is an error to the file system, not a missing file.
const assetPath = /^\/assets\/[\w-][\w.-]{0,99}$/

export function createGraphiqlPage({ directory, endpoint, token }: GraphiqlPageOptions): GraphiqlPage {
  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/'
    if (!/^\/(graphiql|assets)(\/|$)/.test(path)) return false
    return respond(path, request, response).then(() => true)
  }

  async function respond(path: string, request: IncomingMessage, response: ServerResponse) {
    response.setHeaders(new Headers(securityHeaders))
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return sendText(response, 405, 'Only GET and HEAD.\n')
    }
    if (path === '/graphiql/config.json') return sendConfig(request, response)
    if (path === '/graphiql/') {
      response.setHeader('location', '/graphiql')
      return sendText(response, 308, 'Moved to /graphiql.\n')
    }
    if (path === '/graphiql') {
      if (await sendFile(join(directory, 'graphiql.html'), 'no-cache', request, response)) return
      return sendText(response, 503, 'The page is not built yet. Run: npm run build --workspace web\n')
    }
    if (assetPath.test(path) && (await sendFile(join(directory, path), forever, request, response))) return
    sendText(response, 404, 'Not found.\n')
  }

  async function sendConfig(request: IncomingMessage, response: ServerResponse) {
    // A site that points its own name at this machine is same-origin with it, but its name shows in the host.
    const config = { endpoint, token: isLoopback(request.headers.host) ? await token() : null }
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    })
    response.end(JSON.stringify(config))
  }
}

/** False, with nothing sent, where there is no such file; the build has put a `.gz` beside most of them. */
async function sendFile(
  file: string,
  cacheControl: string,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const contentType = contentTypes[extname(file)]
  if (!contentType) return false
  const gzipped = /\bgzip\b/.test(String(request.headers['accept-encoding']))
    ? await readIfPresent(`${file}.gz`)
    : undefined
  const body = gzipped ?? (await readIfPresent(file))
  if (!body) return false
  response.writeHead(200, {
    'content-type': contentType,
    'content-length': body.length,
    'cache-control': cacheControl,
    vary: 'accept-encoding',
    ...(gzipped && { 'content-encoding': 'gzip' }),
  })
  response.end(body)
  return true
}

async function readIfPresent(file: string) {
  try {
    return await readFile(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function sendText(response: ServerResponse, status: number, text: string) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}

function isLoopback(host: string | undefined) {
  const name = URL.parse(`http://${host}`)?.hostname ?? ''
  return (
    name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(\.\d+){3}$/.test(name)
  )
}
