import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startEmbeddedDatabase } from '../../src/db/embedded.ts'
import { patience } from '../support/patience.ts'
import {
  createFolder,
  end,
  isRunning,
  log,
  query,
  readPid,
  start,
  startChild,
} from './embedded-database.harness.ts'

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
    await vi.waitUntil(() => acknowledged.length > 50, patience)
    await end(child, 'SIGKILL')
    await closed

    const begun = performance.now()
    const { url, dataDir, stop } = await start(folder)
    expect(performance.now() - begun).toBeLessThan(10_000)
    expect(await readPid(dataDir)).toBe(pid)
    expect(url).toBe(answer.url)
    await expectAllKept(url, acknowledged)
    await stop()
    expect(await isRunning(pid)).toBe(false)
  })

  it('recovers what a killed PostgreSQL left, when Parley was killed with it', async () => {
    const folder = await createFolder()
    const { child, answer, acknowledged, closed } = await startChild(folder)
    await vi.waitUntil(() => acknowledged.length > 50, patience)
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
    await vi.waitUntil(() => messages.includes('the embedded PostgreSQL is back'), patience)
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
    const stranger = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid, gid } : {})
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
