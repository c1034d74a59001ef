/** Waits for the promise, or rejects with the reason of the signal, whichever is first. */
export function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Runs it with a signal that also aborts after this time, with that reason. */
export async function within<Value>(
  timeoutMs: number,
  reason: () => Error,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(reason()), timeoutMs)
  try {
    return await run(AbortSignal.any([signal, timeout.signal]))
  } finally {
    clearTimeout(timer)
  }
}

/** What is pushed up to the end or the failure comes out of the iterator in that order, then that. For one reader. */
export type Queue<Value> = {
  /** How many wait to be read. */
  readonly length: number
  push(value: Value): void
  end(): void
  fail(error: unknown): void
  values(): AsyncGenerator<Value, void, void>
}

export function createQueue<Value>(): Queue<Value> {
  const waiting: Value[] = []
  let outcome: { error?: unknown } | null = null
  let wake = () => {}
  const settle = (end: { error?: unknown }) => {
    outcome ??= end
    wake()
  }
  return {
    get length() {
      return waiting.length
    },
    push(value) {
      if (outcome) return
      waiting.push(value)
      wake()
    },
    end: () => settle({}),
    fail: (error) => settle({ error }),
    async *values() {
      for (;;) {
        while (waiting.length > 0) yield waiting.shift() as Value
        if (outcome && 'error' in outcome) throw outcome.error
        if (outcome) return
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** Ends when it is told to, also while somebody waits for its next value. */
export type Stream<Value> = AsyncIterableIterator<Value, void, void> & AsyncDisposable

export function createStream<Value>(
  values: (signal: AbortSignal) => AsyncGenerator<Value, void, void>,
  signal: AbortSignal | undefined,
): Stream<Value> {
  const ending = new AbortController()
  const source = values(signal ? AbortSignal.any([signal, ending.signal]) : ending.signal)
  const end = async (): Promise<IteratorResult<Value, void>> => {
    ending.abort()
    await source.return().catch(() => {})
    return { done: true, value: undefined }
  }
  return {
    next: () =>
      source.next().catch((error) => {
        if (ending.signal.aborted) return { done: true, value: undefined }
        throw error
      }),
    return: end,
    [Symbol.asyncIterator]() {
      return this
    },
    async [Symbol.asyncDispose]() {
      await end()
    },
  }
}
