import type { Viewer } from '../../auth/viewer.ts'
import type { Agent, Message, Run, Session, Sql, Statement } from '../../db/client.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import { ConflictError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import type { RateLimit } from '../../lib/rates.ts'
import type { AgentTool } from '../agents/checks.ts'
import type { ContextBuilder } from '../context/service.ts'
import { appendMessages, type Draft, messageAdded } from '../messages/append.ts'
import { messagesRemoved } from '../messages/removal.ts'
import type { ClientKey, Messages } from '../messages/service.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Change } from '../sessions/changes.ts'
import { sessionUpdated } from '../sessions/rows.ts'
import type { Claims } from './claims.ts'
import { runQueued, runStarted } from './rows.ts'

/** A user message, its reply, and the run that makes it. */
export type Sent = { userMessage: Message; assistantMessage: Message; run: Run }

/** As it was stored, with the session's revision of that commit. */
export type StoredTurn = Sent & { revision: number }

type Extras = Partial<Pick<Draft, 'clientId' | 'clientDigest' | 'replacesId' | 'metadata'>>

/** What is to be stored and answered. */
export type Turn = {
  /** A new message, or a stored one that is answered anew. */
  question: ({ content: string } & Extras) | Message
  /** Messages around a new question that the run is given, and that count as its own. */
  before?: readonly Draft[]
  after?: readonly Draft[]
  reply?: Extras
  model: string
  parameters: object
  /** The documents that the reply may draw on; those of the session where absent. */
  documentIds?: readonly string[] | undefined
  /** For this reply alone; that of the session where absent. */
  contextPolicy?: ContextPolicy | null
  /** For this reply alone; those of the agent where absent. */
  tools?: readonly AgentTool[] | null | undefined
  /** The messages that left the conversation for it. */
  replaced?: readonly string[]
  /** Whether its turn comes before that of all that wait. */
  isFirst?: boolean
}

export type Turns = {
  /**
   * The model and the parameters of a run: what was asked for goes over the session's, that over the agent's, and that over
   * the model's defaults. Throws where the model may not be used or is known to be out of reach, and a `ValidationError`
   * where the question is longer than the model or the policy lets it be.
   */
  settle(
    viewer: Viewer,
    session: SettingsOfSession,
    asked: {
      content: string | null
      model?: string | null | undefined
      parameters?: object | null | undefined
      contextPolicy?: ContextPolicy | null | undefined
    },
  ): Promise<{ model: string; parameters: object }>
  /**
   * Counts a turn that is about to begin; throws a `RateLimitedError` where its user begins too many. What a service sends
   * counts as its session's owner's.
   */
  count(viewer: Viewer, session: Pick<Session, 'userId'>): void
  /** What was stored under a client's key; null where it is new, a `ConflictError` where it stood for something else. */
  repeated(viewer: Viewer, sessionId: string, key: ClientKey | undefined): Promise<Sent | null>
  /**
   * Stores the question, where it is new, with an empty reply and the run, as part of the caller's transaction. Once
   * that is committed the run is to be offered to the engine, which may be its owner already.
   */
  store(sql: Sql, viewer: Viewer, session: Session, turn: Turn): Promise<Change<StoredTurn>>
}

const findAgent: Statement = {
  name: 'turn-agent',
  text: `SELECT a.model, a.parameters, a.context_policy AS "contextPolicy", a.system_prompt AS "systemPrompt"
    FROM agents a WHERE a.tenant_id = $1 AND a.id = $2`,
}

/** What a session has to say about its runs. */
export type SettingsOfSession = Pick<Session, 'agentId' | 'model' | 'systemPrompt'> & {
  parameters: unknown
  contextPolicy: unknown
}

type SettingsOfAgent = Pick<Agent, 'model' | 'parameters' | 'contextPolicy' | 'systemPrompt'>

const storePolicy: Statement = {
  name: 'run-store-policy',
  text: 'UPDATE runs SET context_policy = $3, tools = $4 WHERE tenant_id = $1 AND id = $2',
}

type Dependencies = {
  messages: Messages
  models: ModelCatalog
  claims: Claims
  context: ContextBuilder
  sendRate: RateLimit
}

