import type { Viewer } from '../../auth/viewer.ts'
import type { Agent, Message, Run, Session, Sql, Statement, Step } from '../../db/client.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import { ConflictError, type QuotaError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import type { RateLimit } from '../../lib/rates.ts'
import type { AgentTool } from '../agents/checks.ts'
import type { SceneRow } from '../context/conversation.ts'
import type { ContextBuilder } from '../context/service.ts'
import { type Appended, appending, type Draft, messageAdded, titleOf } from '../messages/append.ts'
import { messagesRemoved } from '../messages/removal.ts'
import type { ClientKey, Messages } from '../messages/service.ts'
import type { ModelCatalog } from '../models/service.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Change } from '../sessions/changes.ts'
import { sessionUpdated } from '../sessions/rows.ts'
import type { Claims } from './claims.ts'
import { type ReadWithClaim, runQueued, runStarted } from './rows.ts'

/** A user message, its reply, and the run that makes it. */
export type Sent = { userMessage: Message; assistantMessage: Message; run: Run }

/** As it was stored, with the session's revision of that commit. */
export type StoredTurn = Sent & { revision: number; read: ReadWithClaim }

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
    /** Of the session, where it has been read already; null where there is none. */
    agent?: SettingsOfAgent | null,
  ): Promise<{ model: string; parameters: object }>
  /** What a session's agent has to say about its runs. */
  agentOf(tenantId: string, sessionId: string): Step<SettingsOfAgent | null>
  /**
   * Counts a turn that is about to begin; throws a `RateLimitedError` where its user begins too many. What a service sends
   * counts as its session's owner's.
   */
  count(viewer: Viewer, session: Pick<Session, 'userId'>): void
  /** What was stored under a client's key; null where it is new, a `ConflictError` where it stood for something else. */
  repeated(viewer: Viewer, sessionId: string, key: ClientKey | undefined): Promise<Sent | null>
  /** The message that a key stands for, or null; a `ConflictError` where it stands for something else. */
  repeating(viewer: Viewer, sessionId: string, key: ClientKey): Step<Message | null>
  /** The send that a message which was found under its key belongs to. */
  sentWith(viewer: Viewer, message: Message): Promise<Sent>
  /**
   * Stores the question, where it is new, with an empty reply and the run, in one round trip: as part of the caller's
   * transaction, or as one by itself. Once that is committed the run is to be offered to the engine, which may be its
   * owner already.
   */
  store(
    sql: Sql,
    viewer: Viewer,
    session: Pick<Session, 'id' | 'agentId'>,
    turn: Turn,
  ): Promise<Change<StoredTurn>>
}

const settingsOfAgent = `a.model, a.parameters, a.context_policy AS "contextPolicy", a.system_prompt AS "systemPrompt"`

const findAgent: Statement = {
  name: 'turn-agent',
  text: `SELECT ${settingsOfAgent} FROM agents a WHERE a.tenant_id = $1 AND a.id = $2`,
}

const findAgentOf: Statement = {
  name: 'turn-agent-of-session',
  text: `SELECT ${settingsOfAgent} FROM sessions s JOIN agents a ON a.tenant_id = s.tenant_id AND a.id = s.agent_id
    WHERE s.tenant_id = $1 AND s.id = $2`,
}

/** What a session has to say about its runs. */
export type SettingsOfSession = Pick<Session, 'agentId' | 'model' | 'systemPrompt'> & {
  parameters: unknown
  contextPolicy: unknown
}

export type SettingsOfAgent = Pick<Agent, 'model' | 'parameters' | 'contextPolicy' | 'systemPrompt'>

type Dependencies = {
  titleMaxLength: number
  messages: Messages
  models: ModelCatalog
  claims: Claims
  context: ContextBuilder
  quotas: Quotas
  sendRates: Readonly<Record<'ofUser' | 'ofTenant', RateLimit>>
}

export function createTurns(dependencies: Dependencies): Turns {
  const { titleMaxLength, messages, models, claims, context, quotas, sendRates } = dependencies
  return {
    count({ role, tenantId, userId }, session) {
      sendRates.ofUser.take(`${tenantId}:${role === 'SERVICE' ? session.userId : userId}`)
      sendRates.ofTenant.take(tenantId)
    },
    agentOf: (tenantId, sessionId) => ({
      statement: findAgentOf,
      values: [tenantId, sessionId],
      read: ([agent]: SettingsOfAgent[]) => agent ?? null,
    }),
    async settle(viewer, session, asked, known) {
      const { db, tenantId } = viewer
      const [found] =
        session.agentId && known === undefined
          ? await db.sql<SettingsOfAgent>(findAgent, [tenantId, session.agentId])
          : []
      const agent = known ?? found
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
      return message ? sentWith(viewer, message) : null
    },
    repeating(viewer, sessionId, key) {
      const { read, ...step } = messages.repeating(viewer, sessionId, [key])
      return { ...step, read: (rows) => read(rows)?.[0] ?? null }
    },
    sentWith,
    async store(sql, { tenantId, userId }, session, turn) {
      const { question, before = [], after = [], reply, replaced = [] } = turn
      const { agentId } = session
      const runId = newId()
      const userMessageId = isStored(question) ? question.id : newId()
      const asked = isStored(question)
        ? []
        : [...before, { ...question, id: userMessageId, role: 'USER', authorId: userId } as const, ...after]
      const answer = { id: newId(), role: 'ASSISTANT', content: '', agentId, status: 'STREAMING' } as const
      const drafts = [...asked, { ...reply, ...answer, model: turn.model }].map((draft) => ({
        ...draft,
        runId,
      }))
      const place = { tenantId, sessionId: session.id }
      const run = {
        ...{ ...place, id: runId, userId, userMessageId, assistantMessageId: answer.id },
        ...{ model: turn.model, parameters: turn.parameters, isFirst: turn.isFirst ?? false },
        ...{ contextPolicy: turn.contextPolicy ?? null, tools: turn.tools ?? null },
        documentIds: turn.documentIds ?? null,
      }
      const stored = await sql
        .pipeline([
          appending(place, drafts, {
            replacedCount: replaced.length,
            title: titleOf(drafts, titleMaxLength),
          }),
          ...claims.storing(run),
          context.readingClaimed(run),
          quotas.excessOf(tenantId, userId),
        ])
        .catch((error) => {
          throw claims.refusalOf(error)
        })
      return changeOf(turn, stored)
    },
  }
}

type Stored = [Appended, unknown, Run | null, readonly SceneRow[], QuotaError | null]

function changeOf(
  { question, before = [], replaced = [] }: Turn,
  [{ session, messages }, , run, scene, excess]: Stored,
): Change<StoredTurn> {
  const userMessage = isStored(question) ? question : messages[before.length]
  const assistantMessage = messages.at(-1)
  if (!userMessage || !assistantMessage || !run) throw new Error('The turn was not stored whole.')
  return {
    result: { userMessage, assistantMessage, run, revision: session.revision, read: { scene, excess } },
    events: [
      ...messagesRemoved(replaced, session),
      ...messages.map((message) => messageAdded(message, session)),
      runQueued({ ...run, status: 'QUEUED', startedAt: null }, session),
      ...(run.status === 'RUNNING' ? [runStarted(run, session)] : []),
      sessionUpdated(session),
    ],
  }
}

async function sentWith(viewer: Viewer, message: Message): Promise<Sent> {
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
}

const isStored = (question: Turn['question']): question is Message => 'seq' in question
