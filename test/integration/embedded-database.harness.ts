import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client } from 'pg'
import { onTestFinished } from 'vitest'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../../src/db/embedded.ts'

/** Of this repository. */
export const root = join(import.meta.dirname, '../..')
export const log = { info: () => {}, warn: () => {} }
type Answer = { url: string; dataDir: string; error?: string }

/** A folder that every user may enter, removed with what its `postgres` link leads to. */
export async function createFolder(mode = 0o711): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-embedded-')))
  await chmod(folder, mode)
  onTestFinished(async () => {
    const linked = await realpath(join(folder, 'postgres')).catch(() => folder)
    for (const path of [linked, folder]) await rm(path, { recursive: true, force: true })
  })
  return folder
}

export async function start(dataDir: string): Promise<EmbeddedDatabase> {
  const database = await startEmbeddedDatabase({ dataDir, log })
  onTestFinished(() => database.stop())
  return database
}

/** Another Parley; `acknowledged` grows while it lives. */
export async function startChild(
  dataDir: string,
  { home = root, ...options }: { home?: string; uid?: number; gid?: number; detached?: boolean } = {},
) {
  const child = spawn(
    process.execPath,
    [join(home, 'test/integration/embedded-database.child.ts'), dataDir],
    {
      ...options,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  onTestFinished(() => end(child, 'SIGKILL'))
  const acknowledged: number[] = []
  const lines = createInterface({ input: child.stdout })
  const first = once(lines, 'line')
  const closed = once(lines, 'close')
  const answer = JSON.parse((await first)[0]) as Answer
  // It may live to say that it lost its database.
  lines.on('line', (line) => {
    if (/^\d+$/.test(line)) acknowledged.push(Number(line))
  })
  return { child, answer, acknowledged, closed }
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

export async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows
  } finally {
    await client.end()
  }
}

export const readPid = async (directory: string) =>
  Number((await readFile(join(directory, 'data/postmaster.pid'), 'utf8')).split('\n')[0])

/** Zombies apart: whoever reaps them may take its time. */
export async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return status !== '' && !/State:\s+Z/.test(status)
}
