import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Meter } from '../lib/meter.ts'

/** What is read when somebody looks, rather than counted; each may fail, and then is left out. */
export type Readings = {
  /** Sockets and event streams, and the operations on them. */
  open(): { connections: number; subscriptions: number }
  /** Runs of all tenants, on all nodes, that have not ended, by their status. */
  openRuns(): Promise<Readonly<Record<string, number>>>
  /** Jobs on all nodes by their name; null before background work has begun. */
  jobs(): Promise<ReadonlyMap<string, Readonly<Record<'waiting' | 'active' | 'failed', number>>> | null>
  databaseConnections(): { open: number; inUse: number; waiting: number }
  isBrokerReachable(): boolean
}

export type Metrics = Meter & {
  /** What is to be read when somebody looks. */
  read(readings: Readings): void
  /** All of it in the text format of Prometheus. */
  text(): Promise<string>
  readonly contentType: string
}

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Metrics of one node. Every label has few values, all of them the program's own. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const histogram = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Histogram({ name, help, labelNames, buckets: seconds, registers: [registry] })

  const operations = counter('parley_operations_total', 'Operations that were run or refused.', [
    'kind',
    'outcome',
  ])
  const durations = histogram('parley_operation_duration_seconds', 'Time to the result of an operation.', [
    'kind',
  ])
  const responses = counter('parley_http_responses_total', 'Answers over HTTP.', ['status'])
  const closes = counter('parley_websocket_closes_total', 'WebSockets that were closed.', ['code'])
  const runs = counter('parley_runs_finished_total', 'Runs that this node ended.', ['status'])
  const firstTokens = histogram(
    'parley_run_first_token_seconds',
    'Time from the send of a message to the first word of its reply.',
    [],
  )
  // Words are counted by the ten thousand a second: their counter is told when somebody looks.
  const eventCounts = new Map<string, number>()
  new Counter({
    name: 'parley_feed_events_total',
    help: 'Events appended to the feeds of sessions.',
    labelNames: ['type'],
    registers: [registry],
    collect() {
      for (const [type, count] of eventCounts) this.inc({ type }, count)
      eventCounts.clear()
    },
  })

  return {
    operation(kind, outcome, duration) {
      operations.inc({ kind, outcome })
      durations.observe({ kind }, duration)
    },
    httpResponse: (status) => responses.inc({ status }),
    socketClosed: (code) => closes.inc({ code: knownCode(code) }),
    runFinished({ status, secondsToFirstToken }) {
      runs.inc({ status })
      if (secondsToFirstToken !== null) firstTokens.observe(secondsToFirstToken)
    },
    feedEvents: (type, count) => void eventCounts.set(type, (eventCounts.get(type) ?? 0) + count),
    read: (readings) => addGauges(registry, readings),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

/** A peer may close with any code that it likes. */
const knownCode = (code: number): string =>
  [1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1012, 1013].includes(code) || (code >= 4400 && code < 4430)
    ? String(code)
    : 'other'

function addGauges(registry: Registry, readings: Readings) {
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    collect: (gauge: Gauge<Label>) => void | Promise<void>,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        return collect(this)
      },
    })
  gauge('parley_connections', 'Sockets and event streams that are open.', [], (each) =>
    each.set(readings.open().connections),
  )
  gauge('parley_subscriptions', 'Operations under way on them.', [], (each) =>
    each.set(readings.open().subscriptions),
  )
  gauge('parley_broker_up', 'Whether what nodes share live events by can be reached.', [], (each) =>
    each.set(Number(readings.isBrokerReachable())),
  )
  gauge(
    'parley_database_connections',
    'Connections of the pool, and who waits for one.',
    ['state'],
    (each) => {
      const { open, inUse, waiting } = readings.databaseConnections()
      each.set({ state: 'open' }, open)
      each.set({ state: 'in_use' }, inUse)
      each.set({ state: 'waiting' }, waiting)
    },
  )
  const statuses = ['QUEUED', 'RUNNING', 'REQUIRES_ACTION']
  gauge(
    'parley_runs_open',
    'Runs that have not ended, of the whole installation.',
    ['status'],
    async (each) => {
      const open = await readings.openRuns().catch(() => null)
      each.reset()
      for (const status of open ? statuses : []) each.set({ status }, open?.[status] ?? 0)
    },
  )
  gauge(
    'parley_jobs',
    'Background work by its name, of the whole installation.',
    ['job', 'state'],
    async (each) => {
      const jobs = await readings.jobs().catch(() => null)
      each.reset()
      for (const [job, counts] of jobs ?? [])
        for (const [state, count] of Object.entries(counts)) each.set({ job, state }, count)
    },
  )
}
