import type { IncomingMessage, ServerResponse } from 'node:http'

export type Health = {
  /** Answers `/health` (the process lives) and `/ready` (it can serve); false for any other path. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  /** From now on not ready: the load balancer should send nobody here any more. */
  drain(): void
}

type Options = { version: string; ping: () => Promise<void>; isBrokerReachable: () => boolean }

const pingEveryMs = 1_000

/** Without Redis a node still answers and stores; without the database it can do nothing. */
export function createHealth({ version, ping, isBrokerReachable }: Options): Health {
  let isDraining = false
  let asked: { atMs: number; answer: Promise<void> } | null = null

  /** One for all who ask within a second: anybody may, as often as they like. */
  function pingSometimes(): Promise<void> {
    const nowMs = performance.now()
    if (asked === null || nowMs - asked.atMs >= pingEveryMs) asked = { atMs: nowMs, answer: ping() }
    return asked.answer
  }

  function send(response: ServerResponse, status: number, body: object) {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(`${JSON.stringify(body)}\n`)
  }

  const readiness = () =>
    isBrokerReachable()
      ? { status: 'ready' }
      : { status: 'degraded', reason: 'Redis does not answer: live feeds wait' }

  return {
    handle({ url }, response) {
      if (url === '/health') send(response, 200, { status: 'ok', version })
      else if (url === '/ready' && isDraining) send(response, 503, { status: 'draining' })
      else if (url === '/ready')
        pingSometimes().then(
          () => send(response, 200, readiness()),
          () => send(response, 503, { status: 'the database does not answer' }),
        )
      else return false
      return true
    },
    drain() {
      isDraining = true
    },
  }
}
