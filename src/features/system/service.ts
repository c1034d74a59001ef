import { setTimeout as sleep } from 'node:timers/promises'
import type { Viewer } from '../../auth/viewer.ts'
import type { Database, PoolUse, Statement } from '../../db/client.ts'
import { closing } from '../../lib/async.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { NodeStatus } from './node.ts'

export type SystemStatus = {
  status: 'OK' | 'DEGRADED' | 'DOWN'
  version: string
  startedAt: Date
  now: Date
  node: NodeStatus
  database: { isReachable: boolean; latencyMs: number | null; pool: PoolUse }
  broker: { kind: 'MEMORY' | 'REDIS'; isReachable: boolean }
  models: Record<'total' | 'available' | 'loaded' | 'unavailable', number>
  connections: number
  subscriptions: number
  /** Null while the database is away. */
  activeRuns: number | null
  queuedRuns: number | null
}

/** For admins, which is settled by the schema. */
export type System = {
  /** How this node does, with the tenant's runs on all nodes. Answers while the database is away, too. */
  status(viewer: Viewer): Promise<SystemStatus>
  /** The same now and every so many seconds. */
  follow(viewer: Viewer, intervalSeconds: number): AsyncIterableIterator<SystemStatus>
}

type Dependencies = {
  version: string
  readNode: () => Promise<NodeStatus>
  database: Pick<Database, 'ping' | 'poolUse'>
  broker: { kind: 'MEMORY' | 'REDIS'; isReachable: () => boolean }
  models: Pick<ModelCatalog, 'known'>
  /** What is open on this node. */
  counts: () => { connections: number; subscriptions: number }
}

/** A database that takes longer counts as away; what the status needs of it is waited for no longer. */
const databaseTimeoutMs = 2_000

const countRuns: Statement = {
  name: 'system-runs',
  text: `SELECT count(*) FILTER (WHERE r.status <> 'QUEUED')::int AS "activeRuns",
      count(*) FILTER (WHERE r.status = 'QUEUED')::int AS "queuedRuns"
    FROM runs r WHERE r.tenant_id = $1 AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION')`,
}

type Runs = Pick<SystemStatus, 'activeRuns' | 'queuedRuns'>

export function createSystem({ version, readNode, database, broker, models, counts }: Dependencies): System {
  const startedAt = new Date()

  async function readDatabase({ db, tenantId }: Viewer) {
    const beganMs = performance.now()
    try {
      await intime(database.ping())
      const latencyMs = performance.now() - beganMs
      const [runs] = await intime(db.sql<Runs>(countRuns, [tenantId]))
      return { isReachable: true, latencyMs, runs }
    } catch {
      return { isReachable: false, latencyMs: null, runs: undefined }
    }
  }

  /** Without the tenant's settings, which are in the database, there is nothing to say of models. */
  async function countModels(viewer: Viewer): Promise<SystemStatus['models']> {
    const all = await intime(models.known(viewer)).catch(() => [])
    const countOf = (...wanted: string[]) => all.filter(({ status }) => wanted.includes(status)).length
    return {
      total: all.length,
      available: countOf('AVAILABLE', 'LOADED', 'LOADING'),
      loaded: countOf('LOADED'),
      unavailable: countOf('UNAVAILABLE'),
    }
  }

  async function status(viewer: Viewer): Promise<SystemStatus> {
    const [node, { runs, ...reached }, counted] = await Promise.all([
      readNode(),
      readDatabase(viewer),
      countModels(viewer),
    ])
    const isBrokerReachable = broker.isReachable()
    return {
      status: !reached.isReachable ? 'DOWN' : isBrokerReachable ? 'OK' : 'DEGRADED',
      version,
      startedAt,
      now: new Date(),
      node,
      database: { ...reached, pool: database.poolUse() },
      broker: { kind: broker.kind, isReachable: isBrokerReachable },
      models: counted,
      ...counts(),
      activeRuns: runs?.activeRuns ?? null,
      queuedRuns: runs?.queuedRuns ?? null,
    }
  }

  return {
    status,
    follow(viewer, intervalSeconds) {
      const ending = new AbortController()
      async function* statuses() {
        while (!ending.signal.aborted) {
          yield await status(viewer)
          await sleep(intervalSeconds * 1_000, undefined, { signal: ending.signal }).catch(() => {})
        }
      }
      return closing(statuses(), () => ending.abort())
    },
  }
}

/** Rejects when it takes too long. */
async function intime<Value>(work: Promise<Value>): Promise<Value> {
  const late = new AbortController()
  const tooLate = sleep(databaseTimeoutMs, undefined, { signal: late.signal, ref: false }).then(() => {
    throw new Error('This takes too long.')
  })
  tooLate.catch(() => {})
  try {
    return await Promise.race([work, tooLate])
  } finally {
    late.abort()
  }
}
