import { setTimeout as sleep } from 'node:timers/promises'

/** Looks again and again until there is something; fails after so long without. What it waits for tells nobody of itself. */
export async function found<Thing>(
  look: () => Promise<Thing | null | undefined>,
  { everyMs, withinMs, what }: { everyMs: number; withinMs: number; what: string },
): Promise<Thing> {
  for (const startedAt = performance.now(); performance.now() - startedAt < withinMs; await sleep(everyMs)) {
    const thing = await look()
    if (thing !== null && thing !== undefined) return thing
  }
  throw new Error(`${what} did not come within ${withinMs / 1_000} s.`)
}
