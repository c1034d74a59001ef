import type { FollowItem, Following, Position } from './broker.ts'
import type { Page, Standing } from './broker-redis-log.ts'
import type { Reader } from './broker-redis-reader.ts'

type Options = {
  reader: Reader
  /** Of the channel, at the moment of attaching. */
  standing: Standing
  after: Position | undefined
  batchSize: number
  signal: AbortSignal
  /** The follower has ended. */
  release(): void
}

/** A position in the log that reads from what the node knows, and from Redis where it is behind that. */
export function attachFollower({ reader, standing, after, batchSize, signal, release }: Options): Following {
  const isResumed = after !== undefined && reachesBackTo(standing, after)
  let position = isResumed ? after : standing.position
  let isGapDue = after !== undefined && !isResumed
  let ended = false
  let wake = () => {}

  const waitForMore = (options: { untilSync: boolean }) => {
    const waiting = reader.wait(options)
    wake = waiting.wake
    return waiting.woken
  }

  /** Undefined where Redis is away, and where the follower ends meanwhile. */
  const readPage = () =>
    new Promise<Page | undefined>((resolve) => {
      wake = () => resolve(undefined)
      reader.read(position).then(resolve, () => resolve(undefined))
    })

  const end = () => {
    if (ended) return
    ended = true
    signal.removeEventListener('abort', end)
    reader.followers.delete(end)
    wake()
    release()
  }

  async function* readItems(): AsyncGenerator<FollowItem, void> {
    while (!ended) {
      let entries = isGapDue ? [] : reader.after(position, batchSize)
      if (entries === null) {
        const page = await readPage()
        if (ended) return
        if (page) reader.sync({ position: page.position, start: 0 })
        entries = page?.entries ?? []
        isGapDue = page?.entries === null
        if (page?.entries === null) position = page.position
        // Redis is away, or has nothing that the node could go on from.
        else if (entries.length === 0 && reader.after(position, 1) === null) {
          await waitForMore({ untilSync: true })
          continue
        }
      }
      const last = entries.at(-1)
      if (isGapDue) {
        isGapDue = false
        yield { type: 'gap', position }
      } else if (last) {
        position = { epoch: position.epoch, offset: last.offset }
        yield { type: 'entries', epoch: position.epoch, entries }
      } else await waitForMore({ untilSync: false })
    }
  }

  reader.followers.add(end)
  signal.addEventListener('abort', end)
  if (signal.aborted) end()

  const items = readItems()
  const iterator: AsyncIterator<FollowItem, void> = {
    next: () => items.next(),
    // A generator's own `return` would queue behind a read that waits.
    return() {
      end()
      return items.return()
    },
  }
  return { position, [Symbol.asyncIterator]: () => iterator }
}

const reachesBackTo = ({ position, start }: Standing, { epoch, offset }: Position) =>
  epoch === position.epoch && offset >= start && offset <= position.offset
