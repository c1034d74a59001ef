import type { Database, Run } from '../../db/client.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Claims } from './claims.ts'
import { endRunOnce, noUsage } from './ending.ts'
import type { Engine } from './engine.ts'

export type Recovery = {
  /** Ends what nobody works on any more and takes what waits; then again every few seconds until `stop`. */
  start(): Promise<void>
  stop(): void
}

const sweepMs = 5_000

type Dependencies = {
  database: Database
  claims: Claims
  changes: Changes
  feed: Feed
  engine: Engine
  log: Log
  /** Whether no other node can be using this database, so that a run found running at the start has lost its node. */
  isOnlyNode: boolean
}

export function createRecovery({
  database,
  claims,
  changes,
  feed,
  engine,
  log,
  isOnlyNode,
}: Dependencies): Recovery {
  let timer: NodeJS.Timeout | undefined

  /** The row has it as of the last checkpoint; subscribers were told more, and the log outlives a node. */
  async function textOf({ tenantId, sessionId, assistantMessageId }: Run): Promise<string | null> {
    const where = { tenantId, id: assistantMessageId }
    const reply = await database
      .forTenant(tenantId)
      .prisma.message.findFirst({ where, select: { content: true } })
    return feed.complete(sessionId, assistantMessageId, reply?.content ?? '').catch(() => null)
  }

  async function interruptAbandoned(all: boolean) {
    for (;;) {
      const runs = await claims.abandoned({ all })
      for (const run of runs) {
        const ended = await endRunOnce(changes, database.forTenant(run.tenantId), run, ['RUNNING'], {
          status: 'INTERRUPTED',
          finishReason: 'OTHER',
          text: await textOf(run),
          toolCalls: [],
          usage: noUsage,
          error: { code: 'INTERNAL_SERVER_ERROR', message: 'The server that was answering stopped.' },
        })
        if (ended) log.warn({ runId: run.id }, 'a run was interrupted: its server stopped')
      }
      if (runs.length === 0) return
    }
  }

  const sweep = async (all: boolean) => {
    await interruptAbandoned(all)
    await engine.takeWaiting()
  }

  return {
    async start() {
      await sweep(isOnlyNode)
      timer = setInterval(() => {
        sweep(false).catch((error) => log.warn({ err: error }, 'the sweep for abandoned runs failed'))
      }, sweepMs)
    },
    stop: () => clearInterval(timer),
  }
}
