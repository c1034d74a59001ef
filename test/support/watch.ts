import type { FormattedExecutionResult } from 'graphql-ws'

// biome-ignore lint/suspicious/noExplicitAny: events are as free in shape as the subscriptions of the tests
type Event = any

/** What one subscription has received, and waiting for what is still to come. */
export type Watch = {
  readonly events: Event[]
  /** The first event, had already or yet to come, that fits; fails when the subscription ends before. */
  until(fits: (event: Event) => boolean): Promise<Event>
  /** The event at this place; null where the subscription ends, or breaks off, before. */
  at(index: number): Promise<Event | null>
  /** Resolves when the subscription has ended. */
  readonly ended: Promise<void>
  /** What it broke off with. */
  readonly failure: unknown
  stop(): void
}

export type WatchFeeder = {
  watch: Watch
  /** One result; its event is the value of the one root field. */
  take(result: FormattedExecutionResult<Record<string, unknown>, unknown>): void
  fail(failure: unknown): void
  end(): void
}

/** The record of a subscription, whatever door it came in by. */
export function createWatch(stop: () => void): WatchFeeder {
  const events: Event[] = []
  const waiting = new Set<() => void>()
  let failure: unknown
  let isOver = false
  const wake = () => {
    for (const each of [...waiting]) each()
    waiting.clear()
  }
  const changed = () =>
    new Promise<void>((resolve) => {
      waiting.add(resolve)
    })
  const at = async (index: number) => {
    while (index >= events.length && failure === undefined && !isOver) await changed()
    return events[index] ?? null
  }
  return {
    watch: {
      events,
      at,
      async until(fits) {
        for (let next = 0; ; next += 1) {
          const event = await at(next)
          if (event === null) {
            if (failure !== undefined) throw new Error(`The subscription failed: ${JSON.stringify(failure)}`)
            throw new Error(`The subscription ended first; it had ${JSON.stringify(events).slice(0, 2_000)}`)
          }
          if (fits(event)) return event
        }
      },
      ended: (async () => {
        while (!isOver) await changed()
      })(),
      get failure() {
        return failure
      },
      stop,
    },
    take({ data, errors }) {
      if (errors) failure = errors
      else events.push(Object.values(data ?? {})[0])
      wake()
    },
    fail(reason) {
      failure = reason
      isOver = true
      wake()
    },
    end() {
      isOver = true
      wake()
    },
  }
}
