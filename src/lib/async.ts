/** A value that is there already, or one that comes: `await` takes both, and a promise is made only for the second. */
export type Soon<T> = T | Promise<T>

/** Gives what aborts when somebody has gone; most never ask, and for those nothing is made. */
export type Gone = () => AbortSignal

/**
 * The generator as an iterator that runs `close` once when it ends, however it ends. A generator alone does not do:
 * `return` on one that was never started skips its `finally`, and on one that waits it queues behind the wait.
 */
export function closing<T>(generator: AsyncGenerator<T>, close: () => void): AsyncIterableIterator<T> {
  let isClosed = false
  const closeOnce = () => {
    if (!isClosed) close()
    isClosed = true
  }
  const iterator: AsyncIterableIterator<T> = {
    async next() {
      try {
        const result = await generator.next()
        if (result.done) closeOnce()
        return result
      } catch (error) {
        closeOnce()
        throw error
      }
    },
    return() {
      closeOnce()
      return generator.return(undefined)
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}

/** Runs the tasks of one key one after another; tasks of different keys do not wait for each other. */
export function createKeyedQueue() {
  const tails = new Map<string, Promise<unknown>>()
  return async <T>(key: string, task: () => Promise<T>): Promise<T> => {
    const before = tails.get(key)
    const mine = before ? before.then(task, task) : task()
    tails.set(key, mine)
    try {
      return await mine
    } finally {
      if (tails.get(key) === mine) tails.delete(key)
    }
  }
}

/**
 * Runs the task of a key, one at a time. A call while it runs gives the run that comes next, so that it sees all that
 * was there when it was called; however many such calls there are, they share that one.
 */
export function createCoalesced<Key>(task: (key: Key) => Promise<void>): (key: Key) => Promise<void> {
  type Running = { now: Promise<void>; next?: Promise<void> }
  const running = new Map<Key, Running>()

  function start(key: Key): Promise<void> {
    const mine: Running = { now: task(key) }
    running.set(key, mine)
    mine.now = mine.now.finally(() => {
      if (!mine.next) running.delete(key)
    })
    return mine.now
  }

  return (key) => {
    const current = running.get(key)
    if (!current) return start(key)
    const again = () => start(key)
    current.next ??= current.now.then(again, again)
    return current.next
  }
}

/** Runs so many tasks at a time; the others wait in line, in their order. */
export function createGate(places: number): <T>(task: () => Promise<T>) => Promise<T> {
  const line: (() => void)[] = []
  let free = places
  return async (task) => {
    if (free > 0) free -= 1
    else await new Promise<void>((enter) => line.push(enter))
    try {
      return await task()
    } finally {
      const next = line.shift()
      if (next) next()
      else free += 1
    }
  }
}

/**
 * One run of a task at a time for each key. Whoever asks while one is under way shares the next, which begins after it
 * asked: what it gives is never older than the asking.
 */
export function createRounds<T>(): (key: string, task: () => Promise<T>) => Promise<T> {
  type Round = { settled: Promise<void>; next: Promise<T> | null }
  const rounds = new Map<string, Round>()
  const begin = (key: string, task: () => Promise<T>): Promise<T> => {
    const running = task()
    const round: Round = { settled: Promise.resolve(), next: null }
    const settle = () => {
      if (round.next === null) rounds.delete(key)
    }
    round.settled = running.then(settle, settle)
    rounds.set(key, round)
    return running
  }
  return (key, task) => {
    const round = rounds.get(key)
    if (!round) return begin(key, task)
    round.next ??= round.settled.then(() => begin(key, task))
    return round.next
  }
}
