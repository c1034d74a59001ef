import type { IncomingMessage } from 'node:http'

/**
 * Whose page a request comes from, as the browser says it, which no page can forge: this server's own, one that
 * `CORS_ORIGINS` lists, any other, or none, as programs and addresses typed by hand have it.
 */
export type OriginKind = 'own' | 'listed' | 'foreign' | 'none'

export function originKind({ headers }: IncomingMessage, corsOrigins: readonly string[]): OriginKind {
  const { origin, host } = headers
  if (origin !== undefined && corsOrigins.includes(origin)) return 'listed'
  // What the browser itself compared counts first. A plain GET of a foreign page names no origin, but this it does.
  const site = headers['sec-fetch-site']
  if (site === 'same-origin') return 'own'
  if (site === 'cross-site' || site === 'same-site') return 'foreign'
  if (origin === undefined) return 'none'
  return URL.parse(origin)?.host === host ? 'own' : 'foreign'
}

/**
 * The same where cookies count, which need TLS: a page of this host that came without it can be anybody's who is on the
 * way. From this machine nothing is on the way.
 */
export function cookieOriginKind(request: IncomingMessage, corsOrigins: readonly string[]): OriginKind {
  const kind = originKind(request, corsOrigins)
  const page = URL.parse(request.headers.origin ?? '')
  return kind === 'own' && page?.protocol === 'http:' && !isLoopback(page.hostname) ? 'foreign' : kind
}

/** Whether a name of a URL is that of the machine itself. */
export const isLoopback = (name: string): boolean =>
  name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(\.\d+){3}$/.test(name)

/** The same for any answer. */
export function corsHeaders({ headers: { origin } }: IncomingMessage, corsOrigins: readonly string[]) {
  if (origin === undefined || !corsOrigins.includes(origin)) return []
  return [
    ['access-control-allow-origin', origin],
    ['access-control-allow-credentials', 'true'],
    ['vary', 'Origin'],
  ] as const
}
