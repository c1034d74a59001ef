import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createTokens } from '../../src/auth/jwt.ts'
import { loadConfig } from '../../src/config.ts'
import { type Api, createApi } from './api.ts'
import { atEndOfFile } from './at-end.ts'
import { noRates } from './no-rates.ts'
import { openSocket, type Socket } from './socket.ts'

const root = join(import.meta.dirname, '../..')

/** One data folder and the server that runs on it: as people start it, with the embedded database, in its own process. */
export type ServerProcess = {
  /** Starts it, again or for the first time; resolves when it answers. */
  start(): Promise<void>
  /** Sends the signal and waits for the end; null where the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Sends the signal and waits for nothing. */
  tell(signal: NodeJS.Signals): void
  api(): Api
  address(): { url: string; token: string | null }
  /** A stock graphql-ws client. */
  socket(): Socket
}

export async function createServerProcess(env: Record<string, string> = {}): Promise<ServerProcess> {
  const dataDir = await realpath(await mkdtemp(join(tmpdir(), 'parley-server-')))
  // Run by root, PostgreSQL runs as another user, who must get in.
  await chmod(dataDir, 0o711)
  const settings = {
    NODE_ENV: 'test',
    DATA_DIR: dataDir,
    PORT: '0',
    LOG_LEVEL: 'fatal',
    OLLAMA_BASE_URL: 'http://127.0.0.1:9',
    ...noRates,
    ...env,
  }
  const token = createTokens(loadConfig(settings).auth).sign?.(
    { subject: 'alice', tenant: 'demo', role: 'USER' },
    { expiresIn: 3_600 },
  )
  const sockets: Socket[] = []
  let child: ChildProcess | undefined
  let url = ''

  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const exit = once(child, 'exit')
    child.kill(signal)
    const [code] = await exit
    return code as number | null
  }
  atEndOfFile(async () => {
    for (const socket of sockets) await socket.dispose()
    await end('SIGINT')
    await stopPostgres(dataDir)
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    async start() {
      child = spawn(process.execPath, [join(root, 'src/main.ts'), 'start'], {
        cwd: dataDir,
        env: { PATH: process.env.PATH, ...settings },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
      for await (const line of lines) {
        url = /Endpoint +(\S+)\/graphql/.exec(line)?.[1] ?? url
        // The last line of the welcome: it is printed once everything listens.
        if (line.includes('/graphql')) break
      }
      child.stdout?.resume()
    },
    end,
    tell: (signal) => void child?.kill(signal),
    api: () => createApi(url, token ?? null),
    address: () => ({ url, token: token ?? null }),
    socket() {
      const socket = openSocket(url, token ?? null)
      sockets.push(socket)
      return socket
    },
  }
}

/** A server that was killed leaves its PostgreSQL running. */
async function stopPostgres(dataDir: string): Promise<void> {
  const file = await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(file.split('\n')[0])
  if (pid > 0) process.kill(pid, 'SIGQUIT')
}
