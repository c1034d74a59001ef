import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { SystemDatabase, TenantDatabase } from '../../db/client.ts'
import { closing } from '../../lib/async.ts'
import { check } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { type ListChange, type Listing, mergeInto } from '../../realtime/listing.ts'
import type { Log } from '../../telemetry/log.ts'
import { createSessionChecks, type SessionFilter } from './checks.ts'
import { conditionsOf, createParameters } from './filter.ts'
import type { SessionList } from './list.ts'
import { createFitting, isRelated, type Match, matchSessions } from './matching.ts'
import { findMissed, markNotices, newSeen, reachMs, type Seen } from './missed-changes.ts'
import {
  fittingAtMost,
  type SessionChange,
  type SidebarReader,
  tellChange,
  tellReset,
} from './sidebar-reader.ts'

/** Lists of sessions that are kept up to date: changes of what the viewer may see and its filter fits. */
export type Sidebar = {
  /**
   * Begins with a RESET once it is attached: a list that is read then and kept up to date with what follows misses
   * nothing. A slow reader is told the latest of each session.
   */
  follow(viewer: Viewer, filter: unknown): Promise<AsyncIterableIterator<SessionChange>>
  start(): void
  stop(): void
}

/** The readers of a tenant on this node, who share one look at each change. */
type Group = {
  readonly readers: Set<Reader>
  readonly changed: Map<string, ListChange>
  /** Ends the reading of the channel; null until it is attached. */
  end: (() => void) | null
  attached: Promise<void>
  timer: NodeJS.Timeout | undefined
  /** What is done with the readers of the group, one after another. */
  turn: Promise<void>
  readonly seen: Seen
}

type Reader = SidebarReader & {
  readonly viewer: Viewer
  readonly filterKey: string
  /** Whether its filter has no condition. */
  readonly isPlain: boolean
}

/** What happens to a session within this is told once. */
const burstMs = 100

/** Two looks and a burst stay below the 5 s that a list may go without a change that nobody announced. */
const lookMs = 1_500

type Dependencies = {
  config: Config['sessions']
  listing: Listing
  list: Pick<SessionList, 'idsOf'>
  system: SystemDatabase
  log: Log
}

