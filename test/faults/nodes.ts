import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'

/** One server process of several on one database, at a port that it keeps through all its lives. */
export type Node = {
  readonly port: number
  /** Resolves when it answers. */
  start(): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves to the exit code. */
  terminate(): Promise<number | null>
  /** SIGSTOP: it holds its connections and does nothing. */
  freeze(): void
  thaw(): void
  /** When it was frozen so far, by `performance.now()`. */
  readonly freezes: readonly Freeze[]
  /** How it ended where nobody had asked it to. */
  readonly crashes: readonly string[]
  /** Bytes of memory that it holds. */
  memory(): Promise<number>
  /** Files and sockets that it has open. */
  handles(): Promise<number>
}

export type Freeze = { fromMs: number; toMs: number }

const startTimeoutMs = 120_000

/** `root` is where the sources are: the checkout, or a copy of it with a guard taken out. */
export async function createNode(root: string, env: Record<string, string>): Promise<Node> {
  const port = await freePort()
  let child: ChildProcess | undefined
  const freezes: Freeze[] = []
  const crashes: string[] = []
  let isToEnd = false
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null

  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (!child || !isRunning()) return child?.exitCode ?? null
    const exit = once(child, 'exit')
    isToEnd = true
    child.kill(signal)
    // A frozen process takes no other signal.
    child.kill('SIGCONT')
    const [code] = await exit
    return code as number | null
  }

  async function isAnswering() {
    const response = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(1_000),
    }).catch(() => null)
    return response?.ok === true
  }

  return {
    port,
    async start() {
      child = spawn(process.execPath, [join(root, 'src/main.ts'), 'start'], {
        env: { PATH: process.env.PATH, NODE_ENV: 'test', PORT: String(port), LOG_LEVEL: 'fatal', ...env },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      isToEnd = false
      child.once('exit', (code, signal) => {
        if (!isToEnd) crashes.push(`a node ended by itself with ${code ?? signal}`)
      })
      const startedAtMs = performance.now()
      while (!(await isAnswering())) {
        if (!isRunning()) throw new Error(`The server ended with ${child.exitCode} before it answered.`)
        if (performance.now() - startedAtMs > startTimeoutMs)
          throw new Error('The server did not answer in time.')
        await sleep(30)
      }
    },
    async kill() {
      await end('SIGKILL')
    },
    terminate: () => end('SIGTERM'),
    freeze() {
      freezes.push({ fromMs: performance.now(), toMs: Infinity })
      child?.kill('SIGSTOP')
    },
    thaw() {
      const last = freezes.at(-1)
      if (last) last.toMs = performance.now()
      child?.kill('SIGCONT')
    },
    freezes,
    crashes,
    async memory() {
      const status = await readFile(`/proc/${child?.pid}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
    },
    async handles() {
      return (await readdir(`/proc/${child?.pid}/fd`)).length
    },
  }
}
