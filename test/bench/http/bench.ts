import type { Options } from '../options.ts'
import { printCase, progress, type Row } from '../report.ts'
import { createAnswerCheck } from './answers.ts'
import { type Request, requestsOf, type Work } from './requests.ts'
import { answerOf, createSign, load, readData, type Server, startHttpServer, warmUp } from './servers.ts'

const works: readonly Work[] = ['Q1', 'Q2', 'Q3', 'M1']
const peers = ['parley', 'plain', 'mercurius', 'sql']

export async function benchHttp(options: Options): Promise<Row[]> {
  const databaseUrl = process.env.DATABASE_URL
  if (!databaseUrl)
    throw new Error('DATABASE_URL is not set; for the HTTP part it names the database with the seeded data.')
  const chosen = works.filter((work) => options.only.length === 0 || options.only.includes(work))
  const names = options.peers.length > 0 ? options.peers : peers
  const data = await readData(databaseUrl)
  const sign = createSign(data)
  const servers: Server[] = []
  try {
    for (const name of names) servers.push(await startHttpServer(name, data))
    const rows: Row[] = []
    for (const work of chosen) {
      const requests = (name: string) => requestsOf(name, work, data, sign)
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
    await warmUp(server, requests, { work, seconds, connections })
  }
  for (let round = 0; round < rounds; round += 1)
    for (const server of servers) {
      const measured = await load(server, requestsFor(server.name), { work, seconds, connections })
      rows.push({ case: work, peer: server.name, round, ...measured })
      const perSecond = Math.round(measured.numbers['req/s'] ?? 0)
      progress(`${work} ${server.name} round ${round + 1}: ${perSecond} req/s`)
    }
  return rows
}
