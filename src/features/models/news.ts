import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { closing } from '../../lib/async.ts'
import type { Broker, Entry, JsonValue } from '../../realtime/broker.ts'
import type { Log } from '../../telemetry/log.ts'

/** How far a load or a download is; bytes are those of the file that is being fetched. `at` is milliseconds since 1970. */
export type ModelProgress = {
  model: string
  action: 'LOAD' | 'PULL'
  status: 'RUNNING' | 'DONE' | 'FAILED'
  detail: string | null
  completedBytes: number | null
  totalBytes: number | null
  at: number
}

export type ModelTidings =
  | { type: 'progress'; progress: ModelProgress }
  /** A tenant's settings of models changed. */
  | { type: 'settings'; tenantId: string }

/**
 * What nodes tell each other about models. Nothing here is kept: who missed a word of it has older settings for a
 * minute, or sees the next step of a download.
 */
export type ModelNews = {
  /** Told in the order of the calls that waited for each other; never fails. */
  tell(tidings: ModelTidings): Promise<void>
  /** Where a load or download of this model stands, if one is under way, then each step of what comes. */
  follow(model: string): Promise<AsyncIterableIterator<ModelProgress>>
  /** Hears what other nodes tell, to the call of `stop`; null: something may have been missed. */
  start(listener: (tidings: ModelTidings | null) => void): void
  stop(): void
}

const channel = 'models'
const followAgainMs = 1_000
/** Steps looked through for the latest of one model. */
const tailLength = 200

type Told = { from: string; tidings: ModelTidings }

export function createModelNews({ broker, log }: { broker: Broker; log: Log }): ModelNews {
  const ending = new AbortController()
  const from = randomUUID()
  const failed = (error: unknown) => {
    if (!ending.signal.aborted) log.warn({ err: error }, 'news of models cannot be told or heard now')
  }

  async function hear(listener: (tidings: ModelTidings | null) => void) {
    const following = await broker.follow(channel, { signal: ending.signal })
    listener(null)
    for await (const item of following) {
      if (item.type === 'gap') listener(null)
      else for (const told of item.entries.map(toldIn)) if (told.from !== from) listener(told.tidings)
    }
  }

  return {
    async tell(tidings) {
      try {
        await broker.append(channel, [{ from, tidings } as unknown as JsonValue])
      } catch (error) {
        failed(error)
      }
    },
    async follow(model) {
      const leaving = new AbortController()
      const { entries, position } = await broker.tail(channel, tailLength)
      const following = await broker.follow(channel, { after: position, signal: leaving.signal })
      async function* steps() {
        const latest = stepsIn(entries, model).at(-1)
        if (latest?.status === 'RUNNING') yield latest
        for await (const item of following)
          if (item.type === 'entries') yield* stepsIn(item.entries, model)
          else yield* stepsIn((await broker.tail(channel, tailLength)).entries, model).slice(-1)
      }
      return closing(steps(), () => leaving.abort())
    },
    start(listener) {
      const keepHearing = async () => {
        while (!ending.signal.aborted) {
          await hear(listener).catch(failed)
          await sleep(followAgainMs, undefined, { ref: false, signal: ending.signal }).catch(() => {})
        }
      }
      void keepHearing()
    },
    stop: () => ending.abort(),
  }
}

const toldIn = ({ data }: Entry) => data as unknown as Told

const stepsIn = (entries: readonly Entry[], model: string): ModelProgress[] =>
  entries.flatMap((entry) => {
    const { tidings } = toldIn(entry)
    return tidings.type === 'progress' && tidings.progress.model === model ? [tidings.progress] : []
  })
