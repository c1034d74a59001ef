import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { violationsIn } from './checker.ts'
import { question } from './model.ts'
import type { World } from './world.ts'

const paceMs = 20
const users = 10
const cancelRun = `mutation ($runId: ID!) { cancelRun(input: { runId: $runId }) {
  ... on CancelRunPayload { run { status error { code message } } } ... on Error { code message } } }`

/** Ten users who stop so many of their replies each, mostly round the last word; gives how the runs ended. */
export async function cancelRuns(
  world: World,
  perUser: number,
  random: () => number,
  words = 10,
): Promise<Set<string>> {
  const sessionOf = new Map<string, string>()
  const cancelOften = async (index: number) => {
    const user = `user-${index}`
    const sessionId = await world.createSession(user)
    sessionOf.set(user, sessionId)
    const reader = world.reader(user, user, sessionId)
    const writer = world.writer(user)
    const tooLate: string[] = []
    for (let place = 0; place < perUser; place += 1) {
      const key = `key-${index}-${place}`
      const { runId } = await writer.send(sessionId, key, question(key, words, paceMs))
      // Round the last word, mostly; now and then before the first.
      await sleep(random() * 1.2 * words * paceMs)
      const askedAtMs = performance.now()
      const { cancelRun: answer } = await writer.run(cancelRun, { runId })
      const tookMs = performance.now() - askedAtMs
      // The first of each server pays for all that is made once.
      const isLate = place > 0 && tookMs > 2_000
      if (isLate || !/COMPLETED|CANCELLED/.test(answer.run.status))
        tooLate.push(`${key}: ${JSON.stringify(answer.run)} after ${Math.round(tookMs)} ms`)
    }
    return { reader, writer, sessionId, tooLate }
  }
  const all = await Promise.all(Array.from({ length: users }, (_, index) => cancelOften(index)))
  expect(all.flatMap(({ tooLate }) => tooLate)).toEqual([])

  const sessions = await Promise.all(all.map(({ sessionId }) => world.stored(sessionId)))
  const evidence = () => ({
    observations: all.map(({ reader }) => reader.observations),
    acknowledged: all.flatMap(({ writer }) => writer.acknowledged),
    calls: world.model.calls,
    freezes: [],
    areReadersComplete: true,
    sessions,
    sessionOf,
  })
  await expect.poll(() => violationsIn(evidence()), { timeout: 10_000 }).toEqual([])

  // Whoever was stopped was really hung up on.
  const cut = world.model.calls.filter(({ isAborted, words: said }) => isAborted || said < words)
  expect(cut.length).toBeGreaterThan(0)
  await expect.poll(() => world.model.calls.filter(({ endedAtMs }) => endedAtMs === null).length).toBe(0)
  await Promise.all(all.map(({ reader }) => reader.stop()))
  return new Set(sessions.flatMap(({ runs }) => runs.map(({ status }) => status)))
}

/** Both must have been met where cancels race the last word. */
export const eitherEnd = new Set(['COMPLETED', 'CANCELLED'])
