import { ended, iteratePolled, type Polled } from '../lib/polled.ts'
import type { ModelPart, ProviderError } from './provider.ts'

export type Tell = (part: ModelPart) => void

/**
 * The stream of a provider whose parts `work` tells as they come, handed on without a promise for each. The work begins
 * when the stream is first read; what it fails with becomes the last part. When `signal` aborts the stream ends as cancelled
 * at once, without what was not read yet, however long the work takes to notice.
 */
export function toldParts(
  signal: AbortSignal,
  work: (tell: Tell) => Promise<void>,
  toProviderError: (error: unknown) => ProviderError,
): Polled<ModelPart> {
  // As a rule each is read before the next is told: an array would be made anew for every word.
  let next: ModelPart | null = null
  let later: ModelPart[] = []
  let read = 0
  let hasBegun = false
  let isOver = false
  let wake: (() => void) | null = null

  /** Once for each time that the reader found nothing: one that has been woken reads by itself. */
  function wakeReader() {
    const wakeIt = wake
    wake = null
    wakeIt?.()
  }

  const tell: Tell = (part) => {
    if (isOver) return
    add(part)
    wakeReader()
  }

  function add(part: ModelPart) {
    if (next === null) next = part
    else later.push(part)
  }

  function take(): ModelPart | null {
    const part = next
    next = later[read] ?? null
    if (next) read += 1
    else if (read > 0) dropLater()
    return part
  }

  function finish(...last: ModelPart[]) {
    if (isOver) return
    isOver = true
    signal.removeEventListener('abort', cancel)
    last.forEach(add)
    wakeReader()
  }

  function cancel() {
    drop()
    finish({ type: 'end', finishReason: 'cancelled' })
  }

  function drop() {
    next = null
    dropLater()
  }

  function dropLater() {
    later = []
    read = 0
  }

  function begin() {
    hasBegun = true
    if (signal.aborted) return cancel()
    signal.addEventListener('abort', cancel)
    work(tell).then(
      () => finish(),
      (error) => finish({ type: 'error', error: toProviderError(error) }),
    )
  }

  return {
    poll(wakeWhenTold) {
      if (!hasBegun) begin()
      const value = take()
      if (value !== null) return { value }
      if (isOver) return ended
      wake = wakeWhenTold
      return null
    },
    close() {
      hasBegun = true
      drop()
      finish()
    },
    [Symbol.asyncIterator]: iteratePolled,
  }
}
