import { setTimeout as sleep } from 'node:timers/promises'
import { type Evidence, violationsIn } from './checker.ts'
import { question } from './model.ts'
import type { Reader } from './reader.ts'
import type { World } from './world.ts'

/** Something bad that happens to the installation; resolves when it is over, with everything in place again. */
export type Fault = (world: World, random: () => number) => Promise<void>

export type Torment = {
  sessions: number
  readersPerSession: number
  /** Sent one after another in each session; each is answered by as many words at this pace. */
  messages: number
  words: number
  paceMs: number
  /** How often each reader is cut off, in the mean: writers go on until then. */
  cutsPerReader?: number | undefined
  /** How many copies of each send race. */
  copies?: number | undefined
  faults: readonly Fault[]
  /** Milliseconds between the end of one fault and the next. */
  restMs: number
  /**
   * Milliseconds after the last fault by which everything must have come to its end, beside what those in line take: what
   * is promised by default.
   */
  healMs?: number | undefined
}

const promisedHealMs = 25_000

/** `attachments`: how often readers came, the first time and back. `statuses`: how the runs ended. */
export type Outcome = { violations: string[]; attachments: number; statuses: string[] }

/** Lets clients work while faults happen, waits until all is over, and gives what was violated. */
export async function torment(world: World, asked: Torment, random: () => number): Promise<Outcome> {
  const { sessions: count, readersPerSession, messages, words, paceMs, copies = 1, cutsPerReader = 0 } = asked
  const readers: Reader[] = []
  const sessionOf = new Map<string, string>()
  const writers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const user = `user-${index}`
      const sessionId = await world.createSession(user)
      for (let place = 0; place < readersPerSession; place += 1) {
        const name = `reader-${index}-${place}`
        sessionOf.set(name, sessionId)
        readers.push(world.reader(name, user, sessionId))
      }
      return { sessionId, writer: world.writer(user) }
    }),
  )
  // Whoever comes only after a fault begins with a snapshot, and proves nothing.
  while (readers.some(({ cursor }) => cursor === null)) await sleep(50)
  const attached = () => readers.reduce((sum, reader) => sum + reader.attachments, 0)
  const areCutEnough = () => attached() >= readers.length * (1 + cutsPerReader)
  let isDone = false
  const faulting = (async () => {
    while (!isDone && asked.faults.length > 0) {
      await sleep(asked.restMs)
      const fault = asked.faults[Math.floor(random() * asked.faults.length)]
      if (!isDone) await fault?.(world, random)
    }
  })()
  const working = writers.map(async ({ sessionId, writer }, index) => {
    for (let place = 0; place < messages || !areCutEnough(); place += 1) {
      const key = `key-${index}-${place}`
      await writer.send(sessionId, key, question(key, words, paceMs), copies)
      // Some wait in line for each other; it must not grow for as long as somebody is to be cut.
      await sleep((random() + (place < messages ? 0 : 1)) * words * paceMs)
    }
  })
  try {
    await Promise.all(working)
  } finally {
    isDone = true
    await faulting
  }
  const evidence = async (): Promise<Evidence> => ({
    observations: readers.map(({ observations }) => observations),
    acknowledged: writers.flatMap(({ writer }) => writer.acknowledged),
    sessions: await Promise.all(writers.map(({ sessionId }) => world.stored(sessionId))),
    calls: world.model.calls,
    freezes: world.nodes.map(({ freezes }) => freezes),
    sessionOf,
    areReadersComplete: true,
  })
  const open = (await evidence()).sessions.map(
    ({ runs }) => runs.filter(({ finishedAt }) => !finishedAt).length,
  )
  const lineMs = Math.max(0, ...open) * words * paceMs
  const unsettled = await settled(evidence, (asked.healMs ?? promisedHealMs) + lineMs)
  const violations = [...unsettled, ...world.nodes.flatMap(({ crashes }) => crashes)]
  await Promise.all(readers.map((reader) => reader.stop()))
  const { sessions } = await evidence()
  const statuses = sessions.flatMap(({ runs }) => runs.map(({ status }) => status))
  return { violations, attachments: attached(), statuses }
}

/** What is still wrong when the time to heal is over; nothing, as soon as everything is right. */
async function settled(evidence: () => Promise<Evidence>, healMs: number): Promise<string[]> {
  const startedAtMs = performance.now()
  for (;;) {
    const violations = violationsIn(await evidence())
    if (violations.length === 0 || performance.now() - startedAtMs > healMs) return violations
    await sleep(250)
  }
}
