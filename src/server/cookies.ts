import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Tokens } from '../auth/jwt.ts'
import { ForbiddenError, invalid, UnauthenticatedError } from '../lib/errors.ts'
import type { Admission } from './admission.ts'
import { cookieOriginKind, corsHeaders } from './origins.ts'

/**
 * Sign-in by a cookie, for pages that should hold no token where scripts can read it: `POST /sign-in` takes a token in
 * the authorization header and gives it back as a cookie that no script sees, `POST /sign-out` ends both.
 *
 * A browser sends a cookie whoever's page asks. So a request that has nothing else to say who it is must come from a page
 * of this server or of `CORS_ORIGINS`, and carry a header that a foreign page can send only where that is allowed.
 */
export type CookieSignIn = {
  /** Answers sign-in and sign-out; false for any other path, with nothing sent. Fails with a `ParleyError`. */
  handle(request: IncomingMessage, response: ServerResponse): false | Promise<void>
  /** What the cookie says, as an authorization header would; throws a `ForbiddenError` where it must not count. */
  authorizationOf(request: IncomingMessage): string | null
  /** The cookie's token for a socket. It can carry no such header, but a browser always names the page that opens it. */
  tokenOfSocket(request: IncomingMessage): string
}

type Options = {
  admission: Pick<Admission, 'request' | 'addressOf'>
  corsOrigins: readonly string[]
  /** Proves the token; fails as any sign-in does. */
  signIn(token: string): Promise<{ expiresAt: Date }>
  holdsForMs: Tokens['holdsForMs']
  /** Refuses the token from now on, as far as it has an id. */
  signOut(token: string): Promise<void>
}

/** With this prefix browsers take it from this very host only, over TLS or from localhost, and for all of its paths. */
const cookieName = '__Host-parley'
const attributes = 'Path=/; HttpOnly; Secure; SameSite=Strict'
const csrfHeader = 'x-parley-csrf'
/** Browsers keep 4,096 bytes with name and attributes. */
const tokenMaxBytes = 3_900

export function createCookieSignIn(options: Options): CookieSignIn {
  const { admission, corsOrigins } = options

  function requireFairOrigin(request: IncomingMessage) {
    if (cookieOriginKind(request, corsOrigins) === 'foreign')
      throw new ForbiddenError('The request comes from a page of an origin that CORS_ORIGINS does not list.')
  }

  function authorizationOf(request: IncomingMessage): string | null {
    const token = tokenIn(request)
    if (token === '') return null
    requireFairOrigin(request)
    if (!request.headers[csrfHeader])
      throw new ForbiddenError(`A request that is signed in by a cookie needs the header ${csrfHeader}: 1.`)
    return `Bearer ${token}`
  }

  async function signIn(request: IncomingMessage): Promise<string> {
    // Nor may a foreign page sign somebody in as whom it likes.
    requireFairOrigin(request)
    const token = /^bearer\s+([\w.-]+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (!token) throw new UnauthenticatedError('Send the token to keep as "Authorization: Bearer <token>".')
    if (token.length > tokenMaxBytes)
      throw invalid(
        'authorization',
        `has a token of ${token.length} bytes; a cookie holds at most ${tokenMaxBytes}`,
      )
    const seconds = Math.floor(options.holdsForMs(await options.signIn(token)) / 1_000)
    return `${cookieName}=${token}; ${attributes}; Max-Age=${seconds}`
  }

  async function signOut(request: IncomingMessage): Promise<string> {
    const token = authorizationOf(request)?.slice('Bearer '.length)
    // One that is refused already has nothing left to end.
    if (token) await options.signOut(token).catch(unlessRefused)
    return `${cookieName}=; ${attributes}; Max-Age=0`
  }

  async function answer(
    cookieFor: (request: IncomingMessage) => Promise<string>,
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    for (const [name, value] of corsHeaders(request, corsOrigins)) response.setHeader(name, value)
    response.setHeader('cache-control', 'no-store')
    // The header is asked for by browsers before they let a listed page send it.
    if (request.method === 'OPTIONS')
      response
        .writeHead(204, {
          'access-control-allow-methods': 'POST',
          'access-control-allow-headers': `authorization, ${csrfHeader}`,
        })
        .end()
    else if (request.method !== 'POST') response.writeHead(405, { allow: 'POST, OPTIONS' }).end()
    else {
      // Whoever signs in is nobody known yet.
      admission.request(null, () => admission.addressOf(request))
      const cookie = await cookieFor(request)
      response.writeHead(204, { 'set-cookie': cookie }).end()
    }
  }

  return {
    authorizationOf,
    tokenOfSocket(request) {
      const kind = cookieOriginKind(request, corsOrigins)
      return kind === 'own' || kind === 'listed' ? tokenIn(request) : ''
    },
    handle(request, response) {
      const path = request.url?.split('?', 1)[0]
      if (path === '/sign-in') return answer(signIn, request, response)
      return path === '/sign-out' && answer(signOut, request, response)
    },
  }
}

/** Empty where there is none; what stands in the authorization header goes before it. */
function tokenIn({ headers }: IncomingMessage): string {
  if (headers.authorization !== undefined) return ''
  for (const part of headers.cookie?.split(';') ?? []) {
    const [name, value = ''] = part.trim().split('=', 2)
    if (name === cookieName) return value
  }
  return ''
}

function unlessRefused(error: unknown): void {
  if (!(error instanceof UnauthenticatedError)) throw error
}
