/**
 * `npm run bench`: the same work on Parley and on its peers, side by side in one run. Absolute numbers are those of the
 * machine; what counts are the ratios. The servers run on the first core, the load on the second.
 *
 *   DATABASE_URL=postgres://… npm run bench -- [--work Q1,Q2,Q3,M1] [--rounds 3] [--seconds 5] [--peers a,b]
 *
 * The database must hold the data of `npm run seed -- --sessions 100000 --messages 1000000`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import pg from 'pg'
import { createTokens } from '../../src/auth/jwt.ts'
import { loadConfig } from '../../src/config.ts'
import { type Request, requestsOf, type Sample, type Work } from './requests.ts'

const { values: options } = parseArgs({
  options: {
    work: { type: 'string', default: 'Q1,Q2,Q3,M1' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    peers: { type: 'string', default: 'parley,plain,mercurius,sql' },
    connections: { type: 'string', default: '32' },
  },
})
const databaseUrl = process.env.DATABASE_URL
if (!databaseUrl) throw new Error('DATABASE_URL is not set; it names the database with the seeded data.')
const connections = Number(options.connections)
const works = options.work.split(',') as Work[]
const peers = options.peers.split(',')

type Server = { name: string; url: string; process: ChildProcess }

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
      'SELECT id, external_id AS "externalId" FROM users WHERE tenant_id = $1 ORDER BY id LIMIT 200',
      [tenant.id],
    )
    const sessions = await client.query<Sample['sessions'][number]>(
      `SELECT s.id, u.external_id AS "ownerExternalId" FROM sessions s
       JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
       WHERE s.tenant_id = $1 AND s.message_count >= 50 AND s.deleted_at IS NULL ORDER BY s.id LIMIT 200`,
      [tenant.id],
    )
    return { tenant, users: users.rows, sessions: sessions.rows }
  } finally {
    await client.end()
  }
}

async function startServer(name: string, port: number, tenantId: string): Promise<Server> {
  const file = name === 'parley' ? ['src/main.ts', 'start'] : [`test/bench/peers/${name}.ts`]
  const child = spawn('taskset', ['-c', '0', process.execPath, ...file], {
    env: {
      ...process.env,
      PORT: String(port),
      BENCH_TENANT: tenantId,
      LOG_LEVEL: 'error',
      OLLAMA_BASE_URL: 'http://127.0.0.1:9',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const chunk of child.stdout) if (/ready/.test(String(chunk))) break
  return { name, url: `http://127.0.0.1:${port}`, process: child }
}

type Load = { perSecond: number; p50: number; p99: number }

async function load(server: Server, requests: Request[], seconds: number): Promise<Load> {
  const path = server.name === 'sql' ? '/' : '/graphql'
  const result = await autocannon({
    url: server.url,
    connections,
    duration: seconds,
    requests: requests.map((request) => ({ ...request, method: 'POST', path })),
  })
  if (result.errors > 0 || result.non2xx > 0)
    throw new Error(`${server.name}: ${result.errors} errors, ${result.non2xx} answers that are not 2xx`)
  return { perSecond: result.requests.total / seconds, p50: result.latency.p50, p99: result.latency.p99 }
}

/** Every server must really answer before it is timed. */
async function checkAnswer(server: Server, { body, headers }: Request, work: Work): Promise<void> {
  const path = server.name === 'sql' ? '/' : '/graphql'
  const answer = await fetch(server.url + path, { method: 'POST', body, headers })
  const text = await answer.text()
  const wanted = work === 'M1' ? '"seq"' : '"messageCount"'
  if (!answer.ok || !text.includes(wanted) || text.includes('"errors"'))
    throw new Error(`${server.name} does not answer ${work}: ${text.slice(0, 500)}`)
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const sample = await readSample(databaseUrl)
const tokens = createTokens(loadConfig().auth)
const sign = (subject: string) =>
  tokens.sign?.({ subject, tenant: sample.tenant.slug, role: 'USER' }, { expiresIn: '1h' }) ?? ''
const servers: Server[] = []
try {
  for (const [index, name] of peers.entries())
    servers.push(await startServer(name, 14_100 + index, sample.tenant.id))
  for (const work of works) {
    const results = new Map(peers.map((name) => [name, [] as Load[]]))
    for (let round = -1; round < Number(options.rounds); round += 1)
      for (const server of servers) {
        const requests = requestsOf(server.name, work, sample, sign)
        if (round === -1 && requests[0]) await checkAnswer(server, requests[0], work)
        const measured = await load(server, requests, round === -1 ? 2 : Number(options.seconds))
        if (round >= 0) results.get(server.name)?.push(measured)
      }
    report(work, results)
  }
} finally {
  for (const server of servers) {
    server.process.kill('SIGTERM')
    if (server.process.exitCode === null) await once(server.process, 'exit')
  }
}

function report(work: Work, results: Map<string, Load[]>): void {
  const base = results.get('plain') ?? []
  const bound = results.get('sql') ?? []
  const ratio = (loads: Load[], to: Load[]) =>
    median(loads.map(({ perSecond }, round) => perSecond / (to[round]?.perSecond ?? Number.NaN))).toFixed(2)
  const rows = [...results].map(([name, loads]) => ({
    [work]: name,
    'req/s': Math.round(median(loads.map(({ perSecond }) => perSecond))),
    'p50 ms': median(loads.map(({ p50 }) => p50)),
    'p99 ms': median(loads.map(({ p99 }) => p99)),
    'to plain': ratio(loads, base),
    'to mercurius': ratio(loads, results.get('mercurius') ?? []),
    'to sql': ratio(loads, bound),
  }))
  process.stdout.write(`\n${work}\n`)
  console.table(rows)
}
