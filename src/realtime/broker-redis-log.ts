import { randomBytes } from 'node:crypto'
import { createGathered } from '../lib/gathered.ts'
import type { Appended, BrokerLimits, Entry, JsonValue, Mark, Position, Tail } from './broker.ts'
import type { RedisConnection } from './broker-redis-connection.ts'
import { appendScript, positionsScript, readScript, tailScript } from './broker-redis-scripts.ts'

/** The logs of channels as Redis keeps them: what each call does is done in one step. */
export type RedisLogs = {
  append(channel: string, entries: readonly JsonValue[], marks: readonly Mark[]): Promise<AppendedAt>
  /** In one call for all of them. */
  standings(channels: readonly string[]): Promise<Standing[]>
  standing(channel: string): Promise<Standing>
  read(channel: string, after: Position, limit: number): Promise<Page>
  tail(channel: string, limit: number): Promise<Tail>
  /** The name of the pub/sub channel that carries what is appended. */
  pushNameOf(channel: string): string
}

export type AppendedAt = Appended & { readonly at: number }

/** Where a channel ends, and the smallest offset that its log reaches back to. */
export type Standing = { readonly position: Position; readonly start: number }

/** `entries` is null where the log does not reach back; `position` is the end of the log either way. */
export type Page = { readonly position: Position; readonly entries: Entry[] | null }

/** What was appended, up to the offset `last`; without the entries where they are too much for a push. */
export type Push = {
  readonly epoch: string
  readonly last: number
  readonly at: number
  readonly entries?: readonly JsonValue[]
}

export const pushOf = (message: string) => JSON.parse(message) as Push

/** Where a push leads to, without what it carries. */
export function headOf(message: string): { epoch: string; last: number } {
  const [, epoch = '', last] = /^\{"epoch":"([^"]*)","last":(\d+)/.exec(message) ?? []
  return { epoch, last: Number(last) }
}

export const scripts = {
  parleyAppend: appendScript,
  parleyRead: readScript,
  parleyTail: tailScript,
  parleyPositions: positionsScript,
}

/** So few that Redis serves others in between, within a millisecond or two. */
const appendsPerCall = 50
const standingsPerCall = 200

/** Larger ones would cost every node that follows more than a read. */
const pushMaxBytes = 65_536

type Options = Pick<BrokerLimits, 'maxEntries' | 'maxAgeMs'> & {
  connection: RedisConnection
  keyPrefix: string
}

export function createRedisLogs({ connection, keyPrefix, maxEntries, maxAgeMs }: Options): RedisLogs {
  // The braces put both keys of a channel on one node of a cluster.
  const keysOf = (channel: string) => [`${keyPrefix}{${channel}}:meta`, `${keyPrefix}{${channel}}:log`]
  const pushNameOf = (channel: string) => `${keyPrefix}{${channel}}:push`

  const run = async <Answer>(
    script: keyof typeof scripts,
    channels: readonly string[],
    args: readonly (string | number)[] = [],
  ) => {
    const serverRun = await connection.serverRun()
    const common = [createEpoch(), serverRun, maxAgeMs]
    return (await connection.run(script, channels.flatMap(keysOf), [...common, ...args])) as Answer
  }

  const standings = async (channels: readonly string[]): Promise<Standing[]> => {
    const answer = await run<(string | number)[]>('parleyPositions', channels)
    return channels.map((_, index) => {
      const [epoch, last, start] = answer.slice(index * 3) as [string, number, number]
      return { position: { epoch, offset: last }, start }
    })
  }

  /** What comes in one turn, of whatever channels, is one call: a thousand replies say something in each. */
  const append = createGathered<Append, AppendedAt>(async (appends) => {
    const answers = await run<AppendAnswer[]>(
      'parleyAppend',
      appends.map(({ channel }) => channel),
      [
        maxEntries,
        pushMaxBytes,
        ...appends.flatMap(({ channel, entries, marks }) => [
          pushNameOf(channel),
          marks.length,
          entries.length,
          ...marks.flatMap(markArguments),
          ...entries.map((entry) => JSON.stringify(entry)),
        ]),
      ],
    )
    return answers.map(appendedOf)
  }, appendsPerCall)

  return {
    pushNameOf,
    append: (channel, entries, marks) => append({ channel, entries, marks }),
    standings,
    standing: createGathered(standings, standingsPerCall),
    async read(channel, after, limit) {
      const args = [after.epoch, after.offset, limit]
      const [epoch, offset, entries] = await run<[string, number, StreamEntry[]?]>(
        'parleyRead',
        [channel],
        args,
      )
      return { position: { epoch, offset }, entries: entries?.map(entryOf) ?? null }
    },
    async tail(channel, limit) {
      const [epoch, offset, entries, meta] = await run<[string, number, StreamEntry[], string[]]>(
        'parleyTail',
        [channel],
        [limit],
      )
      const marks = numbersOf(meta)
        .filter(([name]) => name.startsWith(markPrefix))
        .map(([name, value]) => [name.slice(markPrefix.length), value])
      return {
        entries: entries.reverse().map(entryOf),
        position: { epoch, offset },
        marks: Object.fromEntries(marks),
      }
    },
  }
}

type Append = { channel: string; entries: readonly JsonValue[]; marks: readonly Mark[] }
type AppendAnswer = [isAppended: number, epoch: string, last: number, at: number, ...values: string[]]

const markArguments = ({ name, min, max, to }: Mark) => [
  name,
  min ?? '',
  max ?? '',
  to === null ? 'none' : (to ?? ''),
]

const appendedOf = ([isAppended, epoch, last, at, ...values]: AppendAnswer): AppendedAt => ({
  position: { epoch, offset: last },
  isAppended: isAppended === 1,
  marks: values.map((value) => (value === '' ? undefined : Number(value))),
  at,
})

const markPrefix = 'mark:'

// 9 bytes make 12 characters without padding.
const createEpoch = () => randomBytes(9).toString('base64url')

type StreamEntry = [id: string, fields: ['at', string, 'data', string]]

const entryOf = ([id, [, at, , data]]: StreamEntry): Entry => ({
  offset: Number.parseInt(id, 10),
  at: Number(at),
  data: JSON.parse(data) as JsonValue,
})

/** Pairs of a flat list of names and values. */
function numbersOf(flat: readonly string[]): [string, number][] {
  const pairs: [string, number][] = []
  for (let index = 0; index < flat.length; index += 2)
    pairs.push([String(flat[index]), Number(flat[index + 1])])
  return pairs
}
