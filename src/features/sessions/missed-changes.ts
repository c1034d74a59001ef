import type { Statement, SystemDatabase } from '../../db/client.ts'
import type { ListChange } from '../../realtime/listing.ts'

/** What lists of a tenant were told of late, as far as a look at the database can tell whether that is all. */
export type Seen = {
  /** The revision of each session that was told; null before the first look. */
  revisions: Map<string, number> | null
  /** Sessions that were ahead of what was told at the last look. */
  suspects: Set<string>
}

type Row = { tenantId: string; id: string; revision: number; isNew: boolean }

export const newSeen = (): Seen => ({ revisions: null, suspects: new Set() })

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
 * log in common: the session is ahead of what was told for two looks in a row. An erasure leaves nothing to be found.
 */
export async function findMissed(
  system: SystemDatabase,
  tenants: ReadonlyMap<string, Seen>,
): Promise<ReadonlyMap<string, ListChange[]>> {
  const rows = await system.sql<Row>(findChanged, [[...tenants.keys()]])
  const missed = new Map<string, ListChange[]>()
  const byTenant = Map.groupBy(rows, ({ tenantId }) => tenantId)
  for (const [tenantId, seen] of tenants) {
    const changed = byTenant.get(tenantId) ?? []
    const ahead = changed.filter(
      ({ id, revision }) => seen.revisions && (seen.revisions.get(id) ?? -1) < revision,
    )
    missed.set(
      tenantId,
      ahead
        .filter(({ id }) => seen.suspects.has(id))
        .map(({ id, isNew }) => ({
          sessionId: id,
          ...(isNew && !seen.revisions?.has(id) && { shown: true as const }),
        })),
    )
    seen.suspects = new Set(ahead.map(({ id }) => id))
    // Only what may come up again is kept; before the first look, it was all there already.
    const known = seen.revisions
    seen.revisions = new Map(
      changed.flatMap(({ id, revision }) => {
        const told = known ? known.get(id) : revision
        return told === undefined ? [] : [[id, told] as const]
      }),
    )
  }
  return missed
}
