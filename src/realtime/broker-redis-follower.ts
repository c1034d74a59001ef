import { ended, iteratePolled } from '../lib/polled.ts'
import type { Entry, Following, Position } from './broker.ts'
import type { Standing } from './broker-redis-log.ts'
import type { Reader } from './broker-redis-reader.ts'

type Options = {
  reader: Reader
  /** Of the channel, at the moment of attaching. */
  standing: Standing
  after: Position | undefined
  batchSize: number
  signal: AbortSignal | undefined
  /** The follower has ended. */
  release(): void
}

/** A position in the log that reads from what the node knows, and from Redis where it is behind that. */
export function attachFollower({ reader, standing, after, batchSize, signal, release }: Options): Following {
  const isResumed = after !== undefined && reachesBackTo(standing, after)
  let position = isResumed ? after : standing.position
  let isGapDue = after !== undefined && !isResumed
  let isReading = false
  /** What was read from Redis, and not taken yet. */
  let page: readonly Entry[] = []
  let wake: (() => void) | null = null

  const onMore = () => wake?.()

  async function readPage() {
    isReading = true
    const read = await reader.read(position).catch(() => undefined)
    isReading = false
    if (!reader.followers.has(close)) return
    if (read) reader.sync({ position: read.position, start: 0 })
    if (read?.entries === null) {
      position = read.position
      isGapDue = true
    } else page = read?.entries ?? []
    // Redis is away, or has nothing that the node could go on from.
    if (!isGapDue && page.length === 0 && reader.after(position, 1) === null)
      reader.wait(onMore, { untilSync: true })
    else onMore()
  }

  function close() {
    signal?.removeEventListener('abort', close)
    if (!reader.followers.delete(close)) return
    reader.unwait(onMore)
    onMore()
    release()
  }

  reader.followers.add(close)
  signal?.addEventListener('abort', close)
  if (signal?.aborted) close()

  return {
    position,
    poll(wakeReader) {
      if (!reader.followers.has(close)) return ended
      wake = wakeReader
      if (isReading) return null
      if (isGapDue) {
        isGapDue = false
        return { value: { type: 'gap', position } }
      }
      const entries = page.length > 0 ? page : reader.after(position, batchSize)
      page = []
      const last = entries?.at(-1)
      if (entries === null) void readPage()
      else if (!last) reader.wait(onMore, { untilSync: false })
      if (!entries || !last) return null
      position = { epoch: position.epoch, offset: last.offset }
      return { value: { type: 'entries', epoch: position.epoch, entries: [...entries] } }
    },
    close,
    [Symbol.asyncIterator]: iteratePolled,
  }
}

const reachesBackTo = ({ position, start }: Standing, { epoch, offset }: Position) =>
  epoch === position.epoch && offset >= start && offset <= position.offset
