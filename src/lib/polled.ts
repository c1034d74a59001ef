/**
 * A sequence that can be read without a promise for each value, by one reader: it is asked for what is there, and says
 * when asking again is worth it. Iterating does the same with promises; reads that overlap are answered in turn.
 */
export type Polled<Value> = AsyncIterable<Value, undefined> & {
  /**
   * What comes next. Null where nothing is there yet: then `wake` is called when there may be something, and when it was
   * closed; asking before that does no harm, and the last `wake` given is the one that counts. Throws what the sequence
   * fails with, once; it is closed then.
   */
  poll(wake: () => void): IteratorResult<Value, undefined> | null
  /** Nothing more comes, and nothing is held any more. */
  close(): void
}

/** What a closed sequence gives. */
export const ended: IteratorReturnResult<undefined> = { done: true, value: undefined }

/**
 * Hands on what comes, in order, for as long as `take` wants more; then the sequence is left. Rejects with what it, or
 * `take`, fails with. No promise is made for a value of a sequence that can be polled and is taken at once.
 */
export async function takeEach<Value>(
  sequence: AsyncIterable<Value> | Polled<Value>,
  take: (value: Value) => boolean | Promise<boolean>,
): Promise<void> {
  if ('poll' in sequence) return takePolled(sequence, take)
  for await (const value of sequence) {
    const wantsMore = take(value)
    if (!(typeof wantsMore === 'boolean' ? wantsMore : await wantsMore)) return
  }
}

function takePolled<Value>(
  sequence: Polled<Value>,
  take: (value: Value) => boolean | Promise<boolean>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // What is taken may bring the next one: that is for the loop that is under way.
    let isTaking = false
    const goOn = (wantsMore: boolean) => {
      if (!wantsMore) return leave()
      isTaking = false
      takeAll()
    }
    const leave = () => {
      sequence.close()
      resolve()
    }
    const fail = (error: unknown) => {
      sequence.close()
      reject(error)
    }
    function takeAll() {
      if (isTaking) return
      isTaking = true
      try {
        for (let next = sequence.poll(takeAll); next; next = sequence.poll(takeAll)) {
          if (next.done) return resolve()
          const wantsMore = take(next.value)
          if (typeof wantsMore !== 'boolean') return void wantsMore.then(goOn, fail)
          if (!wantsMore) return leave()
        }
        isTaking = false
      } catch (error) {
        fail(error)
      }
    }
    takeAll()
  })
}

/** The `[Symbol.asyncIterator]` of every polled sequence. */
export function iteratePolled<Value>(this: Polled<Value>): AsyncIterableIterator<Value, undefined> {
  let last: Promise<unknown> | null = null
  const nextOne = () =>
    new Promise<IteratorResult<Value, undefined>>((resolve, reject) => {
      const ask = () => {
        try {
          const result = this.poll(ask)
          if (result !== null) resolve(result)
        } catch (error) {
          reject(error)
        }
      }
      ask()
    })
  const iterator: AsyncIterableIterator<Value, undefined> = {
    next() {
      const mine = last ? last.then(nextOne, nextOne) : nextOne()
      last = mine
      // Not kept: what was read may be large.
      const forget = () => {
        if (last === mine) last = null
      }
      mine.then(forget, forget)
      return mine
    },
    return: async () => {
      this.close()
      return ended
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}
