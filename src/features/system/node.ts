import { statfs } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Of 0 to 1. */
type Share = number

export type Gpu = {
  name: string
  vendor: string | null
  load: Share | null
  memoryTotalBytes: number | null
  memoryUsedBytes: number | null
  temperatureCelsius: number | null
}

export type NodeStatus = {
  cpu: { cores: number; load: Share } | null
  /** Processes that ran or waited, on average of 1, 5 and 15 minutes. */
  loadAverage: readonly number[] | null
  memory: Space | null
  /** Where the server's own files are. */
  disk: Space | null
  gpus: readonly Gpu[] | null
}

export type Space = { totalBytes: number; usedBytes: number; availableBytes: number }

/** The part of the package that is used. */
export type Sensors = Pick<typeof import('systeminformation'), 'currentLoad' | 'mem' | 'graphics'>

type Options = { directory: string; sensors?: () => Promise<Sensors> }

/** Readers at the same time share one reading; what shows graphics cards starts programs, so that it is asked seldom. */
const freshMs = 900
const gpusFreshMs = 10_000
/** A reading that takes longer is left out. */
const readingTimeoutMs = 3_000
const mebibyte = 1_048_576

/** What the machine of this node is busy with. Never fails: what cannot be read is null. */
export function createNodeReader({
  directory,
  // Loaded where it is used: a node that nobody asks starts without it.
  sensors = () => import('systeminformation'),
}: Options): () => Promise<NodeStatus> {
  const cpu = async () => {
    const { currentLoad } = await (await sensors()).currentLoad()
    return { cores: availableParallelism(), load: share(currentLoad) }
  }
  const memory = async () => {
    const { total, available } = await (await sensors()).mem()
    return space(total, available)
  }
  const disk = async () => {
    const { bsize, blocks, bavail } = await statfs(directory)
    return space(bsize * blocks, bsize * bavail)
  }
  const gpus = async (): Promise<Gpu[]> => {
    const { controllers } = await (await sensors()).graphics()
    return controllers.map((each) => ({
      name: each.name ?? each.model,
      vendor: each.vendor || null,
      load: each.utilizationGpu === undefined ? null : share(each.utilizationGpu),
      memoryTotalBytes: bytes(each.memoryTotal ?? each.vram),
      memoryUsedBytes: bytes(each.memoryUsed),
      temperatureCelsius: each.temperatureGpu ?? null,
    }))
  }
  const knownGpus = keptFor(gpusFreshMs, () => orNull(gpus))

  return keptFor(freshMs, async () => {
    const [cpuNow, memoryNow, diskNow, gpusNow] = await Promise.all([
      orNull(cpu),
      orNull(memory),
      orNull(disk),
      knownGpus(),
    ])
    // Windows has no such number and says 0.
    const loadAverage = process.platform === 'win32' ? null : loadavg()
    return { cpu: cpuNow, loadAverage, memory: memoryNow, disk: diskNow, gpus: gpusNow }
  })
}

const share = (percent: number): Share => Math.min(Math.max(percent / 100, 0), 1)
const space = (totalBytes: number, availableBytes: number): Space => ({
  totalBytes,
  availableBytes,
  usedBytes: totalBytes - availableBytes,
})
const bytes = (mebibytes: number | null | undefined) => (mebibytes == null ? null : mebibytes * mebibyte)

async function orNull<Value>(read: () => Promise<Value>): Promise<Value | null> {
  const late = new AbortController()
  const tooLate = sleep(readingTimeoutMs, null, { signal: late.signal, ref: false }).catch(() => null)
  try {
    return await Promise.race([read().catch(() => null), tooLate])
  } finally {
    late.abort()
  }
}

function keptFor<Value>(ms: number, read: () => Promise<Value>): () => Promise<Value> {
  let reading: Promise<Value> | undefined
  let staleAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (!reading || performance.now() >= staleAtMs) {
      staleAtMs = Number.POSITIVE_INFINITY
      reading = read().finally(() => {
        staleAtMs = performance.now() + ms
      })
    }
    return reading
  }
}
