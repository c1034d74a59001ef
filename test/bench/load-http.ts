import autocannon from 'autocannon'
import type { ServerProcess } from './server.ts'

export type HttpRequest = { path: string; body: string; headers: Record<string, string> }

type Options = {
  name: string
  port: number
  process: Pick<ServerProcess, 'cpuSeconds'>
  requests: readonly HttpRequest[]
  connections: number
  seconds: number
  /** What every answer must hold. */
  wanted: string
}

export type HttpLoad = { requests: number; perSecond: number; p50: number; p99: number; cpuMicros: number }

/**
 * Sends the requests round and round, as fast as they are answered. Each connection has its own share of them, since
 * else all would ask for the same thing at the same time, and wait for the lock of one row.
 */
export async function loadHttp(options: Options): Promise<HttpLoad> {
  const { name, port, process, connections, seconds, wanted } = options
  const requests = options.requests.map((request) => ({ ...request, method: 'POST' as const }))
  let clients = 0
  const cpu = process.cpuSeconds()
  const result = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections,
    duration: seconds,
    requests,
    setupClient(client) {
      const share = requests.filter((_, index) => index % connections === clients % requests.length)
      clients += 1
      client.setRequests(share)
    },
    verifyBody: (body) => String(body).includes(wanted) && !String(body).includes('"errors"'),
  })
  const { errors, non2xx, mismatches } = result
  if (errors > 0 || non2xx > 0 || mismatches > 0)
    throw new Error(
      `${name}: ${errors} errors, ${non2xx} answers that are not 2xx, ${mismatches} without ${wanted}`,
    )
  const count = result.requests.total
  return {
    requests: count,
    perSecond: count / result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cpuMicros: ((process.cpuSeconds() - cpu) * 1e6) / count,
  }
}
