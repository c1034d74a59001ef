import type { Run, TenantDatabase } from '../../db/client.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import { invalid, NotFoundError } from '../../lib/errors.ts'
import type { ModelMessage, ModelParameters, ModelRequest, ModelUsage } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import type { TokenCounter, TokenCounters } from '../../llm/tokens.ts'
import type { AgentTool } from '../agents/checks.ts'
import type { Passages } from '../documents/passages.ts'
import { findScene, type Scene, type SceneRow, sceneOf, type Turn } from './conversation.ts'
import { isSummarizing, makeExtras } from './extras.ts'
import { type Fitted, fitParts, type Part, sizeOf, textOf, upperBound } from './fit.ts'

export type ContextBuilder = {
  /** What the model is sent for a run, without the model's name. Throws a `ValidationError` where the question is too long. */
  build(db: TenantDatabase, run: Run): Promise<Context>
  /** What a send would carry, as things stand. */
  preview(db: TenantDatabase, asked: Sending): Promise<Preview>
  /** Throws a `ValidationError` where no context can be made of this question; counts only what may be too long. */
  requireRoom(asked: Omit<Sending, 'sessionId' | 'userId'> & { systemPrompt: string | null }): Promise<void>
  /** What a provider would count that did not tell it, since the reply was cut short. */
  estimate(modelId: string, request: Pick<Context, 'messages'>, written: string): Promise<ModelUsage>
  /** What a provider counted for a request, to count better by. */
  learn(modelId: string, request: Pick<Context, 'messages'>, inputTokens: number): void
}

export type Context = Omit<ModelRequest, 'model' | 'tools'> & {
  tools: readonly AgentTool[]
  /** Whether the older turns have grown so long that a summary should take their place next time. */
  wantsSummary: boolean
  memoryTools: boolean
  personId: string
}

/** A message that is to be sent. `policy` null: that of the session. */
export type Sending = {
  sessionId: string
  userId: string
  content: string | null
  model: string
  parameters: ModelParameters
  policy: ContextPolicy | null
}

export type PreviewPart = Part & { tokens: number }

/** `limit` null: nothing is known of one. */
export type Preview = {
  parts: PreviewPart[]
  tools: readonly AgentTool[]
  toolTokens: number
  totalTokens: number
  limit: number | null
  dropped: { turns: number; tokens: number }
  countedBy: TokenCounter['countedBy']
}

/** Room for the answer, where nobody says how long it may be. */
const answerTokens = 4_096
const defaultTokens = 8_000
export const defaultKeepLast = 10
/** What one kind of extras may have where there is no limit. */
const maxAllowance = 4_000

type Dependencies = {
  /** Whether earlier turns go along; without them the model gets the system prompt and the question. */
  sendsHistory: boolean
  /** What the documents of the session have to say to the question. */
  passages: Passages
  models: Models
  counters: TokenCounters
}

type Place = {
  db: TenantDatabase
  sessionId: string
  userId: string
  replyId: string | null
  model: string
  parameters: ModelParameters
}

