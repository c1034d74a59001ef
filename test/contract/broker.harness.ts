import type {
  Broker,
  BrokerLimits,
  Entry,
  FollowItem,
  Following,
  JsonValue,
  Position,
} from '../../src/realtime/broker.ts'

export type BrokerHarness = {
  broker: Broker
  /** Lets this much time pass by the broker's clock. */
  passTime(ms: number): Promise<void>
}

export type CreateHarness = (limits?: Partial<BrokerLimits>) => Promise<BrokerHarness>

export const channel = 'session:one'

/** For followers that only the end of the test's broker ends. */
export const never = new AbortController().signal

export const iterate = (following: Following) => following[Symbol.asyncIterator]()

export const dataOf = (entries: readonly Entry[] | null) => entries?.map(({ data }) => data)

export async function follow(broker: Broker, after?: Position, signal = never) {
  return iterate(await broker.follow(channel, { ...(after && { after }), signal }))
}

export async function nextItem(reader: AsyncIterator<FollowItem>) {
  const { value, done } = await reader.next()
  if (done) throw new Error('The follower has ended.')
  return value
}

/** The data of the next `count` entries; a gap among them is an error. */
export async function readData(reader: AsyncIterator<FollowItem>, count: number) {
  const data: JsonValue[] = []
  while (data.length < count) {
    const item = await nextItem(reader)
    if (item.type === 'gap') throw new Error(`A gap to ${item.position.offset} after ${data.length} entries.`)
    data.push(...item.entries.map((entry) => entry.data))
  }
  return data
}
