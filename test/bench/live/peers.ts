import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { freePort } from '../../support/free-port.ts'
import { noRates } from '../../support/no-rates.ts'
import type { BenchDatabases } from '../database.ts'
import { type ServerProcess, startOptions, startServer } from '../server.ts'
import { type Control, openControl } from './control.ts'
import { type Dialect, dialects } from './dialects.ts'

/** A server, or servers that work together, ready to be measured. */
export type Running = {
  name: string
  dialect: Dialect
  /** Where the sockets go. */
  port: number
  /** Where it is said what to publish. */
  control: Control
  cpuSeconds(): number
  residentBytes(): number
  /** True where a process of it ended by itself. */
  readonly hasDied: boolean
  stop(): Promise<void>
}

export type Settings = Record<string, string>
export type Peer = { name: string; start(settings?: Settings): Promise<Running> }

/**
 * What differs from a deployment on defaults: one event per token, so that all servers do the same number of them;
 * fewer checkpoints, since a thousand replies a second are work of the database, which the load shares a core with;
 * and room for the readers and the runs of a whole city in one tenant. The environment overrules each.
 */
const parleySettings: Settings = {
  NODE_OPTIONS: startOptions,
  NODE_ENV: 'production',
  AUTO_CREATE_TENANTS: 'true',
  LOG_LEVEL: 'error',
  OLLAMA_BASE_URL: 'http://127.0.0.1:9',
  RUN_COALESCE_MS: '0',
  RUN_CHECKPOINT_MS: '10000',
  RUN_LEASE_MS: '600000',
  DATABASE_POOL_WAIT_MS: '30000',
  RUN_MAX_TEXT_BYTES: '1000000000',
  RUN_STALL_TIMEOUT_MS: '600000',
  RUN_FIRST_TOKEN_TIMEOUT_MS: '600000',
  RUNS_PER_USER: '1000',
  RUNS_PER_TENANT: '100000',
  CONNECTIONS_PER_USER: '10000',
  CONNECTIONS_PER_TENANT: '100000',
  CONNECTIONS_PER_NODE: '100000',
  TCP_CONNECTIONS_PER_ADDRESS: '0',
  ...noRates,
  MAX_SESSIONS_PER_AGENT: '1000000',
}

/** Set by the bench itself, so that they cannot come from outside. */
const kept = [
  'NODE_OPTIONS',
  'DATABASE_URL',
  'REDIS_URL',
  'REDIS_KEY_PREFIX',
  'PORT',
  'NODE_ENV',
  'JWT_SECRET',
]

export const defaultPeers = ['raw', 'socket.io', 'plain', 'parley']

/** All that can be named; those with Redis need REDIS_URL. */
export function createPeers(databases: BenchDatabases): Peer[] {
  const redisUrl = process.env.REDIS_URL
  const withRedis: Peer[] = redisUrl
    ? [
        {
          name: 'parley-redis',
          start: (given) => startParley(databases, 'parley-redis', { given, redisUrl }),
        },
        {
          name: 'parley-two-nodes',
          start: (given) => startParley(databases, 'parley-two-nodes', { given, redisUrl, nodes: 2 }),
        },
      ]
    : []
  return [
    { name: 'raw', start: () => startSimple('raw', 'raw', dialects.raw) },
    { name: 'socket.io', start: () => startSimple('socket.io', 'socket-io', dialects.socketIo) },
    { name: 'plain', start: () => startSimple('plain', 'plain', dialects.plain) },
    { name: 'parley', start: (given) => startParley(databases, 'parley', { given }) },
    ...withRedis,
  ]
}

async function startSimple(name: string, file: string, dialect: Dialect): Promise<Running> {
  const { port, control, server } = await startNode(file, { NODE_NO_WARNINGS: '1' })
  return combine({ name, dialect, port, control, servers: [server] })
}

type ParleyOptions = { given?: Settings | undefined; redisUrl?: string; nodes?: number }

/** With several nodes, the sockets go to the last one and the runs are on the first. */
async function startParley(
  databases: BenchDatabases,
  name: string,
  options: ParleyOptions,
): Promise<Running> {
  const { given = {}, redisUrl = '', nodes = 1 } = options
  const fromOutside = Object.keys(parleySettings).filter((key) => process.env[key] && !kept.includes(key))
  const prefix = `parley-bench-${randomBytes(4).toString('hex')}:`
  const settings = {
    ...parleySettings,
    ...given,
    ...Object.fromEntries(fromOutside.map((key) => [key, process.env[key] ?? ''])),
    JWT_SECRET: randomBytes(32).toString('hex'),
    DATABASE_URL: given.DATABASE_URL ?? (await databases.create()),
    REDIS_URL: redisUrl,
    ...(redisUrl ? { REDIS_KEY_PREFIX: prefix } : {}),
  }
  const started = []
  for (let node = 0; node < nodes; node += 1) started.push(await startNode('parley', settings))
  const [first, last] = [started[0], started.at(-1)]
  if (!first || !last) throw new Error('No node was asked for.')
  for (const other of started.slice(1)) other.control.end()
  const servers = started.map(({ server }) => server)
  const { port } = last
  const running = combine({ name, dialect: dialects.parley, port, control: first.control, servers })
  if (!redisUrl) return running
  const { stop } = running
  // Added to what is there: a copy would freeze its getter.
  return Object.assign(running, { stop: () => stop().then(() => forget(redisUrl, prefix)) })
}

/** Nothing of a bench stays in a Redis that others use. */
async function forget(redisUrl: string, prefix: string): Promise<void> {
  const redis = new Redis(redisUrl)
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 }))
      if (keys.length > 0) await redis.unlink(keys)
  } finally {
    redis.disconnect()
  }
}

async function startNode(file: string, settings: Settings) {
  const [port, controlPort] = [await freePort(), await freePort()]
  const env = { ...settings, PORT: String(port), CONTROL_PORT: String(controlPort) }
  const server = await startServer(`live/peers/${file}.ts`, { env })
  return { port, server, control: await openControl(controlPort) }
}

type Parts = Pick<Running, 'name' | 'dialect' | 'port' | 'control'> & { servers: readonly ServerProcess[] }

function combine({ servers, ...rest }: Parts): Running {
  const sum = (numberOf: (server: ServerProcess) => number) =>
    servers.reduce((total, server) => total + numberOf(server), 0)
  return {
    ...rest,
    cpuSeconds: () => sum((server) => server.cpuSeconds()),
    residentBytes: () => sum((server) => server.residentBytes()),
    get hasDied() {
      return servers.some(({ hasDied }) => hasDied)
    },
    async stop() {
      rest.control.end()
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}
