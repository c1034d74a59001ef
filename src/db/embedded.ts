import { execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { open, readFile, readlink, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { platform } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client, DatabaseError } from 'pg'
import {
  type Cluster,
  clusterOwner,
  EmbeddedDatabaseError,
  prepareCluster,
  programEnvironment,
} from './embedded-cluster.ts'

/**
 * The PostgreSQL that comes with Parley and starts by itself. It listens on 127.0.0.1 only, behind a random password
 * that is kept beside the data. It outlives a Parley that is killed: the next start takes it over, or recovers it.
 * One Parley per data folder: a lock that ends with its process keeps others out. Should PostgreSQL die while Parley
 * lives, it is started again at the same address.
 */
export type EmbeddedDatabase = {
  /** Of the database `parley`, as its superuser. */
  url: string
  /** Where the data really is: `<dataDir>/postgres`, or the folder that this links to. */
  dataDir: string
  /** Stops PostgreSQL: open transactions are undone, connections end, everything committed is in its files. */
  stop(): Promise<void>
}

export type EmbeddedDatabaseOptions = {
  /** Made if it is missing. */
  dataDir: string
  log: Record<'info' | 'warn', (fields: object, message: string) => void>
}

type Server = { port: number; isAlive: () => boolean }

const run = promisify(execFile)
const host = '127.0.0.1'
const database = 'parley'
const lockKey = 1_886_548_588
const startTimeoutMs = 60_000
const retryMs = 20
const reviveRetryMs = 1_000
const stopTimeoutSeconds = 15

const settings = [
  `listen_addresses=${host}`,
  'unix_socket_directories=',
  'timezone=UTC',
  'log_timezone=UTC',
  // Short queries of one small machine: compiling or sharing them out costs more than it gains, and sharing needs
  // more of /dev/shm than a container has.
  'jit=off',
  'max_parallel_workers_per_gather=0',
  'max_wal_size=512MB',
  // The server's own life, and never a statement: those hold what people wrote.
  'log_min_messages=log',
  'log_min_error_statement=panic',
  'log_checkpoints=off',
]

/** What ends a start that the next attempt may well survive: a server that is just going, a port just taken. */
const passing = /lock file|shared memory block|TCP\/IP socket/

/** Resolves when the database takes connections; throws `EmbeddedDatabaseError`. */
export async function startEmbeddedDatabase(options: EmbeddedDatabaseOptions): Promise<EmbeddedDatabase> {
  const { dataDir, log } = options
  const cluster = await prepareCluster(dataDir)
  let reviving: Promise<void> | undefined
  let stopped: Promise<void> | undefined

  const hold = async (port?: number): Promise<Client> => {
    const client = await reachServer(cluster, port)
    try {
      await takeLock(client, cluster)
      await createDatabase(client)
    } catch (error) {
      await client.end()
      throw error
    }
    client.once('end', () => {
      if (!stopped) reviving = revive()
    })
    return client
  }

  const revive = async (): Promise<void> => {
    log.warn({}, 'the embedded PostgreSQL is gone: starting it again')
    while (!stopped) {
      try {
        lock = await hold(port)
        return log.info({}, 'the embedded PostgreSQL is back')
      } catch (error) {
        log.warn({ err: error }, 'the embedded PostgreSQL did not come back: trying again')
        await delay(reviveRetryMs)
      }
    }
  }

  let lock = await hold()
  const { port } = lock
  log.info({ directory: cluster.directory, port }, 'the embedded PostgreSQL is ready')

  const shutDown = async (): Promise<void> => {
    await reviving
    await stopServer(cluster)
    await lock.end()
  }
  return {
    url: `postgresql://${clusterOwner}:${cluster.password}@${host}:${port}/${database}`,
    dataDir: cluster.directory,
    stop: () => {
      stopped ??= shutDown()
      return stopped
    },
  }
}

/** Connects to the cluster's server: the one that runs, else one that it starts. */
async function reachServer(cluster: Cluster, port: number | undefined): Promise<Client> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    const running = await findRunning(cluster)
    const server = running ?? (await startServer(cluster, port ?? (await findFreePort())))
    const client = await connect(cluster, server, deadline)
    if (client) return client
    const fault = running ? undefined : await readFault(cluster)
    if (Date.now() > deadline || (fault && !passing.test(fault))) {
      throw new EmbeddedDatabaseError(
        `The embedded PostgreSQL does not start: ${fault ?? 'it takes no connections'}. ${cluster.directory}/server.log has the details.`,
      )
    }
    await delay(retryMs)
  }
}

