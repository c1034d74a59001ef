import type { Config } from '../../config.ts'
import type { Database, Run, Statement } from '../../db/client.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Changes } from '../sessions/changes.ts'
import { endRunOnce } from './ending.ts'
import type { Engine } from './engine.ts'
import { runColumns } from './rows.ts'
import { type Ending, noUsage } from './settling.ts'

export type Recovery = {
  /** Goes on with what nobody works on any more, or ends it, and takes what waits; then again and again until `stop`. */
  start(): Promise<void>
  stop(): void
}

/** Rows looked at in one go. */
const batchSize = 50

// Its lease ran out, or this is the only node there can be.
const findAbandoned: Statement = {
  name: 'run-abandoned',
  text: `SELECT ${runColumns} FROM runs r WHERE r.status = 'RUNNING' AND ($1 OR r.lease_until < clock_timestamp())
      AND r.id <> ALL($2) ORDER BY r.id LIMIT ${batchSize}`,
}

// Whoever asks for the end of a paused or waiting run brings it about at once, unless that node dies on the way.
const findOverdue: Statement = {
  name: 'run-overdue',
  text: `SELECT ${runColumns}, r.cancel_requested_at IS NULL AND s.deleted_at IS NULL AS "isExpired"
    FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.status = 'REQUIRES_ACTION' AND (r.action_expires_at < clock_timestamp()
        OR r.cancel_requested_at IS NOT NULL OR s.deleted_at IS NOT NULL)
      OR r.status = 'QUEUED' AND r.cancel_requested_at IS NOT NULL
    ORDER BY r.id LIMIT ${batchSize}`,
}

const asStored = { text: null, toolCalls: [], usage: noUsage, cost: '0', error: null }
const cancelled: Ending = { ...asStored, status: 'CANCELLED', finishReason: 'CANCELLED' }
const interrupted: Ending = {
  ...asStored,
  status: 'INTERRUPTED',
  finishReason: 'OTHER',
  error: { code: 'INTERNAL_SERVER_ERROR', message: 'The server that was answering stopped.' },
}
const expired: Ending = {
  ...asStored,
  status: 'FAILED',
  finishReason: 'ERROR',
  error: {
    code: 'LIMIT_EXCEEDED',
    message:
      'The results of its tool calls did not come within the time that is allowed (RUN_ACTION_TIMEOUT_MS).',
  },
}

type Dependencies = {
  config: Config['runs']
  database: Database
  changes: Changes
  feed: Feed
  engine: Engine
  log: Log
  /** Whether no other node can be using this database, so that a run found running at the start has lost its node. */
  isOnlyNode: boolean
}

export function createRecovery({
  config,
  database,
  changes,
  feed,
  engine,
  log,
  isOnlyNode,
}: Dependencies): Recovery {
  const { sql } = database.system
  const end = (run: Run, from: Run['status'], ending: Ending) =>
    endRunOnce(changes, database.forTenant(run.tenantId), run, [from], ending)
  let timer: NodeJS.Timeout | undefined

  /**
   * The row has it as of the last checkpoint; subscribers were told more, and the log outlives a node. One that was only
   * frozen must not tell more from here on. The next change of the session is the end of the run at the earliest.
   */
  async function textOf({ tenantId, sessionId, assistantMessageId: messageId }: Run): Promise<string | null> {
    const reply = await database.forTenant(tenantId).prisma.message.findFirst({
      where: { tenantId, id: messageId },
      select: { content: true, session: { select: { revision: true } } },
    })
    if (!reply) return null
    const fence = reply.session.revision + 1
    return feed.takeOver({ sessionId, messageId, fence }, reply.content ?? '').catch(() => null)
  }

  async function recoverAbandoned(isCertain: boolean) {
    for (;;) {
      const runs = await sql<Run>(findAbandoned, [isCertain, engine.workingOn()])
      for (const run of runs) {
        if (await engine.takeOver(run, { isCertain })) {
          log.warn({ runId: run.id }, 'a run was taken over: its server stopped before its first word')
          continue
        }
        const ending = run.cancelRequestedAt ? cancelled : interrupted
        if (await end(run, 'RUNNING', { ...ending, text: await textOf(run) }))
          log.warn({ runId: run.id }, 'a run was interrupted: its server stopped')
      }
      if (runs.length < batchSize) return
    }
  }

  async function endOverdue() {
    for (;;) {
      const runs = await sql<Run & { isExpired: boolean }>(findOverdue, [])
      for (const { isExpired, ...run } of runs) {
        if (isExpired && (await engine.goOn(run))) continue
        await end(run, run.status, isExpired ? expired : cancelled)
      }
      if (runs.length < batchSize) return
    }
  }

  async function sweep(isCertain: boolean) {
    await recoverAbandoned(isCertain)
    await endOverdue()
    await engine.takeWaiting(null)
  }

  return {
    async start() {
      await sweep(isOnlyNode)
      const sweepMs = Math.min(config.leaseMs / 3, config.actionTimeoutMs)
      timer = setInterval(() => {
        sweep(false).catch((error) => log.warn({ err: error }, 'the sweep for abandoned runs failed'))
      }, sweepMs)
    },
    stop: () => clearInterval(timer),
  }
}
