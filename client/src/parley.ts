import type { DocumentNode } from 'graphql'
import { createStream, type Stream, within } from './async.ts'
import { createCredentials, type TokenSource } from './credentials.ts'
import { ParleyError, type Payload, unwrap } from './errors.ts'
import { createFollow } from './follow.ts'
import {
  CompleteDocument,
  type CompleteInput,
  CreateSessionDocument,
  type CreateSessionInput,
  ExecuteTemplateDocument,
  type ExecuteTemplateInput,
  GetOrCreateSessionDocument,
  type GetOrCreateSessionInput,
} from './generated/graphql.ts'
import { createPost, dataOf, type Fetch } from './http.ts'
import {
  isRepeatable,
  type Mutation,
  type Operation,
  textOf,
  type WithVariables,
  withClientId,
} from './operations.ts'
import { createReply, type Reply } from './reply.ts'
import { withRetries } from './retry.ts'
import { createSessionHandle, type Session } from './session.ts'
import { createSseTransport } from './sse.ts'
import { createStatusBoard, type Status } from './status.ts'
import { createWebSocketTransport } from './websocket.ts'

export type ParleyOptions = {
  /** Address of the API, such as `https://chat.example.com/graphql`; in browsers it may be relative to the page. */
  url: string
  /**
   * The token, or a function that gives one: it is called again whenever the server refuses the last one. Null goes by the
   * cookie of the sign-in (`COOKIE_SIGN_IN`).
   */
  token: TokenSource
  /** How subscriptions come: `websocket` by default, or `sse` where no WebSockets get through. */
  transport?: 'websocket' | 'sse'
  /** Milliseconds that one try of a query or mutation may take, and after which none is begun; 30,000 by default. */
  timeoutMs?: number
  /** How often a query or a repeatable mutation is tried again; 5 by default. */
  retries?: number
  fetch?: Fetch
  /** A class in place of the global `WebSocket`. */
  webSocket?: unknown
}

export type RequestOptions = {
  /** Ends it; what is thrown then is the reason of the signal. */
  signal?: AbortSignal | undefined
  /** Over that of the client. */
  timeoutMs?: number | undefined
  /** For a mutation that can be sent twice without harm though it has no `clientId`. */
  isRepeatable?: boolean | undefined
  /** In place of that of the client, such as one that tells how far an upload is. */
  fetch?: Fetch | undefined
}

type Signal = Pick<RequestOptions, 'signal'>
/** A handle on the reply is there at once. */
type WithoutWait<Input> = Omit<Input, 'wait'>

/** A connection to one server as one user. */
export type Parley = AsyncDisposable & {
  /** Carries out a query or mutation and gives its data; throws a `ParleyError`. */
  request<Data, Variables>(
    operation: Operation<Data, Variables>,
    ...args: WithVariables<Variables, [options?: RequestOptions]>
  ): Promise<Data>
  /** Carries out a mutation and gives its payload; its error object is thrown as a `ParleyError`, too. */
  mutate<Data extends object, Input>(
    mutation: Mutation<Data, Input>,
    input: Input,
    options?: RequestOptions,
  ): Promise<Payload<Data[keyof Data]>>
  /**
   * The results of a subscription. After a cut it is opened again with the same variables, or with what the function gives
   * then.
   */
  subscribe<Data, Variables>(
    operation: Operation<Data, Variables>,
    variables?: Variables | (() => Variables),
    options?: { signal?: AbortSignal | undefined },
  ): Stream<Data>
  /** A session that exists; nothing is asked of the server yet. */
  session(id: string): Session
  /** Makes a session. It is tried again when the network fails, with one `clientId`, so that there is one session. */
  createSession(input?: CreateSessionInput, options?: RequestOptions): Promise<Session>
  /** The session of the user under this key, made where there is none. */
  getOrCreateSession(input: GetOrCreateSessionInput, options?: RequestOptions): Promise<Session>
  /** Has a conversation answered that comes whole with the call; nothing is kept as a session. */
  complete(input: WithoutWait<CompleteInput>, options?: Signal): Reply
  /** The same with what a template says, and values for its variables. */
  executeTemplate(input: WithoutWait<ExecuteTemplateInput>, options?: Signal): Reply
  /** How the live operations do. */
  status(): Status
  /** Calls back whenever that changes; gives the function that ends it. */
  onStatus(listener: (status: Status) => void): () => void
  /** Ends everything that is under way with the code CLOSED. */
  close(): void
}