export function createTurns({ messages, models, claims, context, sendRate }: Dependencies): Turns {
  return {
    count: ({ role, tenantId, userId }, session) =>
      sendRate.take(`${tenantId}:${role === 'SERVICE' ? session.userId : userId}`),
    async settle(viewer, session, asked) {
      const { db, tenantId } = viewer
      const [agent] = session.agentId
        ? await db.sql<SettingsOfAgent>(findAgent, [tenantId, session.agentId])
        : []
      const model = asked.model ?? session.model ?? agent?.model ?? models.defaultModel
      const layers = [agent?.parameters, session.parameters] as (object | null | undefined)[]
      const parameters = await models.settle(viewer, model, { layers, asked: asked.parameters })
      const policy = asked.contextPolicy ?? session.contextPolicy ?? agent?.contextPolicy ?? null
      await context.requireRoom({
        ...{ model, parameters, content: asked.content, policy: policy as ContextPolicy | null },
        systemPrompt: session.systemPrompt ?? agent?.systemPrompt ?? null,
      })
      return { model, parameters }
    },
    async repeated(viewer, sessionId, key) {
      const [message] = (key && (await messages.findRepeated(viewer, sessionId, [key]))) ?? []
      if (!message) return null
      const found = await viewer.db.prisma.run.findFirst({
        where: {
          tenantId: viewer.tenantId,
          OR: [
            { userMessageId: message.id },
            { assistantMessageId: message.id },
            // A reply that called tools is not the last of its run.
            ...(message.runId ? [{ id: message.runId }] : []),
          ],
        },
        include: { userMessage: true, assistantMessage: true },
        // A message that was answered anew has several; the key stands for the first.
        orderBy: { id: 'asc' },
      })
      if (!found)
        throw new ConflictError(
          `clientId: ${JSON.stringify(message.clientId)} was used before, and the reply has been deleted since.`,
        )
      const { userMessage, assistantMessage, ...run } = found
      return { userMessage, assistantMessage, run }
    },
    async store(
      sql,
      { tenantId, userId },
      session,
      {
        question,
        before = [],
        after = [],
        reply,
        model,
        parameters,
        documentIds,
        contextPolicy = null,
        tools = null,
        replaced = [],
        isFirst = false,
      },
    ) {
      const runId = newId()
      const asked = isStored(question)
        ? []
        : [...before, { ...question, id: newId(), role: 'USER', authorId: userId } as const, ...after].map(
            (draft) => ({ ...draft, runId }),
          )
      const { agentId } = session
      const answer = { id: newId(), role: 'ASSISTANT', content: '', agentId, status: 'STREAMING' } as const
      const place = { tenantId, sessionId: session.id }
      const drafts = [...asked, { ...reply, ...answer, runId, model }]
      const stored = await appendMessages(sql, place, drafts, { replacedCount: replaced.length })
      const userMessage = isStored(question) ? question : stored.messages[before.length]
      const assistantMessage = stored.messages.at(-1)
      if (!userMessage || !assistantMessage) throw new Error('The messages were not stored whole.')
      const ids = { userMessageId: userMessage.id, assistantMessageId: assistantMessage.id }
      const settled = { model, parameters, documentIds, isFirst }
      const queued = await claims.store(sql, { ...place, ...ids, ...settled, id: runId, userId })
      const run = { ...queued, contextPolicy, tools: tools as Run['tools'] }
      if (contextPolicy || tools)
        await sql(storePolicy, [tenantId, runId, contextPolicy, tools && JSON.stringify(tools)])
      return {
        result: { userMessage, assistantMessage, run, revision: stored.session.revision },
        events: [
          ...messagesRemoved(replaced, stored.session),
          ...stored.messages.map((message) => messageAdded(message, stored.session)),
          runQueued({ ...run, status: 'QUEUED', startedAt: null }, stored.session),
          ...(run.status === 'RUNNING' ? [runStarted(run, stored.session)] : []),
          sessionUpdated(stored.session),
        ],
      }
    },
  }
}

const isStored = (question: Turn['question']): question is Message => 'seq' in question
