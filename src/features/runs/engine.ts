import { setTimeout as sleep } from 'node:timers/promises'
import type { Run } from '../../db/client.ts'
import { createCoalesced } from '../../lib/async.ts'
import { type AnswerDependencies, answer, lookAgain } from './answer.ts'
import { waitingAtMost } from './claims.ts'
import type { Hints } from './hints.ts'
import type { StopReason } from './outcome.ts'
import { goOn, isAnswered } from './own-tools.ts'
import type { Claimed, RunPlace } from './rows.ts'
import type { PendingToolCall } from './settling.ts'

export type Engine = {
  /**
   * Begins with a run that was stored as claimed by this node, or looks whose turn it is. Resolves at once, but where the
   * node stops, when the run is let go of.
   */
  offer(stored: Claimed): Promise<void>
  /** Takes every waiting run whose turn it is, of one tenant, or of all. */
  takeWaiting(tenantId: string | null): Promise<void>
  /** Begins anew with a run whose node is gone. False where that may not be, or somebody else was first. */
  takeOver(run: Run, options: { isCertain: boolean }): Promise<boolean>
  /** Goes on with a paused run whose calls the server has answered itself, and whose node is gone. False where not. */
  goOn(run: Run): Promise<boolean>
  /** Stops a run that this node works on, keeping its text; resolves when it has ended. False where it is not here. */
  cancel(runId: string): Promise<boolean>
  /** The runs that this node works on. */
  workingOn(): string[]
  /**
   * Lets running replies end for `graceMs`, then ends them as INTERRUPTED with their text, and lets go of those of which
   * nothing was told; takes no new ones.
   */
  stop(graceMs: number): Promise<void>
}

type Dependencies = AnswerDependencies & { hints: Hints }

const lookAgainMs = 1_000

type Work = { stop: (reason: StopReason) => void; ended: Promise<void> }

export function createEngine(dependencies: Dependencies): Engine {
  const { claims, hints, log } = dependencies
  const working = new Map<string, Work>()
  const claiming = new Set<Promise<boolean>>()
  let isStopping = false

  /** Resolves when the run has ended or waits for somebody. */
  function begin(claimed: Claimed): Promise<void> {
    const { run } = claimed
    const aborting = new AbortController()
    const ended = answer(dependencies, claimed, aborting)
      .catch((error) => {
        log.error({ err: error, runId: run.id }, 'a run ended badly; the sweep will mark it')
        return lookAgain
      })
      .then(({ next, mayWait }): Promise<void> | undefined => {
        working.delete(run.id)
        if (next) return begin(next)
        if (isStopping) hints.waiting(run.tenantId)
        else if (mayWait) look(run.tenantId)
      })
    working.set(run.id, { ended, stop: (reason) => aborting.abort(reason) })
    if (isStopping) aborting.abort('shutdown')
    return ended
  }

  function take(claim: Promise<Claimed | null>): Promise<boolean> {
    const taking = claim.then((claimed) => {
      if (claimed) void begin(claimed)
      return claimed !== null
    })
    claiming.add(taking)
    return taking.finally(() => claiming.delete(taking))
  }

  // The end of every run asks for it: those that come while one is looking share the next look.
  const takeWaiting = createCoalesced(async (tenantId: string | null) => {
    for (;;) {
      const places = isStopping ? [] : await claims.waiting(tenantId)
      let taken = 0
      for (const [tenant, own] of Map.groupBy(places, (place) => place.tenantId))
        taken += await takeAll(tenant, own)
      if (taken === 0 || places.length < waitingAtMost) return
    }
  })

  /** One by itself is claimed as such: it waits for whoever changes its session. */
  async function takeAll(tenantId: string, places: readonly RunPlace[]): Promise<number> {
    let taken = 0
    let alone = places
    if (places.length > 1) {
      const batch = claims.claimAll(tenantId, places)
      const taking = batch.then(({ claimed }) => {
        for (const each of claimed) void begin(each)
        return claimed.length > 0
      })
      claiming.add(taking)
      await taking.finally(() => claiming.delete(taking))
      const { claimed, left } = await batch
      taken = claimed.length
      alone = left
    }
    for (const place of alone) if (await take(claims.claim(place))) taken += 1
    return taken
  }

  /** Takes what waits, and tries again soon where the database is too busy or away: nobody else may be asked to. */
  function look(tenantId: string) {
    takeWaiting(tenantId).catch((error) => {
      log.error({ err: error }, 'waiting runs could not be taken')
      if (!isStopping) setTimeout(() => look(tenantId), lookAgainMs).unref()
    })
  }

  return {
    async offer(stored) {
      const { run } = stored
      const failed = (error: unknown) =>
        log.error({ err: error, runId: run.id }, 'a run could not be let go of')
      if (run.status === 'RUNNING' && !isStopping) return void begin(stored)
      if (!isStopping) return look(run.tenantId)
      // Stored while this node began to stop: another one, or this one when it is back, has the turn.
      if (run.status === 'RUNNING') await claims.release(run).catch(failed)
      hints.waiting(run.tenantId)
    },
    takeWaiting,
    goOn: async (run) => {
      if (isStopping || !isAnswered(run.pendingToolCalls as unknown as PendingToolCall[])) return false
      return take(goOn(dependencies, run))
    },
    takeOver: (run, options) => take(claims.takeOver(run, options)),
    async cancel(runId) {
      // What is being claimed now is work in a moment.
      if (!working.has(runId)) await Promise.allSettled(claiming)
      const work = working.get(runId)
      work?.stop('cancelled')
      await work?.ended
      return work !== undefined
    },
    workingOn: () => [...working.keys()],
    async stop(graceMs) {
      isStopping = true
      claims.close()
      await Promise.allSettled(claiming)
      const done = Promise.all([...working.values()].map(({ ended }) => ended))
      if (working.size > 0) await Promise.race([done, sleep(graceMs, undefined, { ref: false })])
      for (const { stop } of working.values()) stop('shutdown')
      await done
    },
  }
}
