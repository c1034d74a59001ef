import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { query } from '../../support/postgres.ts'
import { openDatabases } from '../database.ts'
import type { Options } from '../options.ts'
import { printCase, progress, type Row } from '../report.ts'
import { requestsOf, type Work } from './requests.ts'
import { createSign, type Data, load, readData, type Server, startHttpServer, warmUp } from './servers.ts'

const works: readonly Work[] = ['Q1', 'Q2', 'Q3', 'M1']
const sessionsPerUser = 100
const messagesPerSession = 10

/**
 * What the reads of one user cost when its tenant grows: Parley over a tenant of each size, with as many sessions to a user
 * and as many messages to a session, round by round in turn.
 */
export async function benchGrowth(options: Options): Promise<Row[]> {
  const databases = await openDatabases()
  const servers: (Server & { data: Data })[] = []
  try {
    for (const sessions of options.sizes) {
      const url = await databases.create()
      await seed(url, sessions)
      const data = await readData(url)
      const server = await startHttpServer('parley', data)
      servers.push({ ...server, name: `${sessions.toLocaleString('en')} sessions`, data })
    }
    const rows: Row[] = []
    for (const work of works.filter((each) => options.only.length === 0 || options.only.includes(each))) {
      const own = await measure(work, servers, options)
      printCase(work, own, {
        numbers: { 'req/s': 0, 'p50 ms': 1, 'p99 ms': 1, 'server us': 0 },
        ratioOf: 'req/s',
        ratioTo: servers.slice(0, 1).map(({ name }) => name),
      })
      rows.push(...own)
    }
    return rows
  } finally {
    for (const server of servers) await server.stop()
    await databases.stop()
  }
}

async function measure(
  work: Work,
  servers: readonly (Server & { data: Data })[],
  { rounds, seconds, connections }: Options,
): Promise<Row[]> {
  const rows: Row[] = []
  const asked = servers.map((server) => ({
    server,
    requests: requestsOf('parley', work, server.data, createSign(server.data)),
  }))
  for (const { server, requests } of asked) await warmUp(server, requests, { work, seconds, connections })
  for (let round = 0; round < rounds; round += 1)
    for (const { server, requests } of asked) {
      const measured = await load(server, requests, { work, seconds, connections })
      rows.push({ case: work, peer: server.name, round, ...measured })
      const perSecond = Math.round(measured.numbers['req/s'] ?? 0)
      progress(`${work}, ${server.name}, round ${round + 1}: ${perSecond} req/s`)
    }
  return rows
}

/** A tenant of so many sessions, as autovacuum leaves it after a while. */
export async function seed(url: string, sessions: number): Promise<void> {
  const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
  const size = {
    sessions,
    messages: sessions * messagesPerSession,
    users: Math.max(1, Math.round(sessions / sessionsPerUser)),
  }
  const args = Object.entries(size).flatMap(([name, count]) => [`--${name}`, String(count)])
  progress(`a tenant of ${sessions.toLocaleString('en')} sessions is made`)
  await promisify(execFile)(process.execPath, [main, 'seed', ...args], {
    env: { ...process.env, DATABASE_URL: url },
  })
  await query(url, 'VACUUM ANALYZE sessions, messages')
}
