import { once } from 'node:events'
import { PgBoss } from 'pg-boss'
import { afterAll, expect, inject, it, onTestFinished, vi } from 'vitest'
import { createJobs, type Jobs } from '../../src/jobs/queue.ts'
import { patience } from '../support/patience.ts'
import { query, startFreshPostgres, withParts } from '../support/postgres.ts'

const databases: string[] = []
afterAll(async () => {
  for (const name of databases) await query(inject('postgresUrl'), `DROP DATABASE ${name} WITH (FORCE)`)
})

async function newDatabase(): Promise<string> {
  const name = `parley_test_jobs_${process.pid}_${databases.length}`
  await query(inject('postgresUrl'), `CREATE DATABASE ${name}`)
  databases.push(name)
  return withParts(inject('postgresUrl'), { pathname: `/${name}` })
}

/** Stopped when the test is over. */
function node(url: string): Jobs {
  const jobs = createJobs({ url, log: { warn: () => {}, error: () => {} } })
  onTestFinished(() => jobs.stop())
  return jobs
}

const stored = (url: string) =>
  query<{ state: string; data: { mark: string } }>(
    url,
    `SELECT state::text, data FROM jobs.job WHERE name = 'test' ORDER BY created_on`,
  )

it('does a job within moments of its being sent', async () => {
  const jobs = node(await newDatabase())
  const done: string[] = []
  jobs.work<{ mark: string }>('test', async ({ mark }) => void done.push(mark))
  await jobs.send('test', { mark: 'first' })
  await vi.waitFor(() => expect(done).toEqual(['first']), patience)
  await jobs.send('test', { mark: 'woken' })
  // Unless it is woken it looks every five seconds.
  await vi.waitFor(() => expect(done).toEqual(['first', 'woken']), { timeout: 4_000, interval: 20 })
})

it('keeps one waiting and one working job of a key', async () => {
  const url = await newDatabase()
  const nodes = [node(url), node(url)]
  const begun = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const done: string[] = []
  let atOnce = 0
  let mostAtOnce = 0
  for (const jobs of nodes)
    jobs.work<{ mark: string }>('test', async ({ mark }) => {
      atOnce += 1
      mostAtOnce = Math.max(mostAtOnce, atOnce)
      begun.resolve()
      await release.promise
      atOnce -= 1
      done.push(mark)
    })
  const [one, other] = nodes as [Jobs, Jobs]
  await one.send('test', { mark: 'working' }, { singletonKey: 'key' })
  await begun.promise
  await other.send('test', { mark: 'waiting' }, { singletonKey: 'key' })
  await one.send('test', { mark: 'folded' }, { singletonKey: 'key' })
  release.resolve()
  await vi.waitFor(() => expect(done).toEqual(['working', 'waiting']), patience)
  expect(mostAtOnce).toBe(1)
  expect(await stored(url)).toHaveLength(2)
})

it('does the job of another group before what the greedy one has in line', async () => {
  const jobs = node(await newDatabase())
  const first = new AbortController()
  const begun: string[] = []
  jobs.work<{ mark: string }>('test', async ({ mark }, signal) => {
    begun.push(mark)
    const ends = begun.length === 1 ? AbortSignal.any([signal, first.signal]) : signal
    if (mark !== 'other') await once(ends, 'abort')
  })
  for (let count = 0; count < 10; count += 1) await jobs.send('test', { mark: 'greedy' }, { group: 'greedy' })
  await vi.waitFor(() => expect(begun.length).toBeGreaterThan(1), patience)
  await jobs.send('test', { mark: 'other' }, { group: 'modest' })
  // All four workers may have begun in one moment; the first that is done takes the other's job.
  first.abort()
  await vi.waitFor(() => expect(begun).toContain('other'), patience)
  expect(begun.indexOf('other')).toBeLessThanOrEqual(4)
})

it('begins first what has the fewest ahead', async () => {
  const jobs = node(await newDatabase())
  const release = Promise.withResolvers<void>()
  const begun: string[] = []
  jobs.work<{ mark: string }>('test', async ({ mark }) => {
    begun.push(mark)
    if (begun.length <= 4) await release.promise
  })
  // Two groups have all four places, and the next ones that become free, by the order in which they came.
  for (let ahead = 0; ahead < 10; ahead += 1)
    for (const group of ['one', 'two']) await jobs.send('test', { mark: group }, { group, ahead })
  await vi.waitFor(() => expect(begun.length).toBe(4), patience)
  await jobs.send('test', { mark: 'modest' }, { group: 'modest' })
  release.resolve()
  await vi.waitFor(() => expect(begun).toHaveLength(21), patience)
  expect(begun.indexOf('modest')).toBeLessThan(8)
})

it('counts what waits, is at work and failed', async () => {
  const url = await newDatabase()
  const jobs = node(url)
  const release = Promise.withResolvers<void>()
  jobs.work<{ mark: string }>('test', async ({ mark }) => {
    await release.promise
    if (mark === 'broken') throw new Error('It is broken.')
  })
  jobs.work('idle', async () => {})
  expect(await jobs.counts()).toBeNull()
  for (let count = 0; count < 5; count += 1) await jobs.send('test', { mark: 'whole' })
  await jobs.send('test', { mark: 'later' }, { startAfter: new Date(Date.now() + 3_600_000) })
  const none = { waiting: 0, active: 0, failed: 0 }
  const expectCounts = (test: object) =>
    vi.waitFor(
      async () => expect(await jobs.counts()).toEqual(new Map(Object.entries({ test, idle: none }))),
      patience,
    )
  await expectCounts({ waiting: 1, active: 4, failed: 0 })
  release.resolve()
  await expectCounts(none)

  await jobs.send('test', { mark: 'broken' })
  const broken = "name = 'test' AND data ->> 'mark' = 'broken'"
  await vi.waitFor(async () => {
    // It would wait for longer and longer.
    await query(url, `UPDATE jobs.job SET start_after = now() WHERE state = 'retry' AND ${broken}`)
    expect(await query(url, `SELECT state::text FROM jobs.job WHERE ${broken}`)).toEqual([
      { state: 'failed' },
    ])
  }, patience)
  // What it does about every minute.
  const boss = new PgBoss({
    connectionString: url,
    schema: 'jobs',
    supervise: false,
    schedule: false,
    monitorIntervalSeconds: 1,
  })
  await boss.start()
  await vi.waitFor(async () => {
    await boss.supervise('test')
    expect((await jobs.counts())?.get('test')).toEqual({ ...none, failed: 1 })
  }, patience)
  await boss.stop({ graceful: false })
})

