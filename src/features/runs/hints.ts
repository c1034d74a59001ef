import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker } from '../../realtime/broker.ts'
import type { Log } from '../../telemetry/log.ts'

/**
 * What one node tells all others about runs, so that they need not wait for their next look at the database. A hint
 * that is lost costs seconds and nothing else: the sweep finds what waits, and the heartbeat whom to cancel.
 */
export type Hints = {
  /** Somebody should take what waits: this node does not. */
  waiting(tenantId: string): void
  /** Whoever works on this run should stop. */
  cancel(runId: string): void
  /** Follows what is told, to the call of `stop`. */
  start(listener: HintListener): void
  stop(): void
}

export type HintListener = {
  /** Null: of whatever tenant. */
  onWaiting(tenantId: string | null): Promise<void>
  onCancel(runId: string): Promise<unknown>
}

type Hint = { type: 'waiting'; tenantId: string } | { type: 'cancel'; runId: string }

const channel = 'runs'

const followAgainMs = 1_000

export function createHints({ broker, log }: { broker: Broker; log: Log }): Hints {
  const ending = new AbortController()
  const failed = (error: unknown) => {
    if (!ending.signal.aborted) log.warn({ err: error }, 'hints about runs cannot be told or heard now')
  }
  const append = async (hint: Hint) => broker.append(channel, [hint])
  const tell = (hint: Hint) => void append(hint).catch(failed)

  async function hear({ onWaiting, onCancel }: HintListener) {
    const following = await broker.follow(channel, { signal: ending.signal })
    for await (const item of following) {
      const hints: Hint[] = item.type === 'gap' ? [] : item.entries.map(({ data }) => data as Hint)
      if (item.type === 'gap') void onWaiting(null).catch(failed)
      for (const hint of hints)
        if (hint.type === 'cancel') void onCancel(hint.runId).catch(failed)
        else void onWaiting(hint.tenantId).catch(failed)
    }
  }

  return {
    waiting: (tenantId) => tell({ type: 'waiting', tenantId }),
    cancel: (runId) => tell({ type: 'cancel', runId }),
    start(listener) {
      const keepHearing = async () => {
        while (!ending.signal.aborted) {
          await hear(listener).catch(failed)
          await sleep(followAgainMs, undefined, { ref: false, signal: ending.signal }).catch(() => {})
        }
      }
      void keepHearing()
    },
    stop: () => ending.abort(),
  }
}
