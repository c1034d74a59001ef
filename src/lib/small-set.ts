/**
 * A set that takes next to nothing while one thing is in it, as there mostly is where there are many such sets: a `Set`
 * is more than 150 bytes with its first. Things are in the order in which they came.
 */
export class SmallSet<Item extends object> implements Iterable<Item> {
  private held: Item | Set<Item> | null = null

  get size(): number {
    if (this.held instanceof Set) return this.held.size
    return this.held === null ? 0 : 1
  }

  has(item: Item): boolean {
    return this.held instanceof Set ? this.held.has(item) : this.held === item
  }

  add(item: Item): this {
    if (this.held === null) this.held = item
    else if (this.held instanceof Set) this.held.add(item)
    else if (this.held !== item) this.held = new Set([this.held, item])
    return this
  }

  /** Whether it was there. */
  delete(item: Item): boolean {
    if (this.held instanceof Set) return this.held.delete(item)
    if (this.held !== item) return false
    this.held = null
    return true
  }

  /** Costs nothing where there is one; iterating makes a list of it. */
  forEach(take: (item: Item) => void): void {
    if (this.held instanceof Set) this.held.forEach(take)
    else if (this.held !== null) take(this.held)
  }

  [Symbol.iterator](): IterableIterator<Item> {
    if (this.held instanceof Set) return this.held.values()
    return (this.held === null ? [] : [this.held]).values()
  }
}
