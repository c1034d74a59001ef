import { type FileHandle, open } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { isLoopback } from './origins.ts'

/** Which pages there are, where they come from and what they are told. */
export type PagesOptions = {
  /** The folder that `npm run build --workspace web` writes. */
  directory: string
  /** Path of the GraphQL endpoint on this server. */
  endpoint: string
  /** The chat page, at `/` and at `/s/` and a session's id. */
  chat: boolean
  /** The GraphiQL page, at `/graphiql`, to which the endpoint leads who opens it in a browser. */
  graphiql: boolean
  /**
   * A token for whoever opens a page, or null for none. Anybody who can reach the server gets it, so it is for
   * development on a loopback address only.
   */
  token: () => string | null | Promise<string | null>
}

/** Answers a request for a page or one of its files; false for every other path, with nothing sent. */
export type Pages = (request: IncomingMessage, response: ServerResponse) => false | Promise<true>

const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.ttf': 'font/ttf',
}

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': contentPolicy("style-src 'self'; img-src 'self' data:"),
}
// Monaco writes style elements and attributes of its own, hence the one 'unsafe-inline'. Its fonts are partly data
// URLs.
const graphiqlPolicy = contentPolicy(
  "worker-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:",
)

const forever = 'public, max-age=31536000, immutable'
// One folder and no leading dot: nothing that matches can point out of the directory. The bound keeps it a file
// name: a longer one is an error to the file system, not a missing file.
const assetPath = /^\/assets\/[\w-][\w.-]{0,99}$/

// Any id: whether there is such a session is for the API to say.
const sessionPath = /^\/s\/\w{1,100}$/

export function createPages({ directory, endpoint, chat, graphiql, token }: PagesOptions): Pages {
  const files: Readonly<Record<string, string>> = {
    ...(chat && { '/': 'index.html' }),
    ...(graphiql && { '/graphiql': 'graphiql.html' }),
  }
  const fileOf = (path: string) =>
    files[path] ?? (chat && sessionPath.test(path) ? 'session.html' : undefined)
  const moves: Readonly<Record<string, string>> = {
    ...(graphiql && { '/graphiql/': '/graphiql' }),
    ...(graphiql && !chat && { '/': '/graphiql' }),
  }
  const isOurs = (path: string) =>
    path === '/config.json' ||
    path in moves ||
    fileOf(path) !== undefined ||
    /^\/assets(\/|$)/.test(path) ||
    (graphiql && path.startsWith('/graphiql/'))

  /** Somebody has typed the endpoint into a browser. */
  const isLost = ({ url, method, headers: { accept } }: IncomingMessage) =>
    graphiql && method === 'GET' && url === endpoint && accept?.startsWith('text/html')

  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/'
    if (path === endpoint ? !isLost(request) : !isOurs(path)) return false
    return respond(path, request, response).then(() => true)
  }

  async function respond(path: string, request: IncomingMessage, response: ServerResponse) {
    response.setHeaders(new Headers(securityHeaders))
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return sendText(response, 405, 'Only GET and HEAD.\n')
    }
    if (path === '/config.json') return sendConfig(request, response)
    const target = moves[path]
    if (target) return lead(response, 308, target)
    // Programs ask at the same place for something else.
    if (path === endpoint) return lead(response.setHeader('vary', 'accept'), 303, '/graphiql')
    const file = fileOf(path)
    if (file) {
      if (file === 'graphiql.html') response.setHeader('content-security-policy', graphiqlPolicy)
      if (await sendFile(join(directory, file), 'no-cache', request, response)) return
      return sendText(response, 503, 'The page is not built yet. Run: npm run build --workspace web\n')
    }
    if (assetPath.test(path) && (await sendFile(join(directory, path), forever, request, response))) return
    sendText(response, 404, 'Not found.\n')
  }

  async function sendConfig(request: IncomingMessage, response: ServerResponse) {
    // A site that points its own name at this machine is same-origin with it, but its name shows in the host.
    const config = {
      endpoint,
      token: isLoopback(URL.parse(`http://${request.headers.host}`)?.hostname ?? '') ? await token() : null,
    }
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    })
    response.end(JSON.stringify(config))
  }
}

/** All that a page may load is its own; what is listed comes on top of scripts and connections. */
function contentPolicy(directives: string) {
  return (
    `default-src 'none'; script-src 'self'; connect-src 'self'; ${directives}; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  )
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
    ? await openIfPresent(`${file}.gz`)
    : undefined
  const opened = gzipped ?? (await openIfPresent(file))
  if (!opened) return false
  response.writeHead(200, {
    'content-type': contentType,
    'content-length': (await opened.stat()).size,
    'cache-control': cacheControl,
    vary: 'accept-encoding',
    ...(gzipped && { 'content-encoding': 'gzip' }),
  })
  if (request.method === 'HEAD') {
    await opened.close()
    response.end()
  } else {
    // As fast as it is read, not all at once; who leaves is no fault, and the file is closed either way.
    await pipeline(opened.createReadStream(), response).catch(() => response.destroy())
  }
  return true
}

async function openIfPresent(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function lead(response: ServerResponse, status: 303 | 308, target: string) {
  response.setHeader('location', target)
  sendText(response, status, `Go to ${target}.\n`)
}

function sendText(response: ServerResponse, status: number, text: string) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}