export function createContextBuilder({
  sendsHistory,
  passages,
  models,
  counters,
}: Dependencies): ContextBuilder {
  function budgetOf(model: string, parameters: ModelParameters, policy: ContextPolicy): number {
    const window = models.contextWindow(model)
    const answer = Math.min(parameters.maxOutputTokens ?? answerTokens, Math.floor((window ?? 0) / 2))
    const asked = policy.tokens ?? (needsTokens(policy) ? defaultTokens : Number.POSITIVE_INFINITY)
    return Math.min(window === null ? Number.POSITIVE_INFINITY : window - answer, asked)
  }

  async function assemble({ db, sessionId, userId, replyId, model, parameters }: Place, scene: Scene) {
    const { policy } = scene
    const budget = budgetOf(model, parameters, policy)
    const kept = keptTurns(scene)
    const maxMessages = maxMessagesOf(policy)
    const turns = kept.map((turn) => turn.map(toPart))
    const current = scene.current.map(
      (said, index): Part => ({
        ...toPart(said),
        kind: index === 0 ? 'QUESTION' : 'MESSAGE',
      }),
    )
    const system: Part[] = scene.instructions
      ? [{ kind: 'SYSTEM_PROMPT', message: { role: 'system', content: scene.instructions }, messageId: null }]
      : []
    const toolText = scene.tools.length > 0 ? JSON.stringify(scene.tools.map(definitionOf)) : ''
    let counter: TokenCounter | undefined
    const counting = async () => {
      counter ??= await counters.of(model)
      return counter
    }
    const hasExtras =
      policy.memories || scene.memoryTools || needsTokens(policy) || scene.documentIds.length > 0
    const extras = hasExtras
      ? await makeExtras({
          ...{ db, sessionId, userId, replyId, scene, policy, sendsHistory, documents: passages },
          count: (await counting()).count,
          question: scene.current[0]?.message.content ?? null,
          firstSeq: firstOfLast(kept, maxMessages) ?? scene.current[0]?.seq ?? maxSeq,
          allowance: Math.min(maxAllowance, budget / 4),
        })
      : []
    const asked = { system, current, extras, turns, budget, maxMessages }
    const bound =
      upperBound(toolText) + sizeOf(upperBound, [...system, ...extras, ...turns.flat(), ...current])
    // Most conversations are far from any limit, and counting takes longer than all else here.
    const isShort = bound <= budget && sizeOf(upperBound, extras) <= (budget - bound) / 2
    const count = isShort ? () => 0 : (await counting()).count
    const fitted = fitParts({ ...asked, reserved: count(toolText) }, count)
    const whole = isShort ? 0 : sizeOf(count, [...system, ...extras, ...turns.flat(), ...current])
    const wantsSummary = sendsHistory && isSummarizing(policy) && whole > budget * summaryShare
    return { fitted, budget, toolText, counting, wantsSummary }
  }

  async function read(db: TenantDatabase, asked: SceneAsked): Promise<Scene> {
    const { sessionId, assistantMessageId, messageId, runId, policy, userId, documentIds } = asked
    const values = [
      ...[db.tenantId, sessionId, assistantMessageId, messageId, sendsHistory, runId],
      ...[policy && JSON.stringify(policy), userId, documentIds && JSON.stringify(documentIds)],
    ]
    const rows = await db.sql<SceneRow>(findScene, values)
    const scene = sceneOf(rows, runId && messageId ? { runId, messageId } : null)
    if (!scene) throw new NotFoundError('session')
    return scene
  }

  return {
    async build(db, run) {
      const { id, sessionId, assistantMessageId, userMessageId, userId, model } = run
      const parameters = run.parameters as ModelParameters
      const policy = run.contextPolicy as ContextPolicy | null
      const asked = { sessionId, assistantMessageId, messageId: userMessageId, runId: id, policy, userId }
      const documentIds = run.documentIds as string[] | null
      const scene = await read(db, { ...asked, documentIds })
      const place = { db, sessionId, userId, replyId: assistantMessageId, model, parameters }
      const { fitted, budget, wantsSummary } = await assemble(place, scene)
      refuseExcess(fitted, budget)
      const { tools, memoryTools, personId } = scene
      const messages = messagesOf(fitted.parts)
      return { messages, parameters, tools, wantsSummary, memoryTools, personId }
    },
    async preview(db, { sessionId, userId, content, model, parameters, policy }) {
      const nothing = { assistantMessageId: null, messageId: null, runId: null, documentIds: null }
      const stored = await read(db, { ...nothing, sessionId, policy, userId })
      const question = content === null ? [] : [asQuestion(content)]
      const scene = { ...stored, current: question }
      const { fitted, budget, toolText, counting } = await assemble(
        { db, sessionId, userId, replyId: null, model, parameters },
        scene,
      )
      refuseExcess(fitted, budget)
      const { count, countedBy } = await counting()
      const parts = fitted.parts.map((part) => ({ ...part, tokens: sizeOf(count, [part]) }))
      const toolTokens = count(toolText)
      return {
        parts,
        tools: scene.tools,
        toolTokens,
        totalTokens: parts.reduce((sum, { tokens }) => sum + tokens, toolTokens),
        limit: Number.isFinite(budget) ? budget : null,
        dropped: { turns: fitted.dropped.length, tokens: sizeOf(count, fitted.dropped.flat()) },
        countedBy,
      }
    },
    async requireRoom({ content, model, parameters, policy, systemPrompt }) {
      const budget = budgetOf(model, parameters, policy ?? { kind: 'FULL' })
      const texts = [systemPrompt ?? '', content ?? ''].filter((text) => text !== '')
      const parts = texts.map((text): Part => ({ ...toPart(asQuestion(text)), kind: 'QUESTION' }))
      if (sizeOf(upperBound, parts) <= budget) return
      const size = sizeOf((await counters.of(model)).count, parts)
      if (size > budget) throw tooLong(size, budget)
    },
    async estimate(modelId, { messages }, written) {
      const { count } = await counters.of(modelId)
      const inputTokens = messages.reduce((sum, message) => sum + count(textOf(message)), 0)
      return { inputTokens, outputTokens: count(written), cachedInputTokens: 0 }
    },
    learn(modelId, { messages }, inputTokens) {
      const characters = messages.reduce((sum, message) => sum + textOf(message).length, 0)
      counters.learn(modelId, characters, inputTokens)
    },
  }
}