export function createSidebar({ config, listing, list, system, log }: Dependencies): Sidebar {
  const checks = createSessionChecks(config)
  const groups = new Map<string, Group>()
  const findFitting = createFitting()
  let looking: NodeJS.Timeout | undefined
  let lookedAtMs = Number.POSITIVE_INFINITY
  let isLooking = false

  const inTurn = (group: Group, work: () => Promise<void>) => {
    group.turn = group.turn.then(work).catch((error: unknown) => {
      log.debug({ err: error }, 'changes of sessions could not be told to lists')
      // They read their lists anew, then or whenever that is possible again.
      for (const reader of group.readers) tellReset(reader)
    })
    return group.turn
  }

  async function tell(group: Group) {
    clearTimeout(group.timer)
    group.timer = undefined
    const changes = takeChanges(group)
    const [first] = group.readers
    if (!first || changes.length === 0) return
    const { db } = first.viewer
    const ids = changes.map(({ sessionId }) => sessionId)
    const matches = await matchSessions(db, ids)
    const fits = await fitsOf(db, group, matches)
    for (const { session } of matches.values()) group.seen.revisions?.set(session.id, session.revision)
    for (const reader of group.readers) {
      for (const change of changes) {
        const match = matches.get(change.sessionId)
        tellChange(reader, change, match, match !== undefined && fits(reader, match))
      }
    }
  }

  /** Asks the database of those filters alone whose readers may see any of the sessions. */
  async function fitsOf(db: TenantDatabase, group: Group, matches: ReadonlyMap<string, Match>) {
    const found = [...matches.values()]
    const asking = [...group.readers].filter(
      (reader) => !reader.isPlain && found.some((match) => isRelated(reader, match)),
    )
    const filters = new Map(asking.map(({ filterKey, filter }) => [filterKey, filter]))
    const places = new Map([...filters.keys()].map((key, index) => [key, index]))
    const fitting = await findFitting(db, [...matches.keys()], [...filters.values()])
    return ({ isPlain, filterKey }: Reader, { session: { id, deletedAt } }: Match): boolean =>
      isPlain ? deletedAt === null : fitting.get(id)?.[places.get(filterKey) ?? -1] === true
  }

  /** Notes changes to be told together with those that follow at once. */
  function gather(group: Group, changes: readonly ListChange[]) {
    for (const change of changes) mergeInto(group.changed, change)
    if (changes.length > 0) group.timer ??= setTimeout(() => void inTurn(group, () => tell(group)), burstMs)
  }

  async function look() {
    if (groups.size === 0) lookedAtMs = Number.POSITIVE_INFINITY
    if (isLooking || groups.size === 0) return
    isLooking = true
    const watched = new Map(groups)
    const isLate = performance.now() - lookedAtMs > reachMs / 2
    try {
      const missed = await findMissed(system, new Map([...watched].map(([id, { seen }]) => [id, seen])))
      lookedAtMs = performance.now()
      for (const [tenantId, group] of watched) {
        const { changes = [], anew } = missed.get(tenantId) ?? {}
        if (isLate) void inTurn(group, () => startOver(group))
        else gather(group, changes)
        if (!isLate && anew && anew.size > 0) void inTurn(group, () => startAnew(group, anew))
      }
    } catch (error) {
      log.debug({ err: error }, 'changes that lists were not told of could not be looked for')
    }
    isLooking = false
  }

  /** A filter with conditions lets sessions go that it cannot tell from those it never had: so they are noted. */
  async function noteFitting(reader: Reader) {
    const ids = reader.isPlain ? null : await list.idsOf(reader.viewer, reader.filter, fittingAtMost)
    reader.fitting = ids && new Set(ids)
  }

  async function startOver(group: Group) {
    takeChanges(group)
    await startAnew(group, new Set([null]))
  }

  /** For these users, null among them for all: something that cannot be told any more happened to their lists. */
  async function startAnew(group: Group, userIds: ReadonlySet<string | null>) {
    for (const reader of group.readers) {
      if (!userIds.has(null) && !userIds.has(reader.userId)) continue
      await noteFitting(reader)
      tellReset(reader)
    }
  }

  async function read(tenantId: string, group: Group) {
    const batches = await listing.follow(tenantId)
    group.end = () => void batches.return?.()
    // What is there now is what the first list is read with.
    await findMissed(system, new Map([[tenantId, group.seen]]))
    const reading = async () => {
      for await (const changes of batches) {
        if (changes === null) void inTurn(group, () => startOver(group))
        else gather(group, changes)
      }
      drop(tenantId, group)
      for (const reader of group.readers) reader.wake()
    }
    void reading()
  }

  function drop(tenantId: string, group: Group) {
    if (groups.get(tenantId) === group) groups.delete(tenantId)
    clearTimeout(group.timer)
  }

  function join(tenantId: string): Group {
    const known = groups.get(tenantId)
    if (known) return known
    const group: Group = {
      readers: new Set(),
      changed: new Map(),
      end: null,
      attached: Promise.resolve(),
      timer: undefined,
      turn: Promise.resolve(),
      seen: newSeen(),
    }
    groups.set(tenantId, group)
    group.attached = read(tenantId, group)
    group.attached.catch(() => drop(tenantId, group))
    return group
  }

  function leave(tenantId: string, group: Group, reader: Reader) {
    group.readers.delete(reader)
    if (group.readers.size > 0) return
    drop(tenantId, group)
    group.end?.()
  }

  return {
    async follow(viewer, asked) {
      const { filter } = check(checks.list, { filter: asked ?? {} })
      // Its faults are the caller's, now, and not of whoever is told something later.
      conditionsOf(filter, '', createParameters())
      const { tenantId } = viewer
      const reader = newReader(viewer, filter)
      const group = join(tenantId)
      group.readers.add(reader)
      try {
        await group.attached
        await inTurn(group, async () => {
          // What waits to be told happened before, and its list shall have it.
          await tell(group)
          await noteFitting(reader)
          tellReset(reader)
        })
      } catch (error) {
        leave(tenantId, group, reader)
        throw error
      }
      const isOver = () => groups.get(tenantId) !== group || !group.readers.has(reader)
      return closing(changesOf(reader, isOver), () => {
        leave(tenantId, group, reader)
        reader.wake()
      })
    },
    start() {
      looking = setInterval(look, lookMs)
    },
    stop() {
      clearInterval(looking)
      for (const group of groups.values()) group.end?.()
    },
  }
}

/** What waits to be told, which counts as told from now on. */
function takeChanges({ changed, seen }: Group): ListChange[] {
  const changes = [...changed.values()]
  changed.clear()
  for (const { notices = [] } of changes) markNotices(seen, notices)
  return changes
}

function newReader(viewer: Viewer, filter: SessionFilter): Reader {
  const { userId, role } = viewer
  const { deleted, ...conditions } = filter
  const isPlain = !deleted && Object.values(conditions).every((value) => value == null)
  return {
    ...{ viewer, userId, role, filter, filterKey: digestOf(filter), isPlain },
    fitting: null,
    dropped: new Set(),
    waiting: new Map(),
    wake() {},
  }
}

async function* changesOf(reader: Reader, isOver: () => boolean): AsyncGenerator<SessionChange> {
  while (!isOver()) {
    const [first] = reader.waiting
    if (first) {
      reader.waiting.delete(first[0])
      yield first[1]
    } else
      await new Promise<void>((resolve) => {
        reader.wake = resolve
      })
  }
}
