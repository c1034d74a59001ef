import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { cpus, platform } from 'node:os'
import { fileURLToPath } from 'node:url'

/** A server under test in a process of its own. */
export type ServerProcess = {
  readonly pid: number
  readonly hasDied: boolean
  /** Seconds of processor time that it has used, its threads included. */
  cpuSeconds(): number
  /** Resident memory in bytes. */
  residentBytes(): number
  stop(): Promise<void>
}

const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** What `npm start` gives Node, in `NODE_OPTIONS` for a process that is Parley. */
export const startOptions: string = scripts.start.match(/--max-semi-space-size=\d+/)[0]

const canPin = platform() === 'linux' && cpus().length > 1
const ticksPerSecond = 100
const startTimeoutMs = 60_000

/** Starts a file on the first core and resolves when it has printed `ready`. `file` is relative to this folder. */
export async function startServer(
  file: string,
  { env = {}, args = [] }: { env?: Record<string, string>; args?: readonly string[] } = {},
): Promise<ServerProcess> {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const command = [process.execPath, '--expose-gc', path, ...args]
  const [program = '', ...rest] = canPin ? ['taskset', '-c', '0', ...command] : command
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const kill = () => void child.kill('SIGKILL')
  // A bench that fails or is broken off must not leave servers behind.
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  await untilReady(child, file)
  return {
    pid: child.pid ?? 0,
    get hasDied() {
      return child.exitCode !== null || child.signalCode !== null
    },
    cpuSeconds: () => cpuSecondsOf(child.pid ?? 0),
    residentBytes: () => residentBytesOf(child.pid ?? 0),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
    },
  }
}

function untilReady(child: ChildProcess, file: string): Promise<void> {
  let isReady = false
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${file} was not ready within ${startTimeoutMs} ms.`))
    }, startTimeoutMs)
    child.stdout?.on('data', (chunk) => {
      // From then on it has only faults to tell.
      if (isReady) process.stderr.write(chunk)
      if (isReady || !/ready/.test(String(chunk))) return
      isReady = true
      clearTimeout(late)
      resolve()
    })
    child.once('exit', (code, signal) => {
      clearTimeout(late)
      reject(new Error(`${file} ended before it was ready (${code ?? signal}).`))
    })
  })
}

function cpuSecondsOf(pid: number): number {
  const fields = readProcess(pid, 'stat')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

const residentBytesOf = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readProcess(pid, 'status'))?.[1] ?? Number.NaN) * 1_024

/** Empty where the process has gone, or where the system has no such file: numbers are then not known. */
function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
