import { setTimeout as sleep } from 'node:timers/promises'
import { decodeId } from '../../../src/lib/ids.ts'
import { freePort } from '../../support/free-port.ts'
import { query } from '../../support/postgres.ts'
import { type BenchDatabases, openDatabases } from '../database.ts'
import type { Opened } from '../live/control.ts'
import { createPeers, type Running } from '../live/peers.ts'
import { type HttpRequest, loadHttp } from '../load-http.ts'
import type { Options } from '../options.ts'
import { printCase, progress, type Row } from '../report.ts'
import { startServer } from '../server.ts'

/** A server that takes sends: what to send, and how it tells of work that is still to do. */
type Server = Pick<Running, 'name' | 'port' | 'cpuSeconds' | 'stop'> & { requests: HttpRequest[] }
type LoadOptions = Pick<Options, 'seconds' | 'connections'>

const caseName = 'M1 with a run'
const sessions = 200
const warmSeconds = 2
const content = 'A message of an ordinary length, as people send them all day long. '.repeat(3)

const sendMessage = `mutation Send($sessionId: ID!, $content: String!) {
  sendMessage(input: { sessionId: $sessionId, content: $content, model: "bench:reply" }) {
    ... on SendMessagePayload {
      userMessage { id seq createdAt }
      assistantMessage { id seq status }
      run { id status }
    }
    ... on Error { code message }
  }
}`

/**
 * A message is stored with its empty reply and its run, a model answers at once, and the end is stored: all of
 * Parley's road to a provider, beside the same rows in statements written by hand.
 */
export async function benchSends(options: Options): Promise<Row[]> {
  const databases = await openDatabases()
  const servers: Server[] = []
  try {
    const url = await databases.create()
    const parley = await startParley(databases, url)
    servers.push(parley)
    servers.push(await startSql(url, parley.others))
    const rows: Row[] = []
    for (const server of servers)
      await load(server, url, { ...options, seconds: Math.min(warmSeconds, options.seconds) })
    for (let round = 0; round < options.rounds; round += 1)
      for (const server of servers) {
        const numbers = await load(server, url, options)
        rows.push({ case: caseName, peer: server.name, round, numbers })
        progress(
          `${caseName} ${server.name} round ${round + 1}: ${Math.round(numbers['sends/s'] ?? 0)} sends/s`,
        )
      }
    printCase(caseName, rows, {
      numbers: { 'sends/s': 0, 'p50 ms': 1, 'p99 ms': 1, 'server us': 0, 'runs/send': 2, 'ends late ms': 0 },
      ratioOf: 'sends/s',
      ratioTo: ['sql'],
    })
    return rows
  } finally {
    for (const server of servers) await server.stop()
    await databases.stop()
  }
}

/** `others` are sessions that Parley leaves alone: it would look for the changes that nobody told it of. */
async function startParley(
  databases: BenchDatabases,
  url: string,
): Promise<Server & { others: readonly string[] }> {
  const peer = createPeers(databases).find(({ name }) => name === 'parley')
  if (!peer) throw new Error('Parley is not among the peers.')
  const running = await peer.start({ DATABASE_URL: url })
  const opened = await running.control.ask<Opened>({
    do: 'open',
    streams: 2 * sessions,
    followers: 1,
    isIdle: true,
  })
  const others = opened.streams.slice(sessions).map(({ id }) => decodeId(id).uuid)
  const requests = opened.streams.slice(0, sessions).map(({ id, tokens }) => ({
    path: '/graphql',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[0]}` },
    body: JSON.stringify({ query: sendMessage, variables: { sessionId: id, content } }),
  }))
  return { ...running, requests, others }
}

async function startSql(url: string, ids: readonly string[]): Promise<Server> {
  const port = await freePort()
  const server = await startServer('sends/peers/sql.ts', {
    env: { PORT: String(port), DATABASE_URL: url },
  })
  const requests = ids.map((id) => ({
    path: '/',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sessionId: id, content }),
  }))
  return { ...server, name: 'sql', port, requests }
}

async function load(server: Server, url: string, options: LoadOptions): Promise<Record<string, number>> {
  const before = await countEnded(url)
  const { connections, seconds } = options
  const { requests, perSecond, p50, p99, cpuMicros } = await loadHttp({
    ...server,
    process: server,
    connections,
    seconds,
    wanted: '"seq"',
  })
  const stoppedMs = performance.now()
  await untilNoneRuns(url)
  return {
    'sends/s': perSecond,
    'p50 ms': p50,
    'p99 ms': p99,
    'server us': cpuMicros,
    'runs/send': ((await countEnded(url)) - before) / requests,
    'ends late ms': performance.now() - stoppedMs,
  }
}

async function countEnded(url: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    url,
    "SELECT count(*)::int AS count FROM runs WHERE status = 'COMPLETED'",
  )
  return row?.count ?? 0
}

/** A send is done when its run has ended: a server that only piles runs up would look quick. */
async function untilNoneRuns(url: string): Promise<void> {
  for (;;) {
    const open = await query(url, "SELECT FROM runs WHERE status IN ('QUEUED', 'RUNNING') LIMIT 1")
    if (open.length === 0) return
    await sleep(20)
  }
}
