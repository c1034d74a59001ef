import { z } from 'zod'
import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import { isUniqueViolation, type Run, type Statement } from '../../db/client.ts'
import { createBatch } from '../../lib/batch.ts'
import { check, clientKey, modelId, modelParameters, text } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Sessions } from '../sessions/service.ts'
import { endRunOnce, noUsage } from './ending.ts'
import type { Engine } from './engine.ts'
import { runColumns } from './rows.ts'
import type { Sent, Turns } from './turn.ts'

export type Runs = {
  /**
   * Stores a user message with an empty reply and a waiting run, and has it answered. The same `clientId` gives the
   * same three rows and never a second model call; other content under it is a `ConflictError`.
   */
  send(viewer: Viewer, input: unknown): Promise<Sent>
  /** The runs of a session that have not ended, oldest first; for many sessions at once, it is one statement. */
  open(viewer: Viewer, sessionId: string): Promise<readonly Run[]>
  /** Waits until a run has ended, and gives it as it is then. */
  ended(viewer: Viewer, run: Run): Promise<Run>
  /** Waits until the run of a send has ended, and gives the rows as they are then. */
  waitForEnd(viewer: Viewer, sent: Sent): Promise<Sent>
  /** Stops a run, from wherever it is asked; a run that has ended stays as it is. */
  cancel(viewer: Viewer, runId: string): Promise<Run>
}

const findOpen: Statement = {
  name: 'run-open-of-sessions',
  text: `SELECT ${runColumns} FROM runs r WHERE r.tenant_id = $1 AND r.session_id = ANY($2)
    AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') ORDER BY r.id`,
}

const requestCancel: Statement = {
  name: 'run-request-cancel',
  text: `UPDATE runs r SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') RETURNING ${runColumns}`,
}

type Dependencies = {
  config: Config['sessions']
  sessions: Sessions
  turns: Turns
  changes: Changes
  feed: Feed
  engine: Engine
}

export function createRuns({ config, sessions, turns, changes, feed, engine }: Dependencies): Runs {
  const sendInput = z.object({
    sessionId: z.uuid(),
    content: text({ min: 1, max: config.messageMaxLength }),
    clientId: clientKey.nullish(),
    model: modelId.nullish(),
    parameters: modelParameters.nullish(),
  })

  const openRuns = createBatch<Viewer['db'], string, readonly Run[]>(async (db, sessionIds) => {
    const rows = await db.sql<Run>(findOpen, [db.tenantId, sessionIds])
    return Map.groupBy(rows, ({ sessionId }) => sessionId)
  })

  async function current(viewer: Viewer, runId: string): Promise<Run> {
    const where = { tenantId: viewer.tenantId, id: runId, ...onVisibleSession(viewer) }
    const run = await viewer.db.prisma.run.findFirst({ where })
    if (!run) throw new NotFoundError('run')
    return run
  }

  async function ended(viewer: Viewer, run: Run): Promise<Run> {
    const read = async () =>
      viewer.db.snapshot(async (prisma) => {
        const where = { tenantId: viewer.tenantId, id: run.id, ...onVisibleSession(viewer) }
        const found = await prisma.run.findFirst({
          where,
          include: { session: { select: { revision: true } } },
        })
        if (!found) throw new NotFoundError('run')
        return { revision: found.session.revision, text: new Map<string, string>(), run: found }
      })
    const deliveries = await feed.follow(run.sessionId, { read })
    for await (const delivery of deliveries) {
      const isOver =
        'snapshot' in delivery
          ? delivery.snapshot.state.run.finishedAt !== null
          : delivery.event.type === 'RunFinished' && delivery.event.run.id === run.id
      if (isOver) break
    }
    return current(viewer, run.id)
  }

  return {
    open: async ({ db }, sessionId) => (await openRuns(db, sessionId)) ?? [],
    async send(viewer, asked) {
      const input = check(sendInput, asked)
      const { sessionId, clientId, ...content } = input
      const session = await sessions.require(viewer, sessionId, 'EDITOR')
      const key = clientId ? { clientId, clientDigest: digestOf(content) } : undefined
      const earlier = await turns.repeated(viewer, sessionId, key)
      if (earlier) return earlier
      const settled = await turns.settle(viewer, session, input)
      const turn = { question: { content: input.content, ...key }, ...settled }
      try {
        const sent = await changes.commit(viewer.db, sessionId, (sql) =>
          turns.store(sql, viewer, session, turn),
        )
        await engine.offer(sent.run, sent.revision)
        return sent
      } catch (error) {
        const twin = isUniqueViolation(error) ? await turns.repeated(viewer, sessionId, key) : null
        if (twin) return twin
        throw error
      }
    },
    ended,
    async waitForEnd(viewer, { run, userMessage }) {
      const over = await ended(viewer, run)
      const where = { tenantId: viewer.tenantId, id: run.assistantMessageId }
      const assistantMessage = await viewer.db.prisma.message.findFirstOrThrow({ where })
      return { run: over, userMessage, assistantMessage }
    },
    async cancel(viewer, runId) {
      const run = await current(viewer, runId)
      await sessions.require(viewer, run.sessionId, 'EDITOR')
      const [asked] = await viewer.db.sql<Run>(requestCancel, [viewer.tenantId, runId])
      if (!asked) return current(viewer, runId)
      const waiting = await endRunOnce(changes, viewer.db, asked, ['QUEUED', 'REQUIRES_ACTION'], {
        status: 'CANCELLED',
        finishReason: 'CANCELLED',
        text: null,
        toolCalls: [],
        usage: noUsage,
        error: null,
      })
      if (waiting) await engine.takeWaiting()
      else await engine.cancel(runId)
      return current(viewer, runId)
    },
  }
}
