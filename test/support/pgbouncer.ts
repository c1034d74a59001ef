import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { atEndOfFile } from './at-end.ts'
import { freePort } from './free-port.ts'
import { withParts } from './postgres.ts'
import { findProgram } from './programs.ts'

const program = findProgram('pgbouncer', '--version')

/** For a file whose tests need it; see `Program.require`. */
export const requirePgBouncer = program.require

/**
 * A PgBouncer of a test's own that hands connections on after each transaction, before the server of this address; gives
 * the address through it. `poolSize`: connections to the server, which all clients share.
 */
export async function startPgBouncer(url: string, { poolSize }: { poolSize: number }): Promise<string> {
  if (!program.isInstalled) throw new Error(program.missing)
  const { hostname, port: serverPort, username, password } = new URL(url)
  const folder = await mkdtemp(join(tmpdir(), 'parley-pgbouncer-'))
  const port = await freePort()
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    // Nothing of a client's start is left to later ones by accident.
    server_reset_query: '',
  }
  const file = join(folder, 'pgbouncer.ini')
  const server = `host=${hostname} port=${serverPort} user=${username} password=${decodeURIComponent(password)}`
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  await writeFile(file, `[databases]\n* = ${server}\n[pgbouncer]\n${lines.join('\n')}\n`)
  await chmod(folder, 0o755)
  // It refuses to be root.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  const child = spawn('pgbouncer', [file], { ...user, stdio: ['ignore', 'inherit', 'pipe'] })
  atEndOfFile(async () => {
    const exit = once(child, 'exit')
    if (child.exitCode === null && child.kill('SIGKILL')) await exit
    await rm(folder, { recursive: true })
  })
  const log: string[] = []
  for await (const line of createInterface({ input: child.stderr })) {
    log.push(line)
    if (!line.includes('process up')) continue
    child.stderr.resume()
    return withParts(url, { port: String(port) })
  }
  throw new Error(`pgbouncer did not start:\n${log.join('\n')}`)
}
