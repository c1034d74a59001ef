import type { IncomingMessage, ServerResponse } from 'node:http'

export type Health = {
  /** Answers `/health` (the process lives) and `/ready` (it can serve); false for any other path. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  /** From now on not ready: the load balancer should send nobody here any more. */
  drain(): void
}

export function createHealth({ version, ping }: { version: string; ping: () => Promise<void> }): Health {
  let isDraining = false

  function send(response: ServerResponse, status: number, body: object) {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(`${JSON.stringify(body)}\n`)
  }

  return {
    handle({ url }, response) {
      if (url === '/health') send(response, 200, { status: 'ok', version })
      else if (url === '/ready' && isDraining) send(response, 503, { status: 'draining' })
      else if (url === '/ready')
        ping().then(
          () => send(response, 200, { status: 'ready' }),
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
