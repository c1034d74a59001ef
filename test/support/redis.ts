import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'
import { atEndOfFile } from './at-end.ts'
import { freePort } from './free-port.ts'
import { findProgram } from './programs.ts'

/** A Redis of a test's own, which keeps nothing unless told to (`SAVE`); stopped when the file's tests are over. */
export type TestRedis = {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Sends commands as an operator would; not through the connections under test. */
  readonly admin: Redis
  /** Brings it back after `kill` or `freeze`, on the same port and with what it saved. */
  start(): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGSTOP: connections stand, nothing is answered. */
  freeze(): void
  thaw(): void
  /** Takes everything away: process, connection, files. */
  stop(): Promise<void>
}

const program = findProgram('redis-server', '--version')

/** For a file whose tests need it; see `Program.require`. */
export const requireRedis = program.require

export async function startRedis(options: { port?: number; args?: string[] } = {}): Promise<TestRedis> {
  if (!program.isInstalled) throw new Error(program.missing)
  const port = options.port ?? (await freePort())
  const folder = await mkdtemp(join(tmpdir(), 'parley-redis-'))
  const url = `redis://127.0.0.1:${port}`
  const admin = new Redis(url, { lazyConnect: true, disableClientInfo: true, connectionName: 'admin' })
  // It is cut whenever the server is killed.
  admin.on('error', () => {})
  let child = await startServer(port, folder, options.args)

  const isAlive = () => child.exitCode === null && child.signalCode === null
  const kill = async () => {
    if (!isAlive()) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  const redis: TestRedis = {
    url,
    port,
    admin,
    get pid() {
      return child.pid ?? 0
    },
    async start() {
      child.kill('SIGCONT')
      if (isAlive()) return
      child = await startServer(port, folder, options.args)
    },
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async stop() {
      admin.disconnect()
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
  atEndOfFile(() => redis.stop())
  return redis
}

async function startServer(port: number, folder: string, args: string[] = []): Promise<ChildProcess> {
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const child = spawn('redis-server', ['--port', String(port), ...settings, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line)
    if (line.includes('Ready to accept connections')) {
      child.stdout.resume()
      return child
    }
  }
  throw new Error(`redis-server did not start:\n${lines.join('\n')}`)
}
