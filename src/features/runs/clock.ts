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
  let partCameAtMs = 0
  // Looked at when it may be over, not moved with each part.
  const watchStall = (inMs: number) => {
    stall = setTimeout(() => {
      const leftMs = partCameAtMs + config.stallTimeoutMs - performance.now()
      if (leftMs > 0) watchStall(leftMs)
      else onTimeout('stall')
    }, inMs)
  }
  return {
    partCame(isText) {
      partCameAtMs = performance.now()
      if (isText) firstTokenAtMs ??= partCameAtMs
      if (stall !== undefined) return
      clearTimeout(firstPart)
      watchStall(config.stallTimeoutMs)
    },
    get sinceFirstTokenMs() {
      return firstTokenAtMs === null ? null : performance.now() - firstTokenAtMs
    },
    stop() {
      for (const timer of [duration, firstPart, stall]) clearTimeout(timer)
    },
  }
}
