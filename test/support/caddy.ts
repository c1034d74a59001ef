import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEndOfFile } from './at-end.ts'
import { findProgram } from './programs.ts'

const program = findProgram('caddy', 'version')

/** For a file whose tests need it; see `Program.require`. */
export const requireCaddy = program.require

/** A Caddy of a test's own with these sites; it neither listens for commands nor fetches certificates. */
export async function startCaddy(sites: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-caddy-'))
  const file = join(folder, 'Caddyfile')
  await writeFile(file, `{\n\tadmin off\n\tauto_https off\n}\n${sites}`)
  const child = spawn('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], {
    env: { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const log: string[] = []
  child.stderr.on('data', (text) => log.push(String(text)))
  atEndOfFile(async () => {
    const exit = once(child, 'exit')
    if (child.exitCode === null && child.kill('SIGKILL')) await exit
    await rm(folder, { recursive: true })
  })
  while (!log.join('').includes('serving initial configuration')) {
    if (child.exitCode !== null) throw new Error(`caddy did not start:\n${log.join('')}`)
    await Promise.race([once(child.stderr, 'data'), once(child, 'exit')])
  }
}
