/** Lets so many run at a time, the others in their order after them. */
export function createTurns(atOnce: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async function take<Value>(run: () => Promise<Value>): Promise<Value> {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await run()
    } finally {
      // Whoever is next has the turn without a gap in which another could take it.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
