import { setTimeout as sleep } from 'node:timers/promises'
import { takeEach } from '../../lib/polled.ts'
import type { ModelPart, ModelRequest, Provider, ProviderError } from '../../llm/provider.ts'

/** Waits before the second call and before all after it. */
const backOffMs = [250, 1_000] as const

/** Whoever waits for a reply does not wait longer than this for a provider that is busy. */
const maxRetryAfterMs = 2_000

/**
 * Hands on the parts of a model's answer, for as long as `take` says that it goes on. A call that fails in a way that
 * may pass is made again, `retries` times at most, and only while nothing but `start` had come: once anything was said
 * there is never a second call. Each is made only where `mayCall` says so: meanwhile another node may have the answer.
 */
export async function callModel(
  provider: Provider,
  request: ModelRequest,
  signal: AbortSignal,
  { retries }: { retries: number },
  mayCall: () => boolean | Promise<boolean>,
  take: (part: ModelPart) => boolean | Promise<boolean>,
): Promise<void> {
  for (let retry = 0; ; retry += 1) {
    let waitMs = null as number | null
    let hasSaid = false
    if (!(await mayCall())) return
    await takeEach(provider.stream(request, signal), (part) => {
      if (part.type === 'error' && !hasSaid && retry < retries) waitMs = waitBefore(part.error, retry)
      if (part.type !== 'start') hasSaid = true
      return waitMs !== null || take(part)
    })
    if (waitMs === null) return
    try {
      await sleep(waitMs, undefined, { signal })
    } catch {
      await take({ type: 'end', finishReason: 'cancelled' })
      return
    }
  }
}

/** Null where another call would not help. */
function waitBefore({ kind, retryAfterMs }: ProviderError, retry: number): number | null {
  const planned = retry === 0 ? backOffMs[0] : backOffMs[1]
  const mayPass =
    kind === 'overloaded' || kind === 'connection' || (kind === 'rate-limited' && retryAfterMs !== undefined)
  if (!mayPass || (retryAfterMs ?? 0) > maxRetryAfterMs) return null
  return Math.max(planned, retryAfterMs ?? 0)
}
