import type { Statement, SystemDatabase } from '../../db/client.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import type { Log } from '../../telemetry/log.ts'

/**
 * Finds changes that were committed and never announced, because their node died in between or the log was away: the
 * revision of a followed session is ahead of its log for two looks in a row. Then the log is told so, and every
 * follower takes a snapshot.
 */
export type LostChanges = {
  /** A session that is followed from now on. */
  watch(tenantId: string, sessionId: string): void
  start(): void
  stop(): void
}

type Stored = { id: string; revision: number | null; isDeleted: boolean }

/** Two of them, and what a snapshot takes, stay below the 5 s that a subscriber may go without. */
const lookMs = 1_500

const batchSize = 1_000

const readRevisions: Statement = {
  name: 'live-revisions',
  text: `SELECT f.id, s.revision, s.id IS NULL OR s.deleted_at IS NOT NULL AS "isDeleted"
    FROM unnest($1::uuid[], $2::uuid[]) AS f (tenant_id, id)
    LEFT JOIN sessions s ON s.tenant_id = f.tenant_id AND s.id = f.id`,
}

type Dependencies = { system: SystemDatabase; feed: Feed; log: Log }

export function createLostChanges({ system, feed, log }: Dependencies): LostChanges {
  const tenants = new Map<string, string>()
  /** The sessions that were behind at the last look. */
  let suspects = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let isLooking = false

  async function look() {
    const followed = feed.followed()
    for (const sessionId of tenants.keys()) if (!followed.has(sessionId)) tenants.delete(sessionId)
    const watched = [...tenants]
    const behind = new Set<string>()
    for (let at = 0; at < watched.length; at += batchSize) {
      const batch = watched.slice(at, at + batchSize)
      const values = [batch.map(([, tenantId]) => tenantId), batch.map(([sessionId]) => sessionId)]
      for (const stored of await system.sql<Stored>(readRevisions, values)) {
        const told = followed.get(stored.id)
        if (told === undefined || !isAhead(stored, told)) continue
        if (suspects.has(stored.id)) await tell(stored, told)
        else behind.add(stored.id)
      }
    }
    suspects = behind
  }

  /** Followers that read slowly are behind without anything being lost: the log itself knows. */
  async function tell(stored: Stored, told: number) {
    const announced = await feed.announced(stored.id)
    if (announced !== undefined && !isAhead(stored, announced)) return
    const revision = stored.revision ?? (announced ?? told) + 1
    const event: ChangeEvent = stored.isDeleted
      ? { type: 'SessionDeleted', revision, sessionId: stored.id }
      : { type: 'Lost', revision }
    await feed.publish(stored.id, [event])
    log.warn({ sessionId: stored.id, revision }, 'a change was never announced: its followers read again')
  }

  return {
    watch(tenantId, sessionId) {
      tenants.set(sessionId, tenantId)
    },
    start() {
      timer = setInterval(async () => {
        if (isLooking) return
        isLooking = true
        try {
          await look()
        } catch (error) {
          log.debug({ err: error }, 'lost changes could not be looked for')
        }
        isLooking = false
      }, lookMs)
    },
    stop: () => clearInterval(timer),
  }
}

/** A session that was erased has no revision any more; its feed ended unless the erasure is what was lost. */
const isAhead = ({ revision }: Stored, told: number) => revision === null || revision > told
