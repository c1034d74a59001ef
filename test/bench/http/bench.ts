import pg from 'pg'
import { createTokens } from '../../../src/auth/jwt.ts'
import { loadConfig } from '../../../src/config.ts'
import { loadHttp } from '../load-http.ts'
import type { Options } from '../options.ts'
import { printCase, progress, type Row } from '../report.ts'
import { freePort, type ServerProcess, startServer } from '../server.ts'
import { createAnswerCheck } from './answers.ts'
import { type Request, requestsOf, type Sample, type Work } from './requests.ts'

type Server = ServerProcess & { name: string; port: number }

const works: readonly Work[] = ['Q1', 'Q2', 'Q3', 'M1']
const peers = ['parley', 'plain', 'mercurius', 'sql']
/** Until the engine has compiled what is hot; the larger the server, the longer it takes. */
const warmSeconds = 5

export async function benchHttp(options: Options): Promise<Row[]> {
  const databaseUrl = process.env.DATABASE_URL
  if (!databaseUrl)
    throw new Error('DATABASE_URL is not set; for the HTTP part it names the database with the seeded data.')
  const chosen = works.filter((work) => options.only.length === 0 || options.only.includes(work))
  const names = options.peers.length > 0 ? options.peers : peers
  const sample = await readSample(databaseUrl)
  const tokens = createTokens(loadConfig().auth)
  const sign = (subject: string) =>
    tokens.sign?.({ subject, tenant: sample.tenant.slug, role: 'USER' }, { expiresIn: '1h' }) ?? ''
  const servers: Server[] = []
  try {
    for (const name of names) servers.push(await startHttpServer(name, sample.tenant.id))
    const rows: Row[] = []
    for (const work of chosen) {
      const requests = (name: string) => requestsOf(name, work, sample, sign)
      const own = await measureWork(work, servers, requests, options)
      printCase(work, own, {
        numbers: { 'req/s': 0, 'p50 ms': 1, 'p99 ms': 1, 'server us': 0 },
        ratioOf: 'req/s',
        ratioTo: ['plain', 'mercurius', 'sql'],
      })
      rows.push(...own)
    }
    return rows
  } finally {
    for (const server of servers) await server.stop()
  }
}

async function measureWork(
  work: Work,
  servers: readonly Server[],
  requestsFor: (name: string) => Request[],
  { rounds, seconds, connections }: Options,
): Promise<Row[]> {
  const rows: Row[] = []
  const checkAnswer = createAnswerCheck()
  for (const server of servers) {
    const requests = requestsFor(server.name)
    if (requests[0]) checkAnswer(server.name, work, await answerOf(server, requests[0]))
  }
  for (const server of servers) {
    const requests = requestsFor(server.name)
    await load(server, requests, { work, seconds: warmSeconds, connections })
  }
  for (let round = 0; round < rounds; round += 1)
    for (const server of servers) {
      const numbers = await load(server, requestsFor(server.name), { work, seconds, connections })
      rows.push({ case: work, peer: server.name, round, numbers })
      progress(`${work} ${server.name} round ${round + 1}: ${Math.round(numbers['req/s'] ?? 0)} req/s`)
    }
  return rows
}

async function readSample(url: string): Promise<Sample & { tenant: { id: string; slug: string } }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const [tenant] = (
      await client.query<{ id: string; slug: string }>(
        'SELECT id, slug FROM tenants t ORDER BY (SELECT count(*) FROM users u WHERE u.tenant_id = t.id) DESC LIMIT 1',
      )
    ).rows
    if (!tenant) throw new Error('There is no tenant in the database; seed it first.')
    const users = await client.query<Sample['users'][number]>(
      `SELECT id, external_id AS "externalId" FROM users u WHERE tenant_id = $1 AND EXISTS
         (SELECT FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id) ORDER BY id LIMIT 200`,
      [tenant.id],
    )
    const sessions = await client.query<Sample['sessions'][number]>(
      `SELECT s.id, u.external_id AS "ownerExternalId" FROM sessions s
       JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
       WHERE s.tenant_id = $1 AND s.message_count >= 50 AND s.deleted_at IS NULL ORDER BY s.id LIMIT 200`,
      [tenant.id],
    )
    if (sessions.rows.length === 0)
      throw new Error('The tenant has no session of 50 messages; seed more messages per session.')
    return { tenant, users: users.rows, sessions: sessions.rows }
  } finally {
    await client.end()
  }
}

async function startHttpServer(name: string, tenantId: string): Promise<Server> {
  const port = await freePort()
  const isParley = name === 'parley'
  const server = await startServer(isParley ? '../../src/main.ts' : `http/peers/${name}.ts`, {
    args: isParley ? ['start'] : [],
    env: {
      PORT: String(port),
      BENCH_TENANT: tenantId,
      LOG_LEVEL: 'error',
      // Counted all the same, as what it costs belongs to the measure.
      REQUESTS_PER_SECOND: '1000000',
      REQUESTS_BURST: '1000000',
      SENDS_PER_MINUTE: '60000000',
      OLLAMA_BASE_URL: 'http://127.0.0.1:9',
    },
  })
  return { ...server, name, port }
}

const pathOf = ({ name }: Server) => (name === 'sql' ? '/' : '/graphql')

async function load(
  server: Server,
  requests: readonly Request[],
  { work, seconds, connections }: { work: Work; seconds: number; connections: number },
): Promise<Record<string, number>> {
  const { perSecond, p50, p99, cpuMicros } = await loadHttp({
    name: server.name,
    port: server.port,
    process: server,
    requests: requests.map((request) => ({ ...request, path: pathOf(server) })),
    connections,
    seconds,
    wanted: wantedOf(work),
  })
  return { 'req/s': perSecond, 'p50 ms': p50, 'p99 ms': p99, 'server us': cpuMicros }
}

const wantedOf = (work: Work) => (work === 'M1' ? '"seq"' : '"messageCount"')

async function answerOf(server: Server, { body, headers }: Request): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${server.port}${pathOf(server)}`, {
    method: 'POST',
    body,
    headers,
  })
  return answer.text()
}
