/**
 * `npm run bench`: the same work on Parley and on its peers, side by side in one run. Absolute numbers are those of the
 * machine; what counts are the ratios. The servers run on the first core, the load and the databases that the bench
 * starts on the second. docs/performance.md has the method.
 *
 *   npm run bench -- [http] [--only Q1,Q2,Q3,M1] [--connections 32]
 *   npm run bench -- growth [--sizes 1000,100000] [--only Q1,Q2]
 *   npm run bench -- isolation [--only 'sidebar by isolation']
 *   npm run bench -- neighbours [--only 'three times its capacity'] [--connections 32]
 *   npm run bench -- live [--only S1x200,S2x1000,…] [--window 3000]
 *   npm run bench -- sends [--connections 32]
 *   npm run bench -- all
 *
 * Each takes `--rounds 3 --seconds 5 --peers a,b --json file`. `http` needs DATABASE_URL with the data of
 * `npm run seed -- --sessions 100000 --messages 1000000`; the others make a database of their own, in the server of
 * DATABASE_URL or, without it, in one that they start.
 */

import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { benchHttp } from './http/bench.ts'
import { benchGrowth } from './http/growth.ts'
import { benchIsolation } from './isolation/bench.ts'
import { benchSidebar } from './isolation/sidebar.ts'
import { benchLive } from './live/bench.ts'
import { benchNeighbours } from './neighbours/bench.ts'
import { readOptions } from './options.ts'
import type { Row } from './report.ts'
import { benchSends } from './sends/bench.ts'

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
process.setMaxListeners(100)
const options = readOptions(process.argv.slice(2))
const rows: Row[] = []
const wants = (part: string) => options.part === part || options.part === 'all'
if (wants('http')) rows.push(...(await benchHttp(options)))
if (wants('growth')) rows.push(...(await benchGrowth(options)))
if (wants('isolation')) rows.push(...(await benchIsolation(options)), ...(await benchSidebar(options)))
if (wants('neighbours')) rows.push(...(await benchNeighbours(options)))
if (wants('sends')) rows.push(...(await benchSends(options)))
if (wants('live')) rows.push(...(await benchLive(options)))
if (options.json) {
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length }
  await writeFile(options.json, `${JSON.stringify({ at: new Date(), machine, options, rows }, null, 2)}\n`)
}