/** The server that holds the cluster's data: left over from a Parley that was killed, or another Parley's. */
async function findRunning({ directory }: Cluster): Promise<Server | undefined> {
  const data = join(directory, 'data')
  const pidFile = join(data, 'postmaster.pid')
  const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')
  const [pid, port] = [Number(lines[0]), Number(lines[3])]
  if (!(pid > 0 && port > 0 && isProcessAlive(pid))) return undefined
  if (platform() === 'linux') {
    const workDirectory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    // After a restart of the machine or the container the number may be another process's. PostgreSQL would take
    // that one for itself and refuse to start.
    if (workDirectory !== undefined && workDirectory !== data) await rm(pidFile, { force: true })
    if (workDirectory !== data) return undefined
  }
  return { port, isAlive: () => isProcessAlive(pid) }
}

async function startServer({ directory, programs, account }: Cluster, port: number): Promise<Server> {
  const path = join(directory, 'server.log')
  await rm(path, { force: true })
  const output = await open(path, 'wx', 0o600)
  try {
    const data = ['-D', join(directory, 'data'), '-p', String(port)]
    const child = spawn(join(programs, 'postgres'), [...data, ...settings.flatMap((line) => ['-c', line])], {
      ...account,
      cwd: directory,
      // PostgreSQL ignores a stale lock file that names a forebear of its own: containers repeat process numbers.
      env: { ...programEnvironment, PG_GRANDPARENT_PID: String(process.ppid) },
      // Out of the terminal's process group: its Ctrl-C is Parley's to hear, which stops PostgreSQL last.
      detached: true,
      windowsHide: true,
      stdio: ['ignore', output.fd, output.fd],
    })
    await once(child, 'spawn')
    child.unref()
    return { port, isAlive: () => child.exitCode === null && child.signalCode === null }
  } finally {
    await output.close()
  }
}

/** Undefined when the server ends, or the time does, before it takes a connection. */
async function connect(cluster: Cluster, server: Server, deadline: number): Promise<Client | undefined> {
  while (server.isAlive() && Date.now() < deadline) {
    const client = new Client({
      host,
      port: server.port,
      user: clusterOwner,
      password: cluster.password,
      database: 'postgres',
      application_name: `${clusterOwner} ${process.pid}`,
    })
    // A connection that breaks emits `end`, too; unheard, this event would end the process.
    client.on('error', () => {})
    try {
      await client.connect()
      return client
    } catch (error) {
      if (error instanceof DatabaseError && error.code === '28P01') {
        throw new EmbeddedDatabaseError(
          `The PostgreSQL that runs on ${cluster.directory}/data does not know the password in ${cluster.directory}/password: put the right one there, or set DATA_DIR to another folder.`,
        )
      }
      await delay(retryMs)
    }
  }
  return undefined
}

/** Held by this session until its process ends, however it ends. */
async function takeLock(client: Client, { directory }: Cluster): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS taken', [lockKey])
    if (rows[0].taken) return
    const holders = await client.query<{ pid: number }>(
      `SELECT split_part(application_name, ' ', 2)::int AS pid
       FROM pg_locks JOIN pg_stat_activity USING (pid)
       WHERE locktype = 'advisory' AND objid = $1 AND granted AND datname = current_database()`,
      [lockKey],
    )
    const pid = holders.rows[0]?.pid
    // PostgreSQL needs a moment to notice that a killed holder is gone.
    if (pid !== undefined && (isProcessAlive(pid) || Date.now() > deadline)) {
      throw new EmbeddedDatabaseError(
        `The data folder ${directory} is in use by another Parley, process ${pid}: stop that one, or set DATA_DIR to another folder.`,
      )
    }
    await delay(retryMs)
  }
}

async function createDatabase(client: Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database])
  if (rowCount === 0) await client.query(`CREATE DATABASE ${database}`)
}

/** Fast means without waiting for clients; should even that hang, the next start recovers what is in the log. */
async function stopServer(cluster: Cluster): Promise<void> {
  const { directory, programs, account } = cluster
  for (const mode of ['fast', 'immediate']) {
    if (!(await findRunning(cluster))) return
    const target = ['stop', '-D', join(directory, 'data'), '-w', '-t', String(stopTimeoutSeconds), '-m', mode]
    await run(join(programs, 'pg_ctl'), target, {
      ...account,
      cwd: directory,
      env: programEnvironment,
    }).catch(() => {})
  }
}

async function readFault({ directory }: Cluster): Promise<string> {
  const output = await readFile(join(directory, 'server.log'), 'utf8').catch(() => '')
  const faults = output.matchAll(/(?:FATAL|PANIC): +(.*)/g)
  return [...faults].map(([, fault]) => fault).join('; ') || 'it ended without a word'
}

/** Below 32768, where no system takes the ports of outgoing connections from: between two starts it stays free. */
async function findFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_768)
    const probe = createServer().listen(port, host)
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    )
    probe.close()
    if (isFree) return port
  }
}

function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
