import type { Config } from '../../config.ts'
import type { StopReason } from './outcome.ts'

/** Watches the times of one reply: the first word, silence in the middle, and the whole. */
export type Clock = {
  /** Call it for each part that comes from the model. */
  partCame(isText: boolean): void
  /** Milliseconds since the first word; null before it. */
  readonly sinceFirstTokenMs: number | null
  stop(): void
}

export function createClock(config: Config['runs'], onTimeout: (reason: StopReason) => void): Clock {
  let firstTokenAtMs: number | null = null
  const duration = setTimeout(() => onTimeout('duration'), config.maxDurationMs)
  const firstPart = setTimeout(() => onTimeout('first-token'), config.firstTokenTimeoutMs)
  let stall: NodeJS.Timeout | undefined
  return {
    partCame(isText) {
      clearTimeout(firstPart)
      stall ??= setTimeout(() => onTimeout('stall'), config.stallTimeoutMs)
      stall.refresh()
      if (isText) firstTokenAtMs ??= performance.now()
    },
    get sinceFirstTokenMs() {
      return firstTokenAtMs === null ? null : performance.now() - firstTokenAtMs
    },
    stop() {
      for (const timer of [duration, firstPart, stall]) clearTimeout(timer)
    },
  }
}