type SceneAsked = {
  sessionId: string
  userId: string
  policy: ContextPolicy | null
  runId: string | null
  assistantMessageId: string | null
  messageId: string | null
  documentIds: readonly string[] | null
}

/** Models take one system message, as the first. */
function messagesOf(parts: readonly Part[]): ModelMessage[] {
  const [system, rest] = [true, false].map((isSystem) =>
    parts.flatMap(({ message }) => ((message.role === 'system') === isSystem ? [message] : [])),
  ) as [ModelMessage[], ModelMessage[]]
  if (system.length === 0) return rest
  return [{ role: 'system', content: system.map(({ content }) => content).join('\n\n') }, ...rest]
}

/** Beyond every message. */
const maxSeq = 2 ** 31 - 1

/** A summary is made before turns must be left out for want of one. */
const summaryShare = 0.75

const needsTokens = ({ kind }: ContextPolicy) =>
  kind === 'SUMMARIZE' || kind === 'HIERARCHICAL' || kind === 'RETRIEVAL'

/** The turns that may go along as they are: without those that the summary has. */
function keptTurns({ turns, policy, summary }: Scene): Turn[] {
  const through = isSummarizing(policy) ? (summary?.throughSeq ?? 0) : 0
  return turns.filter((turn) => turn.some(({ seq }) => seq > through))
}

/** The `seq` at which the last so many messages begin, in whole turns. */
function firstOfLast(turns: readonly Turn[], maxMessages: number): number | undefined {
  let first: number | undefined
  let messages = 0
  for (const turn of turns.toReversed()) {
    messages += turn.length
    if (messages > maxMessages) break
    first = Math.min(...turn.map(({ seq }) => seq))
  }
  return first
}

function maxMessagesOf(policy: ContextPolicy): number {
  if (policy.kind === 'LAST_MESSAGES') return policy.messages ?? Number.POSITIVE_INFINITY
  if (policy.kind === 'RETRIEVAL') return policy.keepLast ?? defaultKeepLast
  return Number.POSITIVE_INFINITY
}

const toPart = ({ id, message }: Turn[number]): Part => ({ kind: 'MESSAGE', message, messageId: id })

const asQuestion = (content: string): Turn[number] => ({
  id: null,
  seq: maxSeq,
  message: { role: 'user', content },
})

const definitionOf = ({ name, description, parameters }: AgentTool) => ({ name, description, parameters })

function refuseExcess({ excess }: Fitted, budget: number): void {
  if (excess !== null) throw tooLong(excess, budget)
}

const tooLong = (tokens: number, budget: number) =>
  invalid(
    'content',
    `has ${tokens} tokens together with the instructions and tools; at most ${budget} fit, by the context policy or the model`,
  )
