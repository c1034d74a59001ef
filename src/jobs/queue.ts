import { randomUUID } from 'node:crypto'
import type { PgBoss } from 'pg-boss'
import { digestOf } from '../lib/digest.ts'

/**
 * Background work in the database that is there anyway: pg-boss in a schema of its own, `jobs`. Every node of an
 * installation takes part.
 *
 * Guarantees:
 * - A job that `send` resolved for is stored: it survives restarts of the node and of the database.
 * - It is done **at least once**. A handler that throws, or whose node died or stopped, is called again, three times
 *   at most, after ever longer pauses. So a handler must be safe to repeat.
 * - Of the jobs of one name and `singletonKey` at most one waits and at most one is at work, on all nodes together.
 * - Of the jobs of one name and `group` no third is begun while two are at work, on all nodes together, unless in the same
 *   moment: what one user has in line leaves places to the others.
 * - Of the jobs that wait, those with the fewest `ahead` are begun first: who has a few in line does not wait for who has
 *   thousands.
 * - A scheduled job is sent once per time of its schedule, however many nodes there are.
 */
export type Jobs = {
  /**
   * Says who does the jobs of this name; call it before `start`, once a name. `signal` aborts when the node stops:
   * the handler should then return or throw within moments, since `stop` waits for it.
   */
  work<Data extends object>(name: string, handler: JobHandler<Data>): void
  /** Sends a job of this name, without data, at these times (cron, UTC). Call it before `start`. */
  schedule(name: string, cron: string): void
  /** Stores a job; it is begun at once, or after `startAfter`. Where one of its key waits already, that one stands for both. */
  send(name: string, data: object, options?: SendOptions): Promise<void>
  /**
   * How many jobs of each name that is worked for there are, on all nodes together; null before work has begun. It costs
   * by what waits and is at work.
   */
  counts(): Promise<ReadonlyMap<string, JobCounts> | null>
  /** Begins to do jobs shortly after; a database that is away is tried again. Returns at once. */
  start(): void
  /** Aborts what is at work, which will be done again, and closes the connections. */
  stop(): Promise<void>
}

export type JobHandler<Data extends object> = (data: Data, signal: AbortSignal) => Promise<unknown>

export type SendOptions = {
  singletonKey?: string
  group?: string
  /** How many others its group has in line: 0 unless given. */
  ahead?: number
  startAfter?: Date
}

/**
 * `waiting` leaves out those whose time has yet to come. `failed`: given up after the last try, in the last week; counted
 * about every minute.
 */
export type JobCounts = { waiting: number; active: number; failed: number }

type Options = {
  /** Of the database, with a user who may make the schema `jobs` there. */
  url: string
  /** `transaction`: connections of it are handed on after each transaction, so that none can listen. */
  pooler?: 'none' | 'transaction'
  log: Record<'warn' | 'error', (fields: object, message: string) => void>
}

/** A server that has just begun has better to do, and one that ends soon never needs the tables. */
const startDelayMs = 3_000
const retryMs = 10_000

const queueOptions = {
  policy: 'stately',
  // Wakes the workers at once.
  notify: true,
  retryLimit: 3,
  retryDelay: 5,
  retryBackoff: true,
  expireInSeconds: 3_600,
  heartbeatSeconds: 60,
} as const

/** Jobs of one name that a node does at a time. */
const workersPerName = 4

const workOptions = {
  batchSize: 1,
  /** How soon a job is found all the same whose wake-up was lost. */
  notifyPollingIntervalSeconds: 5,
  /** How soon where nobody can be woken. */
  pollingIntervalSeconds: 1,
  groupConcurrency: workersPerName / 2,
}

// The condition is that of an index over jobs that have not ended.
const countJobs = `SELECT q.name, q.failed_count AS failed,
    count(*) FILTER (WHERE j.state < 'active' AND j.start_after <= now())::int AS waiting,
    count(*) FILTER (WHERE j.state = 'active')::int AS active
  FROM jobs.queue q LEFT JOIN jobs.job j ON j.name = q.name AND j.policy = 'stately' AND j.state <= 'active'
  WHERE q.name = ANY($1) GROUP BY q.name`

export function createJobs({ url, pooler = 'none', log }: Options): Jobs {
  const handlers = new Map<string, JobHandler<object>>()
  const schedules = new Map<string, string>()
  const working = new Set<Promise<unknown>>()
  let timer: NodeJS.Timeout | undefined
  let opening: Promise<PgBoss> | undefined
  let isStopped = false

  async function open(): Promise<PgBoss> {
    // Loaded here, so that no start of the server waits for it.
    const { PgBoss } = await import('pg-boss')
    const boss = new PgBoss({
      connectionString: url,
      schema: 'jobs',
      application_name: 'parley jobs',
      max: 2,
      useListenNotify: pooler === 'none',
    })
    boss.on('error', (error) => log.warn({ err: error }, 'background work met a fault of the database'))
    try {
      await boss.start()
      for (const [name, handler] of handlers) {
        await boss.createQueue(name, queueOptions)
        const cron = schedules.get(name)
        if (cron) await boss.schedule(name, cron, {}, { singletonKey: name })
        else await boss.unschedule(name)
        for (let count = 0; count < workersPerName; count += 1) await addWorker(boss, name, handler)
      }
      return boss
    } catch (error) {
      await boss.stop({ graceful: false })
      throw error
    }
  }

  async function addWorker(boss: PgBoss, name: string, handler: JobHandler<object>) {
    const workerId: string = await boss.work<object>(name, workOptions, async ([job]) => {
      // Looks again right after this one: what waits already wakes nobody any more.
      boss.notifyWorker(workerId)
      if (job) await carryOut(name, () => handler(job.data ?? {}, job.signal))
    })
  }

  async function carryOut(name: string, handle: () => Promise<unknown>): Promise<void> {
    const work = handle()
    working.add(work)
    try {
      await work
    } catch (error) {
      if (!isStopped) log.error({ err: error, job: name }, 'a job failed')
      throw error
    } finally {
      working.delete(work)
    }
  }

  function ready(): Promise<PgBoss> {
    if (isStopped) throw new Error('Background work has stopped.')
    opening ??= open().catch((error) => {
      opening = undefined
      throw error
    })
    return opening
  }

  function startAfter(delayMs: number) {
    timer = setTimeout(() => {
      ready().catch((error) => {
        log.warn({ err: error }, 'background work cannot begin: trying again')
        if (!isStopped) startAfter(retryMs)
      })
    }, delayMs)
  }

  return {
    work(name, handler) {
      handlers.set(name, handler as JobHandler<object>)
    },
    schedule(name, cron) {
      schedules.set(name, cron)
    },
    async send(name, data, { singletonKey = randomUUID(), group, ahead = 0, startAfter } = {}) {
      const boss = await ready()
      await boss.send(name, data, {
        singletonKey,
        priority: -ahead,
        // Jobs are kept for two weeks, and the groups of people must not outlive them.
        ...(group && { group: { id: digestOf(group) } }),
        ...(startAfter && { startAfter }),
      })
    },
    async counts() {
      if (!opening) return null
      const boss = await opening
      type Row = JobCounts & { name: string }
      const { rows }: { rows: Row[] } = await boss.getDb().executeSql(countJobs, [[...handlers.keys()]])
      return new Map(rows.map(({ name, waiting, active, failed }) => [name, { waiting, active, failed }]))
    },
    start: () => startAfter(startDelayMs),
    async stop() {
      isStopped = true
      clearTimeout(timer)
      const boss = await opening?.catch(() => undefined)
      await boss?.stop({ graceful: false })
      await Promise.allSettled(working)
    },
  }
}
