import type { Polled } from '../lib/polled.ts'

/** A feed as one reader may follow it, by that reader's own rights. */
export type Source<Delivery, Value> = {
  readonly userId: string
  /** What comes after a cursor, until it is closed. Fails, now or later, where the reader may not follow. */
  follow(after: string): Promise<Polled<Delivery>>
  stepOf(delivery: Delivery): Step<Value>
  /** Whether the reader may go on. */
  mayRead(): Promise<boolean>
  /** Two values in a row as one; null where they cannot be joined. */
  joined(first: Value, second: Value): Value | null
  /** The reader begins to follow; it has left, or was told the end. Each once, and none of them may throw. */
  entered?(): void
  left?(): void
}

/** One step of a feed: what readers are told, or nothing for them. */
export type Step<Value> = {
  /** The place after it. */
  cursor: string
  value?: Value
  /** Whose right is decided anew before they are told this or anything more: a user by id, or everybody. */
  recheck?: string
  isLast?: boolean
}

export const everybody = 'everybody'

/** A cursor, or a feed that was opened for this reader and that nobody has read from. */
export type Start<Delivery> = { after: string } | { opened: Polled<Delivery> }

export type Sharing<Value> = {
  /** Readers with the same key get the same JSON: all that it depends on is in it. */
  readonly key: string
  readonly rendering: Rendering<Value>
}

export type Rendering<Value> = {
  /** Called once for each event of a lane, in order. */
  render(value: Value): string | Promise<string>
}

/** Who gets the JSON. None of these may throw. */
export type Reader = {
  /** Hands over; false where the reader can take no more until its membership is told to `resume`. */
  take(json: string): boolean
  /** Nothing more comes: the feed has ended, or the right to it. */
  end(): void
  fail(error: unknown): void
}

export type Membership = {
  /** The reader can take more. */
  resume(): void
  /** The reader gets nothing more, and nothing is held for it. */
  leave(): void
}
