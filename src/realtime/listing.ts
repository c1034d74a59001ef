import { closing } from '../lib/async.ts'
import type { Broker, JsonValue } from './broker.ts'

/**
 * Which sessions of a tenant changed, for whoever shows lists of them: a channel per tenant with an entry for each
 * change, which names the session and no more of it than lists cannot read afterwards.
 */
export type Listing = {
  /** Tells of a committed change, soon. Waits for nothing, never fails; while the log is away it is kept and merged. */
  note(tenantId: string, change: ListChange): void
  /**
   * Changes from now on, in batches; null where some may be missing. Attaches before it resolves; ends with `return`.
   */
  follow(tenantId: string): Promise<AsyncIterableIterator<ListChange[] | null>>
  stop(): void
}

export type ListChange = {
  readonly sessionId: string
  /** Who may have begun to see it: these users, or all who may see it now. */
  readonly shown?: true | readonly string[]
  /** Who saw it and does not any more; what the database tells need not be here. */
  readonly hidden?: readonly string[]
  /** What changed is this user's own. */
  readonly only?: string
  /** The notices that were stored of it, by which a list knows that it was told. */
  readonly notices?: readonly string[]
}

/** Changed sessions of a tenant that are kept while the log is away; more are told as a gap. */
const keptAtMost = 1_000
const retryMs = 1_000

type Pending = { changes: Map<string, ListChange>; isOverfull: boolean; isUnderWay: boolean }

type ListingLog = { debug(fields: object, message: string): void }

export function createListing(broker: Broker, log: ListingLog): Listing {
  const pending = new Map<string, Pending>()
  const retries = new Set<NodeJS.Timeout>()

  const keep = (kept: Pending, changes: Iterable<ListChange>) => {
    for (const change of changes) mergeInto(kept.changes, change)
    if (kept.changes.size <= keptAtMost) return
    kept.isOverfull = true
    kept.changes.clear()
  }

  async function send(tenantId: string, waiting: Pending) {
    waiting.isUnderWay = true
    while (waiting.isOverfull || waiting.changes.size > 0) {
      const { isOverfull, changes } = waiting
      waiting.changes = new Map()
      waiting.isOverfull = false
      try {
        await broker.append(channelOf(tenantId), isOverfull ? [null] : ([...changes.values()] as JsonValue[]))
      } catch (error) {
        log.debug({ err: error, tenantId }, 'lists could not be told of a change')
        waiting.isOverfull ||= isOverfull
        const newer = waiting.changes
        waiting.changes = changes
        keep(waiting, newer.values())
        const retry = setTimeout(() => {
          retries.delete(retry)
          void send(tenantId, waiting)
        }, retryMs)
        retries.add(retry)
        return
      }
    }
    pending.delete(tenantId)
  }

  return {
    note(tenantId, change) {
      const waiting = pending.get(tenantId) ?? { changes: new Map(), isOverfull: false, isUnderWay: false }
      pending.set(tenantId, waiting)
      if (!waiting.isOverfull) keep(waiting, [change])
      // What is noted while an entry is under way goes out together.
      if (!waiting.isUnderWay) void send(tenantId, waiting)
    },
    async follow(tenantId) {
      const ending = new AbortController()
      const following = await broker.follow(channelOf(tenantId), { signal: ending.signal })
      async function* batches() {
        for await (const item of following) {
          const changes =
            item.type === 'gap' ? [null] : item.entries.map(({ data }) => data as ListChange | null)
          yield changes.includes(null) ? null : (changes as ListChange[])
        }
      }
      return closing(batches(), () => ending.abort())
    },
    stop() {
      for (const retry of retries) clearTimeout(retry)
    },
  }
}

/** Adds a change to those that wait; of one session there is one. */
export function mergeInto(changes: Map<string, ListChange>, change: ListChange): void {
  const before = changes.get(change.sessionId)
  changes.set(change.sessionId, before ? merged(before, change) : change)
}

function merged(a: ListChange, b: ListChange): ListChange {
  const shown = a.shown === true || b.shown === true ? true : union(a.shown, b.shown)
  const hidden = union(a.hidden, b.hidden)
  const notices = union(a.notices, b.notices)
  return {
    sessionId: a.sessionId,
    ...(shown && { shown }),
    ...(hidden && { hidden }),
    ...(notices && { notices }),
    ...(a.only !== undefined && a.only === b.only && { only: a.only }),
  }
}

const union = (a?: readonly string[], b?: readonly string[]) =>
  a || b ? [...new Set([...(a ?? []), ...(b ?? [])])] : undefined

const channelOf = (tenantId: string) => `sessions:${tenantId}`
