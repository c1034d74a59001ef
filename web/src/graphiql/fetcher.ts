import type { Fetcher, FetcherOpts, FetcherParams, Observable } from '@graphiql/toolkit'
import { getOperationAST, parse } from 'graphql'
import { createClient } from 'graphql-ws'

type Headers = NonNullable<FetcherOpts['headers']>
type Result = { data?: Record<string, unknown> | null }
type Observer = { next(result: Result): void; error(fault: unknown): void; complete(): void }

/** How the page talks to the server: POST for queries and mutations, a WebSocket for subscriptions. */
export type FetcherOptions = {
  endpoint: string
  /** Of whoever signed in; what the Headers tab says goes before it. */
  token: string | null
  /** Sent with the first introspection, which runs before there is a Headers tab to read. */
  initialHeaders: Headers
  /** An operation that the user started is about to be sent. */
  onStart: () => void
  /** Hears every result before GraphiQL shows it. */
  onResult: (result: Result) => void
}

export function createFetcher(options: FetcherOptions): Fetcher {
  const { endpoint, token, initialHeaders, onStart, onResult } = options
  const url = new URL(endpoint, location.href)
  return async (params, { headers } = {}) => {
    if (params.operationName === 'IntrospectionQuery')
      return post(url, params, withProof(headers ?? initialHeaders, token))
    onStart()
    const operation = chosenOperation(params)
    const request = { ...params, operationName: operation?.name?.value }
    const proven = withProof(headers ?? {}, token)
    if (operation?.operation === 'subscription') return subscribe(url, request, proven, onResult)
    const result = await post(url, request, proven)
    onResult(result)
    return result
  }
}

function withProof(headers: Headers, token: string | null): Headers {
  const isNamed = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
  return token === null || isNamed ? headers : { ...headers, authorization: `Bearer ${token}` }
}

/** Read from the text itself: what GraphiQL takes for the operation lags 100 ms behind a change of the tab. */
function chosenOperation({ query, operationName }: FetcherParams) {
  try {
    const document = parse(query)
    return getOperationAST(document, operationName) ?? getOperationAST(document)
  } catch {
    return null // The server says best what is wrong with the document.
  }
}

async function post(url: URL, params: FetcherParams, headers: Headers) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
      ...headers,
    },
    body: JSON.stringify(params),
  })
  if (response.headers.get('content-type')?.includes('json')) return response.json()
  throw plainError(`The server answered ${response.status} ${response.statusText} and no GraphQL result.`)
}

/**
 * One connection per subscription: a connection proves who asks only once, when it opens, so a changed
 * token needs a fresh one.
 */
function subscribe(url: URL, params: FetcherParams, headers: Headers, onResult: (result: Result) => void) {
  const socketUrl = new URL(url)
  socketUrl.protocol = url.protocol.replace('http', 'ws')
  return {
    subscribe(observer: Observer) {
      const client = createClient({ url: socketUrl.href, connectionParams: headers })
      const unsubscribe = client.subscribe(params, {
        next(result) {
          onResult(result)
          observer.next(result)
        },
        error: (fault) => observer.error(readable(fault)),
        complete: () => observer.complete(),
      })
      return { unsubscribe }
    },
  } as Observable<Result>
}

function readable(fault: unknown) {
  if (!(fault instanceof CloseEvent)) return fault
  return plainError(`The connection was closed: ${fault.code} ${fault.reason}`.trim())
}

/** GraphiQL prints an error with its stack; the lines of this page's own code say nothing to the user. */
function plainError(message: string) {
  const error = new Error(message)
  delete error.stack
  return error
}
