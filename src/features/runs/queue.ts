import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Run, Session, Sql, Statement } from '../../db/client.ts'
import { check } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { lockMessages } from '../messages/removal.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'
import { runColumns, runQueued } from './rows.ts'
import type { Runs } from './service.ts'

export type RunQueue = {
  /** How many runs of its session come before a waiting run; null where it does not wait. */
  position(viewer: Viewer, run: Run): Promise<number | null>
  /** Gives a waiting run another place in its session's line; one past the end means the end. */
  move(viewer: Viewer, input: unknown): Promise<Moved>
}

/** `queue` is the whole line after the move. */
export type Moved = { run: Run; queue: Run[]; session: Session }

const findQueue: Statement = {
  name: 'run-queue',
  text: `SELECT ${runColumns} FROM runs r WHERE r.tenant_id = $1 AND r.session_id = $2 AND r.status = 'QUEUED'
    ORDER BY r.queue_rank, r.id`,
}

const rankQueue: Statement = {
  name: 'run-rank-queue',
  text: `UPDATE runs r SET queue_rank = place, updated_at = clock_timestamp()
    FROM unnest($2::uuid[]) WITH ORDINALITY AS line (id, place)
    WHERE r.tenant_id = $1 AND r.id = line.id AND r.queue_rank <> place RETURNING r.id`,
}

const bumpRevision: Statement = {
  name: 'session-bump-revision',
  text: `UPDATE sessions s SET revision = revision + 1, updated_at = clock_timestamp()
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

const moveInput = z.object({
  runId: z.uuid(),
  position: z.int('is not a whole number').min(0, 'is below 0, which is the next place'),
})

type Dependencies = { sessions: Sessions; runs: Runs; changes: Changes }

export function createRunQueue({ sessions, runs, changes }: Dependencies): RunQueue {
  const read = (sql: Sql, tenantId: string, sessionId: string) => sql<Run>(findQueue, [tenantId, sessionId])

  return {
    async position(viewer, run) {
      if (run.status !== 'QUEUED') return null
      const open = await runs.open(viewer, run.sessionId)
      const place = open.filter(({ status }) => status === 'QUEUED').findIndex(({ id }) => id === run.id)
      return place < 0 ? null : place
    },
    async move(viewer, asked) {
      const { runId, position } = check(moveInput, asked)
      const { tenantId } = viewer
      const { sessionId } = await runs.find(viewer, runId)
      await sessions.require(viewer, sessionId, 'EDITOR')
      return changes.commit<Moved>(viewer.db, sessionId, async (sql) => {
        await lockMessages(sql, { tenantId, sessionId })
        const before = await read(sql, tenantId, sessionId)
        const moving = before.find(({ id }) => id === runId)
        if (!moving) throw invalid('runId', 'does not wait for its turn, or not any more')
        if (moving.startedAt) throw invalid('runId', 'has begun and only waits to go on: it stays the next')
        const line = before.filter((run) => run !== moving)
        // One that waits to go on with the results of its tools keeps the turn of its session.
        const begun = line.filter(({ startedAt }) => startedAt !== null).length
        line.splice(Math.max(position, begun), 0, moving)
        await sql(rankQueue, [tenantId, line.map(({ id }) => id)])
        const [session] = await sql<Session>(bumpRevision, [tenantId, sessionId])
        const queue = await read(sql, tenantId, sessionId)
        if (!session) throw new Error(`The session ${sessionId} is gone from under its lock.`)
        const changed = queue.filter(({ id }, place) => before[place]?.id !== id)
        const events = [...changed.map((run) => runQueued(run, session)), sessionUpdated(session)]
        const run = queue.find(({ id }) => id === runId)
        if (!run) throw invalid('runId', 'does not wait for its turn any more')
        return { result: { run, queue, session }, events }
      })
    },
  }
}