it('gives jobs without a key to whoever is free, each once', async () => {
  const url = await newDatabase()
  const nodes = [node(url), node(url)] as [Jobs, Jobs]
  const done: string[] = []
  for (const jobs of nodes) jobs.work<{ mark: string }>('test', async ({ mark }) => void done.push(mark))
  const marks = Array.from({ length: 20 }, (_, index) => `job ${index}`)
  await Promise.all(marks.map((mark, index) => nodes[index % 2 === 0 ? 0 : 1].send('test', { mark })))
  await vi.waitFor(() => expect(done).toHaveLength(20), patience)
  expect([...done].sort()).toEqual([...marks].sort())
})

it('works off what waits already without a pause', async () => {
  const url = await newDatabase()
  const first = node(url)
  first.work('test', async () => {})
  await first.send('test', { mark: 'makes the queue' })
  await first.stop()
  const sender = node(url)
  for (let count = 0; count < 40; count += 1) await sender.send('test', { mark: 'waiting' })

  const worker = node(url)
  let done = 0
  worker.work('test', async () => {
    done += 1
  })
  worker.start()
  await vi.waitFor(() => expect(done).toBeGreaterThan(0), patience)
  // Less than the time between two looks.
  await vi.waitFor(() => expect(done).toBeGreaterThanOrEqual(40), { timeout: 4_000, interval: 50 })
})

it('waits for the time of a later job', async () => {
  const url = await newDatabase()
  const jobs = node(url)
  const done: string[] = []
  jobs.work<{ mark: string }>('test', async ({ mark }) => void done.push(mark))
  await jobs.send('test', { mark: 'later' }, { startAfter: new Date(Date.now() + 3_600_000) })
  await jobs.send('test', { mark: 'now' })
  await vi.waitFor(() => expect(done).toEqual(['now']), patience)
  expect((await stored(url)).find(({ data }) => data.mark === 'later')?.state).toBe('created')
})

it('aborts what is at work when it stops, and another node does it again', async () => {
  const url = await newDatabase()
  const first = node(url)
  const begun = Promise.withResolvers<AbortSignal>()
  let hasSettled = false
  first.work('test', async (_data, signal) => {
    begun.resolve(signal)
    await once(signal, 'abort')
    // What it still has to put in order.
    await query(url, 'SELECT pg_sleep(0.2)')
    hasSettled = true
    throw signal.reason
  })
  await first.send('test', { mark: 'cut' })
  const signal = await begun.promise
  const stoppedAt = performance.now()
  await first.stop()
  expect(performance.now() - stoppedAt).toBeLessThan(5_000)
  expect(signal.aborted).toBe(true)
  expect(hasSettled).toBe(true)
  expect((await stored(url)).map(({ state }) => state)).toEqual(['retry'])

  await query(url, `UPDATE jobs.job SET start_after = now() WHERE name = 'test'`)
  const second = node(url)
  const done = Promise.withResolvers<object>()
  second.work('test', async (data) => done.resolve(data))
  await second.send('test', { mark: 'wakes it' })
  expect(await done.promise).toEqual({ mark: 'cut' })
  await expect(first.send('test', {})).rejects.toThrow('has stopped')
})

it('survives a restart of the database', async () => {
  const server = await startFreshPostgres()
  onTestFinished(() => server.stop())
  const url = await server.createDatabase()
  const jobs = node(url)
  const done: string[] = []
  jobs.work<{ mark: string }>('test', async ({ mark }) => void done.push(mark))
  await jobs.send('test', { mark: 'before' })
  await vi.waitFor(() => expect(done).toEqual(['before']), patience)

  // What a restart does to every connection.
  await query(
    server.url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parley jobs'`,
  )
  // A statement on a connection that was just cut fails; the next one gets a new connection.
  await vi.waitFor(() => jobs.send('test', { mark: 'after' }, { singletonKey: 'after' }), patience)
  await vi.waitFor(() => expect(done).toEqual(['before', 'after']), patience)
})

it('begins by itself some moments after the start, and forgets a schedule that is no more', async () => {
  const url = await newDatabase()
  const schedules = () => query(url, 'SELECT name, cron FROM jobs.schedule')
  const first = node(url)
  first.work('test', async () => {})
  first.schedule('test', '23 * * * *')
  first.start()
  await vi.waitFor(
    async () => expect(await schedules()).toEqual([{ name: 'test', cron: '23 * * * *' }]),
    patience,
  )
  await first.stop()

  const second = node(url)
  second.work('test', async () => {})
  await second.send('test', {})
  expect(await schedules()).toEqual([])
})

it('is not woken by a start once it has stopped', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const jobs = createJobs({ url: 'postgres://127.0.0.1:9/none', log: { warn: () => {}, error: () => {} } })
  jobs.start()
  expect(vi.getTimerCount()).toBe(1)
  await jobs.stop()
  expect(vi.getTimerCount()).toBe(0)
})
