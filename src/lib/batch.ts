/**
 * Gathers what is asked for within one turn of the event loop into one call of `load`, for fields of the rows of a
 * list. Asks on behalf of different owners are never mixed; nothing is kept after the call.
 */
export function createBatch<Owner extends object, Key, Value>(
  load: (owner: Owner, keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>,
): (owner: Owner, key: Key) => Promise<Value | undefined> {
  const open = new WeakMap<Owner, { keys: Set<Key>; loaded: Promise<ReadonlyMap<Key, Value>> }>()

  const begin = (owner: Owner) => {
    const keys = new Set<Key>()
    const loaded = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      open.delete(owner)
      return load(owner, [...keys])
    })
    const batch = { keys, loaded }
    open.set(owner, batch)
    return batch
  }

  return async (owner, key) => {
    const { keys, loaded } = open.get(owner) ?? begin(owner)
    keys.add(key)
    return (await loaded).get(key)
  }
}
