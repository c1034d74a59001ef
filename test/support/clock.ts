import { vi } from 'vitest'

/** Stops what dates are made of while `work` is done, and moves it on by `pass`. Timers, and what they measure, run on. */
export async function withStoppedClock(work: (pass: (ms: number) => void) => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    await work((ms) => void vi.setSystemTime(Date.now() + ms))
  } finally {
    vi.useRealTimers()
  }
}
