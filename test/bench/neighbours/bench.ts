import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import { createTokens } from '../../../src/auth/jwt.ts'
import { loadConfig } from '../../../src/config.ts'
import { freePort } from '../../support/free-port.ts'
import { openDatabases } from '../database.ts'
import type { Options } from '../options.ts'
import { printCase, progress, type Row } from '../report.ts'
import { startOptions, startServer } from '../server.ts'

const caseName = 'a tenant beside a flood'
/** One request of the quiet tenant each so many milliseconds, whatever becomes of those before it. */
const askEveryMs = 20
const query = '{ sessions(first: 10) { nodes { title agent { name } } pageInfo { hasNextPage } } }'

/** Of which tenant's users a flood comes, and how many times `--connections` ask without a pause. */
type Flood = { users: number; times: number }

/** Who floods: nobody, one user far beyond its limits, or so many users that each keeps to its own. */
const floods: Record<string, Flood | null> = {
  alone: null,
  'one user beyond its limit': { users: 1, times: 1 },
  // As much as the server can do.
  'users within their limits': { users: 400, times: 1 },
  'three times its capacity': { users: 1_200, times: 3 },
}

/**
 * What a tenant notices of another one that asks for as much as the server can do and more, with the limits as they are by
 * default: time to the answer of a list, round by round with and without the flood.
 */
export async function benchNeighbours({ rounds, seconds, connections, only }: Options): Promise<Row[]> {
  const asked = Object.entries(floods).filter(([peer, how]) => !how || !only.length || only.includes(peer))
  const databases = await openDatabases()
  const port = await freePort()
  const env = {
    ...{
      PORT: String(port),
      DATABASE_URL: await databases.create(),
      LOG_LEVEL: 'error',
      NODE_OPTIONS: startOptions,
    },
    // All callers come from one address here.
    NEW_CONNECTIONS_BURST: '1000',
  }
  const server = await startServer('../../src/main.ts', {
    args: ['start'],
    env: { ...env, OLLAMA_BASE_URL: 'http://127.0.0.1:9', JWT_SECRET: secret },
  })
  const url = `http://127.0.0.1:${port}/graphql`
  try {
    const rows: Row[] = []
    for (let round = -1; round < rounds; round += 1)
      for (const [peer, how] of asked) {
        const flooding = how && flood(url, how, { seconds, connections })
        // The flood is to stand when the first is asked.
        await sleep(200)
        const numbers = await askQuietly(url, seconds - 0.4)
        const done = await flooding
        const flooded: Record<string, number> = done
          ? { 'flood req/s': done.perSecond, 'of it refused': done.refused, failed: done.failed }
          : {}
        if (round >= 0) rows.push({ case: caseName, peer, round, numbers: { ...numbers, ...flooded } })
        progress(`${caseName}: ${peer}, round ${round + 1}: p99 ${numbers['p99 ms']?.toFixed(1)} ms`)
      }
    const numbers = { 'p50 ms': 1, 'p99 ms': 1, 'flood req/s': 0, 'of it refused': 2, failed: 0 }
    printCase(caseName, rows, { numbers, ratioOf: 'p99 ms', ratioTo: ['alone'] })
    return rows
  } finally {
    await server.stop()
    await databases.stop()
  }
}

const secret = 'a secret of the bench that is long enough'
const tokens = createTokens(loadConfig({ JWT_SECRET: secret }).auth)
const headersOf = (tenant: string, user: string) => ({
  'content-type': 'application/json',
  authorization: `Bearer ${tokens.sign?.({ subject: user, tenant, role: 'USER' }, { expiresIn: '1h' })}`,
})
const body = JSON.stringify({ query })

/** `refused` is the part of the requests that was; `failed` how many got no answer at all. */
async function flood(
  url: string,
  { users, times }: Flood,
  { seconds, connections }: Pick<Options, 'seconds' | 'connections'>,
): Promise<{ perSecond: number; refused: number; failed: number }> {
  const requests = Array.from({ length: users }, (_, index) => ({
    method: 'POST' as const,
    headers: headersOf('noisy', `user-${index}`),
    body,
  }))
  // In a thread of its own: what it does would else delay the one who measures, and count as the server's.
  const load = { url, connections: connections * times, duration: seconds, requests, workers: 1 }
  const { requests: sent, non2xx, errors, duration } = await autocannon(load)
  return { perSecond: sent.total / duration, refused: non2xx / sent.total, failed: errors }
}

async function askQuietly(url: string, seconds: number): Promise<Record<string, number>> {
  const times: number[] = []
  const asking: Promise<void>[] = []
  const endsAtMs = performance.now() + seconds * 1_000
  for (let count = 0; performance.now() < endsAtMs; count += 1) {
    const asked = ask(url, count, times)
    // It fails the bench at the end, which stops what it has started first.
    asked.catch(() => {})
    asking.push(asked)
    await sleep(askEveryMs)
  }
  await Promise.all(asking)
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { 'p50 ms': at(0.5), 'p99 ms': at(0.99) }
}

async function ask(url: string, count: number, times: number[]) {
  const askedMs = performance.now()
  // Ten users, each well within its limits.
  const response = await fetch(url, {
    method: 'POST',
    headers: headersOf('quiet', `user-${count % 10}`),
    body,
  })
  const text = await response.text()
  if (!text.includes('"nodes"')) throw new Error(`The quiet tenant was answered ${response.status}: ${text}`)
  times.push(performance.now() - askedMs)
}
