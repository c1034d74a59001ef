import { setTimeout as sleep } from 'node:timers/promises'

/** As many come back elsewhere in a second as one node can take in. */
const perSecond = 500
const pauseMs = 50

/** Does something with each, at a pace that the ones who take over can keep up with, or faster to be done in time. */
export async function inBatches<Item>(
  items: readonly Item[],
  withinMs: number,
  act: (item: Item) => void,
): Promise<void> {
  const rounds = Math.max(1, Math.floor(withinMs / pauseMs))
  const batch = Math.max((perSecond * pauseMs) / 1_000, Math.ceil(items.length / rounds))
  for (let at = 0; at < items.length; at += batch) {
    if (at > 0) await sleep(pauseMs)
    for (const item of items.slice(at, at + batch)) act(item)
  }
}
