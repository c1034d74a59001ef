import { type BenchDatabases, openDatabases } from '../database.ts'
import type { Options } from '../options.ts'
import { type Columns, printCase, progress, type Row } from '../report.ts'
import { measureFanOut } from './fan-out.ts'
import { measureIdle } from './idle.ts'
import { createPeers, defaultPeers, type Peer, type Running } from './peers.ts'
import { measureResume } from './resume.ts'
import { measureSlowReader } from './slow-reader.ts'

/** Each case in a process of its own, since what one leaves behind would count for the next. */
type AloneCase = {
  peers: readonly string[]
  measure(peer: Peer, name: string, round: number, options: Options): Promise<Row>
  columns: Columns
}

const idle: AloneCase = {
  peers: defaultPeers,
  measure: measureIdle,
  columns: {
    numbers: { 'KiB/socket': 1 },
    ratioOf: 'KiB/socket',
    ratioTo: ['raw', 'plain'],
  },
}
const resume: AloneCase = {
  peers: ['raw', 'parley', 'parley-redis'],
  measure: measureResume,
  columns: { numbers: { 'all live ms': 0, 'statements/resume': 2, 'server us/resume': 0 } },
}
const slowReader: AloneCase = {
  peers: ['plain', 'parley', 'parley-redis'],
  measure: measureSlowReader,
  columns: {
    numbers: {
      'at/s': 0,
      'p99 ms': 1,
      'p99 ms with': 1,
      'grown MiB': 1,
      'grown MiB with': 1,
      'slow held s': 1,
    },
  },
}

const fanOutCases = ['S1x200', 'S1x1000', 'S2x1000']
const aloneCases: Record<string, AloneCase> = { I1: idle, R1: resume, W1: slowReader }
const defaultCases = [...fanOutCases, 'I1-S1x5000', 'I1-S2x5000', 'R1-S2x5000', 'W1-S1x1000']

const fanOutColumns: Columns = {
  numbers: {
    'deliveries/s': 0,
    'per frame': 1,
    'server us': 2,
    'server core': 2,
    'client core': 2,
    'at/s': 0,
    'server us at': 2,
    'p50 ms': 1,
    'p99 ms': 1,
  },
  ratioOf: 'deliveries/s',
  ratioTo: ['raw', 'socket.io', 'plain', 'parley'],
}

export async function benchLive(options: Options): Promise<Row[]> {
  const cases = options.only.length > 0 ? options.only : defaultCases
  const databases = await openDatabases()
  try {
    const rows = await measureFanOuts(
      cases.filter((name) => name.startsWith('S')),
      databases,
      options,
    )
    for (const name of cases.filter((each) => !each.startsWith('S')))
      rows.push(...(await measureAlone(name, databases, options)))
    return rows
  } finally {
    await databases.stop()
  }
}

function choosePeers(databases: BenchDatabases, { peers }: Options, usual: readonly string[]): Peer[] {
  const known = createPeers(databases)
  const isGiven = peers.length > 0
  const missing = peers.find((name) => !known.some((peer) => peer.name === name))
  if (missing)
    throw new Error(
      `There is no peer ${missing}; there are: ${known.map(({ name }) => name).join(', ')} (those with Redis need REDIS_URL).`,
    )
  return known.filter(({ name }) => (isGiven ? peers.includes(name) : usual.includes(name)))
}

/** All servers are up at once, and a round of a case goes over all of them, raw first. */
async function measureFanOuts(names: readonly string[], databases: BenchDatabases, options: Options) {
  const rows: Row[] = []
  if (names.length === 0) return rows
  const usual = [...defaultPeers, 'parley-redis', 'parley-two-nodes']
  const peers = choosePeers(databases, options, usual)
  const running = new Map<Peer, Running>()
  try {
    await Promise.all(peers.map(async (peer) => running.set(peer, await peer.start())))
    for (const name of names) {
      const own: Row[] = []
      for (let round = 0; round < options.rounds; round += 1) {
        let rawPerSecond: number | undefined
        for (const peer of peers) {
          const server = running.get(peer)
          const alive = server && !server.hasDied ? server : await peer.start()
          running.set(peer, alive)
          const { seconds, window } = options
          const row = await measured(name, peer, round, () =>
            measureFanOut(alive, { name, round, seconds, window, rawPerSecond }),
          )
          if (peer.name === 'raw') rawPerSecond = row.numbers['deliveries/s']
          own.push(row)
        }
      }
      printCase(name, own, fanOutColumns)
      rows.push(...own)
    }
    return rows
  } finally {
    for (const server of running.values()) await server.stop()
  }
}

async function measureAlone(name: string, databases: BenchDatabases, options: Options): Promise<Row[]> {
  const found = aloneCases[name.split('-', 1)[0] ?? '']
  if (!found) throw new Error(`There is no case ${name}; there are: ${defaultCases.join(', ')}.`)
  const rows: Row[] = []
  const peers = choosePeers(databases, options, found.peers)
  for (let round = 0; round < options.rounds; round += 1)
    for (const peer of peers)
      rows.push(await measured(name, peer, round, () => found.measure(peer, name, round, options)))
  printCase(name, rows, found.columns)
  return rows
}

/** A server that fails has a row that says so; the others are measured all the same. */
async function measured(name: string, peer: Peer, round: number, work: () => Promise<Row>): Promise<Row> {
  const row = await work().catch(
    (error): Row => ({ case: name, peer: peer.name, round, numbers: {}, note: String(error) }),
  )
  const numbers = Object.entries(row.numbers).map(([key, value]) => `${key} ${value.toFixed(1)}`)
  progress(
    `${name} ${peer.name} round ${round + 1}: ${numbers.join(', ')}${row.note ? ` (${row.note})` : ''}`,
  )
  return row
}
