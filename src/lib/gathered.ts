/**
 * Gathers what code asks for without waiting in between into one call of `load`, of at most so many items, whose results
 * are in their order. Calls are begun in the order of asking; one that fails fails for all of its items.
 */
export function createGathered<Item, Result>(
  load: (items: readonly Item[]) => Promise<readonly Result[]>,
  mostItems: number,
): (item: Item) => Promise<Result> {
  type Batch = { items: Item[]; loaded: Promise<readonly Result[]> }
  let open: Batch | null = null

  function begin(): Batch {
    const items: Item[] = []
    const loaded = Promise.resolve().then(() => {
      if (open?.items === items) open = null
      return load(items)
    })
    return { items, loaded }
  }

  return async (item) => {
    if (open === null || open.items.length >= mostItems) open = begin()
    const { items, loaded } = open
    const place = items.push(item) - 1
    return (await loaded)[place] as Result
  }
}
