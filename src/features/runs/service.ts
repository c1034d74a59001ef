import { z } from 'zod'
import { onVisibleSession } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import {
  isUniqueViolation,
  type Message,
  type Run,
  type Session,
  type Sql,
  type Statement,
} from '../../db/client.ts'
import { check, clientKey, modelId, modelParameters, text } from '../../lib/checks.ts'
import { digestOf } from '../../lib/digest.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import type { Feed } from '../../realtime/feed.ts'
import { appendMessages, messageAdded } from '../messages/append.ts'
import type { ClientKey, Messages } from '../messages/service.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { sessionUpdated } from '../sessions/rows.ts'
import type { Sessions } from '../sessions/service.ts'
import { endRunOnce, noUsage } from './ending.ts'
import type { Engine } from './engine.ts'
import { runColumns, runQueued } from './rows.ts'

export type Sent = { userMessage: Message; assistantMessage: Message; run: Run }

export type Runs = {
  /**
   * Stores a user message with an empty reply and a waiting run, and has it answered. The same `clientId` gives the
   * same three rows and never a second model call; other content under it is a `ConflictError`.
   */
  send(viewer: Viewer, input: unknown): Promise<Sent>
  /** Waits until the run of a send has ended, and gives the rows as they are then. */
  waitForEnd(viewer: Viewer, sent: Sent): Promise<Sent>
  /** Stops a run, from wherever it is asked; a run that has ended stays as it is. */
  cancel(viewer: Viewer, runId: string): Promise<Run>
}

const insertRun: Statement = {
  name: 'run-insert',
  text: `INSERT INTO runs AS r (tenant_id, id, session_id, user_id, model, parameters, user_message_id, assistant_message_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${runColumns}`,
}

const requestCancel: Statement = {
  name: 'run-request-cancel',
  text: `UPDATE runs r SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.status IN ('QUEUED', 'RUNNING', 'REQUIRES_ACTION') RETURNING ${runColumns}`,
}

type Dependencies = {
  config: Config['sessions']
  sessions: Sessions
  messages: Messages
  models: ModelCatalog
  changes: Changes
  feed: Feed
  engine: Engine
}

export function createRuns({
  config,
  sessions,
  messages,
  models,
  changes,
  feed,
  engine,
}: Dependencies): Runs {
  const sendInput = z.object({
    sessionId: z.uuid(),
    content: text({ min: 1, max: config.messageMaxLength }),
    clientId: clientKey.nullish(),
    model: modelId.nullish(),
    parameters: modelParameters.nullish(),
  })

  async function repeated(
    viewer: Viewer,
    sessionId: string,
    keys: readonly ClientKey[],
  ): Promise<Sent | null> {
    const [userMessage] = (await messages.findRepeated(viewer, sessionId, keys)) ?? []
    if (!userMessage) return null
    const run = await viewer.db.prisma.run.findFirst({
      where: { tenantId: viewer.tenantId, userMessageId: userMessage.id },
      include: { assistantMessage: true },
      orderBy: { id: 'asc' },
    })
    return run && { userMessage, assistantMessage: run.assistantMessage, run }
  }

  async function settle(viewer: Viewer, session: Session, input: z.output<typeof sendInput>) {
    const { db, tenantId } = viewer
    const agent = session.agentId
      ? await db.prisma.agent.findFirst({ where: { tenantId, id: session.agentId } })
      : null
    const model = input.model ?? session.model ?? agent?.model ?? models.defaultModel
    models.require(model)
    // What was asked for in the send goes over the session's, that over the agent's.
    const parameters = Object.assign({}, agent?.parameters, session.parameters, input.parameters) as object
    return { model, parameters }
  }

  async function current(viewer: Viewer, runId: string): Promise<Run> {
    const where = { tenantId: viewer.tenantId, id: runId, ...onVisibleSession(viewer) }
    const run = await viewer.db.prisma.run.findFirst({ where })
    if (!run) throw new NotFoundError('run')
    return run
  }

  return {
    async send(viewer, asked) {
      const input = check(sendInput, asked)
      const { sessionId, clientId, ...content } = input
      const session = await sessions.require(viewer, sessionId, 'EDITOR')
      const keys = clientId ? [{ clientId, clientDigest: digestOf(content) }] : []
      const earlier = await repeated(viewer, sessionId, keys)
      if (earlier) return earlier
      const settled = await settle(viewer, session, input)
      try {
        const sent = await changes.commit(viewer.db, sessionId, (sql) =>
          store(sql, viewer, session, { content: input.content, key: keys[0], ...settled }),
        )
        engine.offer(sent.run.id)
        return sent
      } catch (error) {
        const twin = isUniqueViolation(error) ? await repeated(viewer, sessionId, keys) : null
        if (twin) return twin
        throw error
      }
    },
    async waitForEnd(viewer, { run, userMessage }) {
      const read = async () => ({
        revision: 0,
        text: new Map<string, string>(),
        run: await current(viewer, run.id),
      })
      const deliveries = await feed.follow(run.sessionId, { read })
      for await (const delivery of deliveries) {
        const isOver =
          'snapshot' in delivery
            ? delivery.snapshot.state.run.finishedAt !== null
            : delivery.event.type === 'RunFinished' && delivery.event.run.id === run.id
        if (isOver) break
      }
      const ended = await current(viewer, run.id)
      const where = { tenantId: viewer.tenantId, id: run.assistantMessageId }
      const assistantMessage = await viewer.db.prisma.message.findFirstOrThrow({ where })
      return { run: ended, userMessage, assistantMessage }
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

type Asked = { content: string; key: ClientKey | undefined; model: string; parameters: object }

/** The user message, the empty reply and the waiting run, as one transaction. */
async function store(sql: Sql, viewer: Viewer, session: Session, asked: Asked) {
  const { tenantId, userId } = viewer
  const runId = newId()
  const question = {
    id: newId(),
    role: 'USER',
    content: asked.content,
    authorId: userId,
    runId,
    ...asked.key,
  } as const
  const reply = {
    id: newId(),
    role: 'ASSISTANT',
    content: '',
    agentId: session.agentId,
    runId,
    status: 'STREAMING',
    model: asked.model,
  } as const
  const stored = await appendMessages(sql, { tenantId, sessionId: session.id }, [question, reply])
  const [userMessage, assistantMessage] = stored.messages
  const [run] = await sql<Run>(insertRun, [
    tenantId,
    runId,
    session.id,
    userId,
    asked.model,
    asked.parameters,
    question.id,
    reply.id,
  ])
  if (!userMessage || !assistantMessage || !run) throw new Error('The send was not stored whole.')
  return {
    result: { userMessage, assistantMessage, run },
    events: [
      messageAdded(userMessage, stored.session),
      messageAdded(assistantMessage, stored.session),
      runQueued(run, stored.session),
      sessionUpdated(stored.session),
    ],
  }
}
