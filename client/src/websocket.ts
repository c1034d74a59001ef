import { type Client, createClient } from 'graphql-ws/client'
import { abortable, createQueue } from './async.ts'
import type { Credentials } from './credentials.ts'
import { errorOf, type GraphqlError, ParleyError } from './errors.ts'
import type { Result, Transport } from './transport.ts'

const pingEveryMs = 10_000
const pongWithinMs = 5_000
const acknowledgedWithinMs = 10_000
/** On a page, a socket that nobody uses is kept for the next subscription. A program would not end for as long. */
const idleForMs = 'document' in globalThis ? 5_000 : 0

/** What a retry cannot mend: a protocol or a token that the server does not take. */
const fatalCloseCodes = [1002, 1003, 1007, 1009, 1010, 4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500]
const badToken = 4401
const expiredToken = 4403

/** Results that wait to be read; some hundred bytes each. A slow reader gets the others from where it is, later. */
const waitingAtMost = 1_000

type Options = { url: string; credentials: Credentials; webSocket: unknown }

/** Subscriptions over one shared socket that is opened for the first and closed after the last. */
export function createWebSocketTransport({ url, credentials, webSocket }: Options): Transport {
  /** That of the socket, and that of the next one. */
  let token: string | null = null
  let nextToken: string | null = null
  let isConnected = false
  const waiting = new Set<() => void>()

  const refusalOf = (error: ParleyError): ParleyError => {
    if (error.code !== 'UNAUTHENTICATED' || !credentials.refuse(token)) return error
    // The socket goes by the old token.
    client.terminate()
    return new ParleyError(error.code, error.message, { isTransient: true, cause: error })
  }

  /** What graphql-ws fails with: a close of the socket, an event of it, or the errors of one operation. */
  const failureOf = (error: unknown): Error => {
    if (error instanceof ParleyError) return error
    if (Array.isArray(error)) return refusalOf(errorOf(error as GraphqlError[]))
    if (!isClose(error)) return new ParleyError('NETWORK', `No connection to ${url}.`, { cause: error })
    const { code, reason } = error
    const message = `The connection was closed (${code}${reason && `: ${reason}`}).`
    if (code === badToken || code === expiredToken) {
      const isTransient = credentials.refuse(token)
      return new ParleyError('UNAUTHENTICATED', message, { isTransient, cause: error })
    }
    return new ParleyError('NETWORK', message, { isTransient: !fatalCloseCodes.includes(code), cause: error })
  }

  const client: Client = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams() {
      token = nextToken
      return token === null ? {} : { authorization: `Bearer ${token}` }
    },
    // It would send the old variables, and so the old cursor.
    retryAttempts: 0,
    keepAlive: pingEveryMs,
    connectionAckWaitTimeout: acknowledgedWithinMs,
    lazyCloseTimeout: idleForMs,
    webSocketImpl: webSocket,
    on: {
      connected() {
        isConnected = true
        credentials.accept(token)
        for (const tell of waiting) tell()
        waiting.clear()
      },
      closed() {
        isConnected = false
        clearTimeout(pong)
      },
      ping(isReceived) {
        if (!isReceived) pong = setTimeout(() => client.terminate(), pongWithinMs)
      },
      pong(isReceived) {
        if (isReceived) clearTimeout(pong)
      },
    },
  })
  let pong: ReturnType<typeof setTimeout> | undefined

  return {
    async *open(request, { signal, onOpen }) {
      // Before the socket is open: from then on the server waits 3 s for it.
      nextToken = await abortable(credentials.token(), signal)
      const { query, variables } = request
      const results = createQueue<Result>()
      const abort = () => results.fail(signal.reason)
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
      if (isConnected) onOpen()
      else waiting.add(onOpen)
      const unsubscribe = client.subscribe<Record<string, unknown>>(
        { query, variables: variables as Record<string, unknown> },
        {
          next(result) {
            results.push(result as Result)
            if (results.length < waitingAtMost) return
            results.fail(new ParleyError('SLOW_CONSUMER', `${waitingAtMost} results wait to be read.`))
            unsubscribe()
          },
          error: (error) => results.fail(failureOf(error)),
          complete: results.end,
        },
      )
      try {
        yield* results.values()
      } finally {
        unsubscribe()
        waiting.delete(onOpen)
        signal.removeEventListener('abort', abort)
      }
    },
    terminate: () => client.terminate(),
    close() {
      // It waits for a connection that is being made, which may come to nothing.
      Promise.resolve(client.dispose()).catch(() => {})
    },
  }
}

const isClose = (error: unknown): error is { code: number; reason: string } =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number'
