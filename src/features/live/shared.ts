import { closing } from '../../lib/async.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Polled } from '../../lib/polled.ts'
import type { FanOut, Shareable } from '../../realtime/fan-out.ts'
import type { Source } from '../../realtime/fan-out-source.ts'

/** Text that is joined stays below this many UTF-16 units in one event. */
export const joinedMaxLength = 16_384

/** What one viewer follows; without a place it begins at the start. */
export type LiveSource<Item, Value> = Omit<Source<Item, Value>, 'follow'> & {
  follow(after: string | null): Promise<Polled<Item>>
}

/** A feed that this viewer may follow from `start` on. */
export function createShareable<Item, Value>(
  fanOut: FanOut,
  topic: string,
  source: LiveSource<Item, Value>,
  start: { after: string } | { opened: Polled<Item> },
): Shareable<Value> {
  // Let go of once it is used: who follows keeps this, and a feed that was opened and left behind would stay with it.
  let opening: typeof start | null = start
  let alone: AsyncIterableIterator<Value> | null = null
  let isClosed = false
  const take = () => {
    if (opening === null) throw new Error('A feed is followed once.')
    const taken = opening
    opening = null
    return taken
  }
  const close = () => {
    isClosed = true
    if (opening !== null && 'opened' in opening) opening.opened.close()
    void alone?.return?.()
  }
  async function* iterateAlone() {
    const from = take()
    const items = 'opened' in from ? from.opened : await source.follow(from.after)
    alone = closing(untilGone(valuesOf(source, items)), () => items.close())
    if (isClosed) close()
    yield* alone
  }
  return {
    topic,
    join: (sharing, reader) => fanOut.join(sharing, source, take(), reader),
    close,
    [Symbol.asyncIterator]() {
      source.entered?.()
      return closing(iterateAlone(), () => {
        source.left?.()
        close()
      })
    },
  }
}

/** What the source tells its one reader alone. */
async function* valuesOf<Item, Value>(
  source: LiveSource<Item, Value>,
  items: Polled<Item>,
): AsyncGenerator<Value> {
  for await (const item of items) {
    const { value, recheck, isLast } = source.stepOf(item)
    if (recheck === source.userId && !(await source.mayRead())) return
    if (value !== undefined) yield value
    if (isLast) return
  }
}

/** Ends, and does not fail, where what is followed is gone or not the reader's to see any more. */
export async function* untilGone<Value>(values: AsyncIterable<Value>): AsyncGenerator<Value> {
  try {
    yield* values
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
  }
}
