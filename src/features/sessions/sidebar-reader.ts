import { actsForTenant } from '../../auth/policy.ts'
import type { Session } from '../../db/client.ts'
import type { ListChange } from '../../realtime/listing.ts'
import { isRelated, type Match, mayList, type Onlooker } from './matching.ts'

/** `RESET`: changes may be missing, or are still to come from here on: the list is to be read now. */
export type SessionChange = {
  kind: 'CREATED' | 'UPDATED' | 'DELETED' | 'RESET'
  sessionId: string | null
  session: Session | null
}

/** One who follows a list, and what it is known to have in it. */
export type SidebarReader = Onlooker & {
  /** The sessions of the list; null where they are not kept track of. */
  fitting: Set<string> | null
  /** Where they are not: those that it was told to drop. */
  dropped: Set<string>
  /** What it was not told yet, in order; of each session the latest. */
  readonly waiting: Map<string, SessionChange>
  wake(): void
}

/** What is kept for one reader; beyond that it reads its list anew, or may be told to drop what it does not have. */
const waitingAtMost = 1_000
export const fittingAtMost = 2_000
const droppedAtMost = 1_000

const reset: SessionChange = { kind: 'RESET', sessionId: null, session: null }

export function tellReset(reader: SidebarReader): void {
  reader.waiting.clear()
  reader.waiting.set('', reset)
  reader.dropped.clear()
  reader.wake()
}

/** Tells the reader what a change is to its list, if it is anything. `fits` is of the reader's filter. */
export function tellChange(
  reader: SidebarReader,
  change: ListChange,
  match: Match | undefined,
  fits: boolean,
): void {
  if (change.only !== undefined && change.only !== reader.userId) return
  const isIn = match !== undefined && fits && mayList(reader, match)
  const { sessionId } = change
  const kind = isIn ? kindOf(reader, change) : hadIt(reader, change, match) ? 'DELETED' : null
  if (kind === null) return
  note(reader, sessionId, isIn)
  const before = reader.waiting.get(sessionId)
  // Moved to the end, where its latest change belongs.
  reader.waiting.delete(sessionId)
  const isNew = kind === 'UPDATED' && before?.kind === 'CREATED'
  reader.waiting.set(sessionId, {
    kind: isNew ? 'CREATED' : kind,
    sessionId,
    session: isIn ? match.session : null,
  })
  if (reader.waiting.size > waitingAtMost) tellReset(reader)
  reader.wake()
}

/** Whether the session was in the list; undefined where that is not known. */
const wasIn = ({ fitting, dropped }: SidebarReader, sessionId: string): boolean | undefined =>
  fitting ? fitting.has(sessionId) : dropped.has(sessionId) ? false : undefined

function kindOf(reader: SidebarReader, { sessionId, shown }: ListChange) {
  const was = wasIn(reader, sessionId) ?? !(shown === true || shown?.includes(reader.userId))
  return was ? 'UPDATED' : 'CREATED'
}

function hadIt(reader: SidebarReader, { sessionId, hidden }: ListChange, match: Match | undefined): boolean {
  const was = wasIn(reader, sessionId)
  if (was !== undefined) return was
  // A session that is gone is told to those who saw it, and of it no more than its id.
  if (match) return isRelated(reader, match) || hidden?.includes(reader.userId) === true
  return (
    hidden !== undefined && hidden.length > 0 && (actsForTenant(reader) || hidden.includes(reader.userId))
  )
}

function note({ fitting, dropped }: SidebarReader, sessionId: string, isIn: boolean) {
  if (fitting) {
    if (isIn) fitting.add(sessionId)
    else fitting.delete(sessionId)
  } else if (isIn) dropped.delete(sessionId)
  else {
    dropped.add(sessionId)
    for (const oldest of dropped) {
      if (dropped.size <= droppedAtMost) break
      dropped.delete(oldest)
    }
  }
}