/** The ways to ask the server. */
export type Requests = Pick<Parley, 'request' | 'mutate' | 'subscribe'>

export function createParley(options: ParleyOptions): Parley {
  const { transport: kind = 'websocket', timeoutMs = 30_000, retries = 5 } = options
  const url = new URL(options.url, globalThis.location?.href).href
  const credentials = createCredentials(options.token)
  const post = createPost({ url, credentials, fetch: options.fetch ?? globalThis.fetch })
  const transport =
    kind === 'sse'
      ? createSseTransport(post, credentials)
      : createWebSocketTransport({ url, credentials, webSocket: options.webSocket })
  const board = createStatusBoard()
  const follow = createFollow({ transport, status: board })
  const closing = new AbortController()
  const untilClosed = (signal?: AbortSignal) =>
    signal ? AbortSignal.any([signal, closing.signal]) : closing.signal

  const late = () => new ParleyError('TIMEOUT', `No answer from ${url} in time.`)
  const accept = 'application/graphql-response+json, application/json'

  async function carryOut<Data, Value>(
    operation: string | DocumentNode,
    variables: object | undefined,
    given: RequestOptions,
    read: (data: Data) => Value,
  ): Promise<Value> {
    const untilEnd = untilClosed(given.signal)
    untilEnd.throwIfAborted()
    const asked = { query: textOf(operation), variables }
    const attempt = async (signal: AbortSignal) =>
      read(await dataOf<Data>(await post(asked, accept, signal, given.fetch), signal))
    const withinMs = given.timeoutMs ?? timeoutMs
    return withRetries(() => within(withinMs, late, untilEnd, attempt), {
      retries: (given.isRepeatable ?? isRepeatable(operation, variables)) ? retries : 0,
      withinMs,
      signal: untilEnd,
    })
  }

  const request: Parley['request'] = (operation, ...[variables, given = {}]) =>
    carryOut(operation, variables as object | undefined, given, (data: never) => data)

  const mutate: Parley['mutate'] = (mutation, input, given = {}) =>
    carryOut(mutation, { input }, given, (data: object) => unwrap(Object.values(data)[0]))

  const subscribe: Parley['subscribe'] = (operation, variables, { signal } = {}) => {
    const latest = typeof variables === 'function' ? (variables as () => unknown) : () => variables
    return createStream((ending) => follow(textOf(operation), latest, ending), untilClosed(signal))
  }

  const requests: Requests = { request, mutate, subscribe }
  const session = (id: string) => createSessionHandle(requests, id)

  return {
    ...requests,
    session,
    async createSession(given = {}, options) {
      const input = withClientId(given)
      return session((await mutate(CreateSessionDocument, input, options)).session.id)
    },
    async getOrCreateSession(input, options) {
      const repeatable = { isRepeatable: true, ...options }
      return session((await mutate(GetOrCreateSessionDocument, input, repeatable)).session.id)
    },
    complete(given, { signal } = {}) {
      const input = withClientId(given)
      return createReply({
        parley: requests,
        ask: (signal) => mutate(CompleteDocument, input, { signal }),
        signal,
      })
    },
    executeTemplate(given, { signal } = {}) {
      const input = withClientId(given)
      const ask = (signal: AbortSignal) => mutate(ExecuteTemplateDocument, input, { signal })
      return createReply({ parley: requests, ask, signal })
    },
    status: board.current,
    onStatus: board.onChange,
    close() {
      closing.abort(new ParleyError('CLOSED', 'The client was closed.'))
      transport.close()
    },
    async [Symbol.asyncDispose]() {
      this.close()
    },
  }
}
