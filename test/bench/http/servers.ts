import pg from 'pg'
import { createTokens } from '../../../src/auth/jwt.ts'
import { loadConfig } from '../../../src/config.ts'
import { freePort } from '../../support/free-port.ts'
import { loadHttp } from '../load-http.ts'
import type { Row } from '../report.ts'
import { type ServerProcess, startOptions, startServer } from '../server.ts'
import type { Request, Sample, Work } from './requests.ts'

export type Server = ServerProcess & { name: string; port: number }

/** Whom and what of a seeded database the requests ask for. */
export type Data = Sample & { url: string; tenant: { id: string; slug: string } }

/** Until the engine has compiled what is hot; the larger the server, the longer it takes. */
const warmSeconds = 5

export async function readData(url: string): Promise<Data> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const [tenant] = (
      await client.query<{ id: string; slug: string }>(
        'SELECT id, slug FROM tenants t ORDER BY (SELECT count(*) FROM users u WHERE u.tenant_id = t.id) DESC LIMIT 1',
      )
    ).rows
    if (!tenant) throw new Error('There is no tenant in the database; seed it first.')
    // The peers know nothing of sessions that others share.
    const users = await client.query<Sample['users'][number]>(
      `SELECT id, external_id AS "externalId" FROM users u WHERE tenant_id = $1 AND EXISTS
         (SELECT FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id) AND NOT EXISTS
         (SELECT FROM participants p WHERE p.tenant_id = u.tenant_id AND p.user_id = u.id) ORDER BY id LIMIT 200`,
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
    return { url, tenant, users: users.rows, sessions: sessions.rows }
  } finally {
    await client.end()
  }
}

/** Signs what Parley asks for, with the settings that its process has. */
export function createSign({ tenant }: Data): (subject: string) => string {
  const tokens = createTokens(loadConfig().auth)
  return (subject) => tokens.sign?.({ subject, tenant: tenant.slug, role: 'USER' }, { expiresIn: '1h' }) ?? ''
}

export async function startHttpServer(name: string, { url, tenant }: Data): Promise<Server> {
  const port = await freePort()
  const isParley = name === 'parley'
  const server = await startServer(isParley ? '../../src/main.ts' : `http/peers/${name}.ts`, {
    args: isParley ? ['start'] : [],
    env: {
      PORT: String(port),
      DATABASE_URL: url,
      BENCH_TENANT: tenant.id,
      LOG_LEVEL: 'error',
      // Counted all the same, as what it costs belongs to the measure.
      REQUESTS_PER_SECOND: '1000000',
      REQUESTS_BURST: '1000000',
      SENDS_PER_MINUTE: '60000000',
      SENDS_PER_MINUTE_PER_TENANT: '0',
      OLLAMA_BASE_URL: 'http://127.0.0.1:9',
      ...(isParley ? { NODE_OPTIONS: startOptions } : {}),
    },
  })
  return { ...server, name, port }
}

const pathOf = ({ name }: Server) => (name === 'sql' ? '/' : '/graphql')

/** One round of one server; of a round in which a request failed there is nothing but a note. */
export async function load(
  server: Server,
  requests: readonly Request[],
  { work, seconds, connections }: { work: Work; seconds: number; connections: number },
): Promise<Pick<Row, 'numbers' | 'note'>> {
  try {
    const { perSecond, p50, p99, cpuMicros } = await loadHttp({
      name: server.name,
      port: server.port,
      process: server,
      requests: requests.map((request) => ({ ...request, path: pathOf(server) })),
      connections,
      seconds,
      wanted: wantedOf(work),
    })
    return { numbers: { 'req/s': perSecond, 'p50 ms': p50, 'p99 ms': p99, 'server us': cpuMicros } }
  } catch (error) {
    return { numbers: {}, note: String(error) }
  }
}

const wantedOf = (work: Work) => (work === 'M1' ? '"seq"' : '"messageCount"')

export async function answerOf(server: Server, { body, headers }: Request): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${server.port}${pathOf(server)}`, {
    method: 'POST',
    body,
    headers,
  })
  return answer.text()
}

export const warmUp = (
  server: Server,
  requests: readonly Request[],
  options: { work: Work; seconds: number; connections: number },
) => load(server, requests, { ...options, seconds: Math.min(warmSeconds, 2 * options.seconds) })
