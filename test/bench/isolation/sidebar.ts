import { openDatabases } from '../database.ts'
import { seed } from '../http/growth.ts'
import { requestsOf } from '../http/requests.ts'
import { createSign, load, readData, startHttpServer, warmUp } from '../http/servers.ts'
import type { Options } from '../options.ts'
import { printCase, progress, type Row } from '../report.ts'
import { setRowLevelSecurity } from './row-level-security.ts'

const caseName = 'sidebar by isolation'
const sessions = 20_000
const work = 'Q1'

/**
 * What row-level security costs the list of a sidebar as people ask for it, over HTTP: the same server and rows with the
 * policies in force and without them, in turn, now the one first and now the other.
 */
export async function benchSidebar({ only, rounds, seconds, connections }: Options): Promise<Row[]> {
  if (only.length > 0 && !only.includes(caseName)) return []
  const databases = await openDatabases()
  const url = await databases.create()
  await seed(url, sessions)
  const data = await readData(url)
  const requests = requestsOf('parley', work, data, createSign(data))
  const server = await startHttpServer('parley', data)
  try {
    const variants = [
      { peer: 'none', isOn: false },
      { peer: 'row-level security', isOn: true },
    ]
    await warmUp(server, requests, { work, seconds, connections })
    const rows: Row[] = []
    for (let round = 0; round < rounds; round += 1)
      for (const { peer, isOn } of round % 2 === 0 ? variants : variants.toReversed()) {
        await setRowLevelSecurity(url, isOn)
        // Every connection plans its statements anew.
        await load(server, requests, { work, seconds: 1, connections })
        const measured = await load(server, requests, { work, seconds, connections })
        rows.push({ case: caseName, peer, round, ...measured })
        progress(
          `${caseName} ${peer} round ${round + 1}: ${Math.round(measured.numbers['req/s'] ?? 0)} req/s`,
        )
      }
    printCase(caseName, rows, {
      numbers: { 'req/s': 0, 'p50 ms': 1, 'p99 ms': 1, 'server us': 0 },
      ratioOf: 'req/s',
      ratioTo: ['none'],
    })
    return rows
  } finally {
    await server.stop()
    await databases.stop()
  }
}
