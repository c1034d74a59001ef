import { createClient, type FormattedExecutionResult } from 'graphql-ws'
import { WebSocket } from 'ws'
import { createWatch, type Watch } from './watch.ts'

export type Socket = {
  /** Subscribes; events are the value of the one root field. */
  watch(query: string, variables?: Record<string, unknown>): Watch
  /** A query or mutation over the socket. */
  run(
    query: string,
    variables?: Record<string, unknown>,
  ): Promise<FormattedExecutionResult<Record<string, unknown>, unknown>>
  /** Cuts the connection without a word, as a failing network does. */
  cut(): void
  dispose(): Promise<void>
}

export function openSocket(url: string, token: string | null): Socket {
  const opened = new Set<WebSocket>()
  class TrackedWebSocket extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols)
      opened.add(this)
    }
  }
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: TrackedWebSocket,
    connectionParams: token ? { authorization: `Bearer ${token}` } : {},
    retryAttempts: 0,
  })
  return {
    watch: (query, variables) => startWatch(client, query, variables),
    run: (query, variables) =>
      new Promise((resolve, reject) => {
        let result: FormattedExecutionResult<Record<string, unknown>, unknown>
        client.subscribe(
          { query, ...(variables ? { variables } : {}) },
          {
            next: (value) => {
              result = value
            },
            error: reject,
            complete: () => resolve(result),
          },
        )
      }),
    cut() {
      for (const socket of opened) socket.terminate()
    },
    dispose: async () => client.dispose(),
  }
}

function startWatch(
  client: ReturnType<typeof createClient>,
  query: string,
  variables?: Record<string, unknown>,
): Watch {
  const { watch, take, fail, end } = createWatch(() => stop())
  const stop = client.subscribe<Record<string, unknown>>(
    { query, ...(variables ? { variables } : {}) },
    { next: take, error: fail, complete: end },
  )
  return watch
}
