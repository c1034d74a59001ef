import { createBoundedBody } from './bounded-body.ts'
import { ProviderError, type ProviderErrorKind } from './provider.ts'

/** The way out to one provider: keeps its key in, and turns every failure into a `ProviderError`. */
export type Outbound = {
  /**
   * Follows no redirect, since that would carry the key elsewhere; throws unless the answer is a success. The body breaks
   * off with a `ProviderError` where it has no end.
   */
  readonly fetch: typeof fetch
  /** Has no `cause`: the vendors' errors hold headers, prompts and bodies, and would take them into the log. */
  toProviderError(error: unknown): ProviderError
}

const phrases: Record<ProviderErrorKind, string> = {
  unauthorized: 'refused the key that is configured for it',
  'rate-limited': 'is limiting our requests',
  overloaded: 'is overloaded or has a fault of its own',
  invalid: 'refused the request',
  connection: 'did not answer, or broke off its answer',
}

const errorBodyMaxBytes = 10_000
const detailMaxLength = 300

export function createOutbound(provider: string, key: string | undefined): Outbound {
  const fail = (
    kind: ProviderErrorKind,
    reason?: string,
    detail?: string,
    more?: { retryAfterMs?: number | undefined; isUnreached?: boolean },
  ) => {
    const shown = detail && !sharesPiece(detail, key) ? `: ${detail.slice(0, detailMaxLength)}` : '.'
    const message = `${provider} ${phrases[kind]}${reason ? ` (${reason})` : ''}${shown}`
    return new ProviderError(kind, message, more)
  }
  const bounded = ({ body, status, headers }: Response) => {
    const endless = () => new ProviderError('connection', `${provider} sent more than an answer can have.`)
    return new Response(body?.pipeThrough(createBoundedBody(endless)), { status, headers })
  }
  return {
    async fetch(url, init) {
      const response = await fetch(url, { ...init, redirect: 'manual' })
      if (response.ok) return bounded(response)
      const body = await readHead(response)
      const kind = isKeyRefused(body) ? 'unauthorized' : kindOfStatus(response.status)
      const detail = kind === 'invalid' ? messageIn(body) : undefined
      throw fail(kind, `HTTP ${response.status}`, detail, {
        retryAfterMs: retryAfterIn(response.headers),
      })
    },
    toProviderError(error) {
      const told = providerErrorIn(error)
      if (told) return told
      if (error instanceof Error) {
        const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 0
        const code = codeOf(error)
        return fail(kindOfStatus(status), code, undefined, {
          isUnreached: status === 0 && code !== undefined,
        })
      }
      const { type, code } = fieldsOf(error)
      const kind = kindOfName(`${type} ${code}`)
      return fail(kind, undefined, kind === 'invalid' ? messageIn(error) : undefined)
    },
  }
}

/** 2xx and 3xx are failures too where they come here: a stream that broke off, a redirect not followed. */
function kindOfStatus(status: number): ProviderErrorKind {
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 429) return 'rate-limited'
  if (status === 408 || status >= 500) return 'overloaded'
  return status >= 400 ? 'invalid' : 'connection'
}

/** Google says 400 to a key that it does not know. */
const isKeyRefused = (body: unknown): boolean => {
  const { details } = fieldsOf(fieldsOf(body).error)
  return Array.isArray(details) && details.some((detail) => fieldsOf(detail).reason === 'API_KEY_INVALID')
}

/** The header in seconds, as providers send it; its form as a date is left unread. */
function retryAfterIn(headers: Headers): number | undefined {
  const seconds = Number.parseFloat(headers.get('retry-after') ?? '')
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined
}

/** Errors within a stream come after HTTP 200; the names are those that the vendors give them. */
function kindOfName(name: string): ProviderErrorKind {
  if (/rate_limit|quota/.test(name)) return 'rate-limited'
  if (/authentication|permission|api_key/.test(name)) return 'unauthorized'
  if (/invalid|not_found|too_large|context_length/.test(name)) return 'invalid'
  return 'overloaded'
}

/** Whether the text repeats a part of the key: vendors show the beginning and the end of a key they refuse. */
function sharesPiece(text: string, key = ''): boolean {
  const length = Math.min(key.length, 6)
  if (length === 0) return false
  for (let at = 0; at + length <= key.length; at += 1)
    if (text.includes(key.slice(at, at + length))) return true
  return false
}

async function readHead(response: Response): Promise<unknown> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > errorBodyMaxBytes) break
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `{ error: { message } }`, `{ error: message }` and `{ message }` are all in use. */
function messageIn(body: unknown): string | undefined {
  const { error, message } = fieldsOf(body)
  const found = typeof error === 'string' ? error : (fieldsOf(error).message ?? message)
  return typeof found === 'string' ? found : undefined
}

/** The SDK wraps what breaks off a body. */
function providerErrorIn(error: unknown): ProviderError | undefined {
  if (error instanceof ProviderError) return error
  return error instanceof Error ? providerErrorIn(error.cause) : undefined
}

/** The network's own code, `ECONNREFUSED`, lies one or two causes deep. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.name === 'TimeoutError') return 'timeout'
  if ('code' in error && typeof error.code === 'string') return error.code
  return codeOf(error.cause)
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
