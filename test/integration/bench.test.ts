import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, onTestFinished, test } from 'vitest'
import { createDatabase } from '../support/app.ts'
import { query } from '../support/postgres.ts'

test('the bench measures the live side of Parley beside a raw socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const json = join(folder, 'rows.json')
  const options = ['--only', 'S1x4', '--peers', 'raw,parley', '--rounds', '1', '--seconds', '0.1']
  const env = { ...process.env, DATABASE_URL: inject('postgresUrl'), REDIS_URL: '' }
  await promisify(execFile)(
    process.execPath,
    ['test/bench/run.ts', 'live', '--window', '16', ...options, '--json', json],
    { env },
  )
  const { rows } = JSON.parse(await readFile(json, 'utf8')) as {
    rows: { peer: string; numbers: Record<string, number>; note?: string }[]
  }
  expect(rows.map(({ peer }) => peer)).toEqual(['raw', 'parley'])
  for (const { numbers, note } of rows) {
    // A note would be a fault: deliveries that were lost, or sockets.
    expect(note ?? 'saturated below half of raw').toBe('saturated below half of raw')
    expect(numbers['deliveries/s']).toBeGreaterThan(0)
  }
})

test('the bench asks as one tenant beside another one that asks for three times what there is', async () => {
  const json = join(await mkdtemp(join(tmpdir(), 'parley-bench-')), 'rows.json')
  onTestFinished(() => rm(dirname(json), { recursive: true }))
  const flood = 'three times its capacity'
  const options = ['--only', flood, '--connections', '2', '--rounds', '1', '--seconds', '0.5', '--json', json]
  const env = { ...process.env, DATABASE_URL: inject('postgresUrl') }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['test/bench/run.ts', 'neighbours', ...options],
    { env },
  )
  expect(stdout).toContain('to alone')
  const { rows } = JSON.parse(await readFile(json, 'utf8')) as {
    rows: { peer: string; numbers: Record<string, number> }[]
  }
  expect(rows.map(({ peer }) => peer)).toEqual(['alone', flood])
  for (const { numbers } of rows) expect(numbers['p99 ms']).toBeGreaterThan(0)
  expect(rows[1]?.numbers).toMatchObject({ failed: 0, 'flood req/s': expect.any(Number) })
}, 120_000)

test('the bench asks all servers for the same, and measures none that answers otherwise', async () => {
  const databaseUrl = await createDatabase()
  const run = (file: string, ...args: string[]) =>
    promisify(execFile)(process.execPath, [file, ...args], {
      env: { ...process.env, DATABASE_URL: databaseUrl, REDIS_URL: '' },
    })
  await run('src/main.ts', 'seed', '--sessions', '40', '--messages', '400', '--users', '2')
  const bench = (...args: string[]) =>
    run('test/bench/run.ts', '--connections', '2', '--rounds', '1', '--seconds', '0.1', ...args)
  expect((await bench('--only', 'Q3')).stdout).toMatch(/\nQ3\n.*'parley'.*'plain'.*'mercurius'.*'sql'/s)
  // A message that left the conversation: the peers know of no such thing, and show it.
  await query(databaseUrl, `UPDATE messages SET replaced_at = now() WHERE seq = 64`)
  await expect(bench('--only', 'Q2', '--peers', 'parley,sql')).rejects.toThrow(
    'Q2: sql and parley answer differently.',
  )
})
