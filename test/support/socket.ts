import { createClient, type FormattedExecutionResult } from 'graphql-ws'
import { WebSocket } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: events are as free in shape as the subscriptions of the tests
type Event = any

/** What one subscription has received, and waiting for what is still to come. */
export type Watch = {
  readonly events: Event[]
  /** The first event, had already or yet to come, that fits; fails when the subscription ends before. */
  until(fits: (event: Event) => boolean): Promise<Event>
  /** Resolves when the subscription has ended. */
  readonly ended: Promise<void>
  stop(): void
}

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
  const events: Event[] = []
  const waiting = new Set<() => void>()
  let failure: unknown
  let isOver = false
  const wake = () => {
    for (const each of [...waiting]) each()
  }
  const stop = client.subscribe<Record<string, unknown>>(
    { query, ...(variables ? { variables } : {}) },
    {
      next({ data, errors }) {
        if (errors) failure = errors
        else events.push(Object.values(data ?? {})[0])
        wake()
      },
      error(error) {
        failure = error
        isOver = true
        wake()
      },
      complete() {
        isOver = true
        wake()
      },
    },
  )
  const changed = () =>
    new Promise<void>((resolve) => {
      const once = () => {
        waiting.delete(once)
        resolve()
      }
      waiting.add(once)
    })
  return {
    events,
    async until(fits) {
      for (let next = 0; ; next += 1) {
        while (next >= events.length) {
          if (failure !== undefined) throw new Error(`The subscription failed: ${JSON.stringify(failure)}`)
          if (isOver)
            throw new Error(`The subscription ended first; it had ${JSON.stringify(events).slice(0, 2_000)}`)
          await changed()
        }
        if (fits(events[next])) return events[next]
      }
    },
    ended: (async () => {
      while (!isOver) await changed()
    })(),
    stop,
  }
}
