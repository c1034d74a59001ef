import type { Statement, SystemDatabase } from '../../db/client.ts'
import type { ListChange } from '../../realtime/listing.ts'
import { type Notice, noticesOf } from './list-notices.ts'

/** What lists of a tenant were told of late, as far as a look at the database can tell whether that is all. */
export type Seen = {
  /** The revision of each session that was told; null before the first look. */
  revisions: Map<string, number> | null
  /** When each notice was told, in milliseconds of this process. */
  readonly notices: Map<string, number>
  /** Sessions that were ahead of what was told at the last look, and notices that were not told then. */
  suspects: Set<string>
}

/** `anew`: the users whose lists are to be read anew, null among them for everybody's. */
export type Missed = { changes: ListChange[]; anew: Set<string | null> }

type Row = { tenantId: string; id: string; revision: number; isNew: boolean }

export const newSeen = (): Seen => ({ revisions: null, notices: new Map(), suspects: new Set() })

/** These were told, or are told now. */
export function markNotices({ notices }: Seen, ids: Iterable<string>): void {
  for (const id of ids) notices.set(id, performance.now())
}

/** A look that comes later than this after the one before may miss something. */
export const reachMs = 30_000

/** Of a tenant in one look; where more changed, earlier looks have seen those before. */
const rowsAtMost = 1_000

const findChanged: Statement = {
  name: 'session-changed-of-late',
  text: `SELECT wanted.tenant_id AS "tenantId", s.id, s.revision, s.created_at >= late.since AS "isNew"
    FROM (SELECT now() - interval '${reachMs} milliseconds' AS since) late, unnest($1::uuid[]) AS wanted (tenant_id)
    CROSS JOIN LATERAL (SELECT id, revision, created_at FROM sessions
      WHERE tenant_id = wanted.tenant_id AND NOT is_stateless AND updated_at >= now() - interval '${reachMs} milliseconds'
      ORDER BY updated_at DESC LIMIT ${rowsAtMost}) s`,
}

/**
 * Changes that were committed and that lists were not told of, because their node died in between, or the nodes have no
 * log in common, for two looks in a row: a session is ahead of what was told, or a notice was not told.
 */
export async function findMissed(
  system: SystemDatabase,
  tenants: ReadonlyMap<string, Seen>,
): Promise<ReadonlyMap<string, Missed>> {
  const ids = [...tenants.keys()]
  const [changed, notices] = await Promise.all([
    system.sql<Row>(findChanged, [ids]),
    noticesOf(system.sql, ids, reachMs / 1_000, rowsAtMost),
  ])
  const changedOf = Map.groupBy(changed, ({ tenantId }) => tenantId)
  const noticesFor = Map.groupBy(notices, ({ tenantId }) => tenantId)
  return new Map(
    [...tenants].map(([id, seen]) => [id, missedOf(seen, changedOf.get(id) ?? [], noticesFor.get(id) ?? [])]),
  )
}

function missedOf(seen: Seen, changed: readonly Row[], notices: readonly Notice[]): Missed {
  const { revisions: known, suspects } = seen
  const ahead = changed.filter(({ id, revision }) => known && (known.get(id) ?? -1) < revision)
  const changes = ahead
    .filter(({ id }) => suspects.has(id))
    .map(({ id, isNew }) => ({
      sessionId: id,
      ...(isNew && !known?.has(id) && { shown: true as const }),
    }))
  // Only what may come up again is kept; before the first look, it was all there already.
  seen.revisions = new Map(
    changed.flatMap(({ id, revision }) => {
      const told = known ? known.get(id) : revision
      return told === undefined ? [] : [[id, told] as const]
    }),
  )
  const untold = notices.filter(({ id }) => !seen.notices.has(id))
  const missed = known ? untold.filter(({ id }) => suspects.has(id)) : []
  forgetNotices(seen)
  markNotices(
    seen,
    (known ? missed : untold).map(({ id }) => id),
  )
  seen.suspects = new Set(known ? [...ahead, ...untold].map(({ id }) => id) : [])
  return { changes, anew: new Set(missed.map(({ userId }) => userId)) }
}

function forgetNotices({ notices }: Seen) {
  const beforeMs = performance.now() - 2 * reachMs
  for (const [id, toldAtMs] of notices) if (toldAtMs < beforeMs) notices.delete(id)
}
