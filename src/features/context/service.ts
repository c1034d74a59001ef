import type { Run, Step, TenantDatabase } from '../../db/client.ts'
import { rowsOf } from '../../db/steps.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { ModelParameters, ModelRequest, ModelUsage } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import type { TokenCounter, TokenCounters } from '../../llm/tokens.ts'
import type { AgentTool } from '../agents/checks.ts'
import type { Passages } from '../documents/passages.ts'
import {
  askedFor,
  findScene,
  findSceneOfClaimed,
  type RunOfScene,
  type Scene,
  type SceneAsked,
  type SceneRow,
  sceneOf,
  sceneValues,
  type Turn,
} from './conversation.ts'
import { isSummarizing, makeExtras } from './extras.ts'
import {
  type Extra,
  type Fitted,
  type Fitting,
  fitParts,
  messagesOf,
  type Part,
  sizeOf,
  textOf,
  upperBound,
  wholeOf,
} from './fit.ts'
import { budgetOf, maxMessagesOf, needsTokens, refuseExcess, tooLong } from './room.ts'

export type ContextBuilder = {
  /**
   * What the model is sent for a run, without the model's name; `scene` where it has been read with the claim. Throws a
   * `ValidationError` where the question is too long.
   */
  build(db: TenantDatabase, run: Run, scene?: readonly SceneRow[]): Promise<Context>
  /** Reads what `build` needs of a run that may have been claimed by the statement before; nothing where it was not. */
  readingClaimed(run: RunOfScene): Step<readonly SceneRow[]>
  /** What a send would carry, as things stand. */
  preview(db: TenantDatabase, asked: Sending): Promise<Preview>
  /**
   * The turns that no summary tells of yet, oldest first, and how many of them from the first on would leave too little
   * room for a question and its reply.
   */
  turnsToSummarize(place: Place, scene: Scene): Promise<{ turns: Turn[]; withoutRoom: number }>
  /** Throws a `ValidationError` where no context can be made of this question; counts only what may be too long. */
  requireRoom(
    asked: Omit<Sending, 'sessionId' | 'userId' | 'documentIds'> & { systemPrompt: string | null },
  ): Promise<void>
  /** What a provider would count that did not tell it, since the reply was cut short. */
  estimate(
    modelId: string,
    request: Pick<Context, 'messages' | 'tools'>,
    written: string,
  ): Promise<ModelUsage>
  /** What a provider counted for a request, to count better by. */
  learn(modelId: string, request: Pick<Context, 'messages' | 'tools'>, inputTokens: number): void
}

export type Context = Omit<ModelRequest, 'model' | 'tools'> & {
  tools: readonly AgentTool[]
  /** Whether the older turns have grown so long that a summary should take their place next time. */
  wantsSummary: boolean
  memoryTools: boolean
  personId: string
}

/** A message that is to be sent. `policy` and `documentIds` null: those of the session. */
export type Sending = {
  sessionId: string
  userId: string
  content: string | null
  model: string
  parameters: ModelParameters
  policy: ContextPolicy | null
  documentIds: readonly string[] | null
}

export type PreviewPart = Part & { tokens: number }

/** `limit` null: nothing is known of one. */
export type Preview = {
  parts: PreviewPart[]
  tools: readonly AgentTool[]
  toolTokens: number
  totalTokens: number
  limit: number | null
  dropped: { turns: number; tokens: number; reason: Fitted['reason'] }
  countedBy: TokenCounter['countedBy']
}

type Dependencies = {
  /** Whether earlier turns go along; without them the model gets the system prompt and the question. */
  sendsHistory: boolean
  /** What the documents of the session have to say to the question. */
  passages: Passages
  models: Models
  counters: TokenCounters
}

export type Place = {
  db: TenantDatabase
  sessionId: string
  userId: string
  model: string
  parameters: ModelParameters
}

export function createContextBuilder({
  sendsHistory,
  passages,
  models,
  counters,
}: Dependencies): ContextBuilder {
  async function prepare({ db, sessionId, userId, model, parameters }: Place, scene: Scene) {
    const { policy } = scene
    const budget = budgetOf(models.contextWindow(model), parameters, policy)
    const kept = keptTurns(scene)
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
    const toolText = toolTextOf(scene.tools)
    let counter: TokenCounter | undefined
    const counting = async () => {
      counter ??= await counters.of(model)
      return counter
    }
    const talk = { system, current, turns, budget, maxMessages: maxMessagesOf(policy) }
    const hasExtras =
      policy.memories || scene.memoryTools || needsTokens(policy) || scene.documentIds.length > 0
    let extras: readonly Extra[] = []
    if (hasExtras) {
      const { count } = await counting()
      // Of what goes along for sure there are no passages.
      const mayGo =
        policy.kind === 'RETRIEVAL' ? droppedAtMost({ ...talk, extras, reserved: count(toolText) }, count) : 0
      extras = await makeExtras({
        ...{ db, sessionId, userId, scene, policy, sendsHistory, documents: passages, count },
        question: scene.current[0]?.message.content ?? null,
        firstSeq: firstSeqOf(kept.slice(mayGo)) ?? scene.current[0]?.seq ?? maxSeq,
      })
    }
    return { asked: { ...talk, extras }, toolText, counting }
  }

  async function assemble(place: Place, scene: Scene) {
    const { asked, toolText, counting } = await prepare(place, scene)
    const { system, current, turns, budget } = asked
    const extras = asked.extras.map(wholeOf)
    const bound =
      upperBound(toolText) + sizeOf(upperBound, [...system, ...extras, ...turns.flat(), ...current])
    // Most conversations are far from any limit, and counting takes longer than all else here.
    const isShort = bound <= budget && sizeOf(upperBound, extras) <= (budget - bound) / 2
    const count = isShort ? () => 0 : (await counting()).count
    const fitted = fitParts({ ...asked, reserved: count(toolText) }, count)
    const whole = isShort ? 0 : sizeOf(count, [...system, ...extras, ...turns.flat(), ...current])
    const wantsSummary = sendsHistory && isSummarizing(scene.policy) && whole > budget * summaryShare
    return { fitted, budget, toolText, counting, wantsSummary }
  }

  async function read(db: TenantDatabase, asked: SceneAsked, known?: readonly SceneRow[]): Promise<Scene> {
    const { messageId, runId } = asked
    const rows = known ?? (await db.sql<SceneRow>(findScene, sceneValues(db.tenantId, sendsHistory, asked)))
    const scene = sceneOf(rows, runId && messageId ? { runId, messageId } : null)
    if (!scene) throw new NotFoundError('session')
    return scene
  }

  /** Keeps what is sent of documents as citations of the reply; nothing of them is sent where that fails. */
  async function citing(db: TenantDatabase, replyId: string, scene: Scene, parts: readonly Part[]) {
    if (scene.documentIds.length === 0) return parts
    const cited = parts.flatMap((part) => part.cited ?? [])
    return (await passages.cite(db, replyId, cited)) ? parts : parts.filter((part) => !part.cited)
  }

  return {
    readingClaimed: (run) =>
      rowsOf(findSceneOfClaimed, sceneValues(run.tenantId, sendsHistory, askedFor(run))),
    async build(db, run, known) {
      const { sessionId, assistantMessageId, userId, model } = run
      const parameters = run.parameters as ModelParameters
      const scene = await read(db, askedFor(run), known)
      const place = { db, sessionId, userId, model, parameters }
      const { fitted, budget, wantsSummary } = await assemble(place, scene)
      refuseExcess(fitted, budget)
      const { tools, memoryTools, personId } = scene
      const messages = messagesOf(await citing(db, assistantMessageId, scene, fitted.parts))
      return { messages, parameters, tools, wantsSummary, memoryTools, personId }
    },
    async preview(db, { sessionId, userId, content, model, parameters, policy, documentIds }) {
      const nothing = { assistantMessageId: null, messageId: null, runId: null }
      const stored = await read(db, { ...nothing, sessionId, policy, userId, documentIds })
      const question = content === null ? [] : [asQuestion(content)]
      const scene = { ...stored, current: question }
      const { fitted, budget, toolText, counting } = await assemble(
        { db, sessionId, userId, model, parameters },
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
        dropped: {
          turns: fitted.dropped.length,
          tokens: sizeOf(count, fitted.dropped.flat()),
          reason: fitted.reason,
        },
        countedBy,
      }
    },
    async turnsToSummarize(place, scene) {
      const { asked, toolText, counting } = await prepare(place, { ...scene, current: [] })
      const { count } = await counting()
      const forDocuments = scene.documentIds.length > 0 ? Math.min(documentTokens, asked.budget / 4) : 0
      const reserved = count(toolText) + forDocuments
      const { dropped } = fitParts({ ...asked, budget: asked.budget * summaryShare, reserved }, count)
      return { turns: keptTurns(scene), withoutRoom: dropped.length }
    },
    async requireRoom({ content, model, parameters, policy, systemPrompt }) {
      const budget = budgetOf(models.contextWindow(model), parameters, policy ?? { kind: 'FULL' })
      const texts = [systemPrompt ?? '', content ?? ''].filter((text) => text !== '')
      const parts = texts.map((text): Part => ({ ...toPart(asQuestion(text)), kind: 'QUESTION' }))
      if (sizeOf(upperBound, parts) <= budget) return
      const size = sizeOf((await counters.of(model)).count, parts)
      if (size > budget) throw tooLong(size, budget)
    },
    async estimate(modelId, { messages, tools }, written) {
      const { count } = await counters.of(modelId)
      const inputTokens = messages.reduce(
        (sum, message) => sum + count(textOf(message)),
        count(toolTextOf(tools)),
      )
      return { inputTokens, outputTokens: count(written), cachedInputTokens: 0 }
    },
    learn(modelId, { messages, tools }, inputTokens) {
      const characters = messages.reduce(
        (sum, message) => sum + textOf(message).length,
        toolTextOf(tools).length,
      )
      counters.learn(modelId, characters, inputTokens)
    },
  }
}

/** Beyond every message. */
const maxSeq = 2 ** 31 - 1

/** A summary is made before turns must be left out for want of one. */
const summaryShare = 0.75
/** About what the passages of documents take, which a question is needed for. */
const documentTokens = 1_700

/** The turns that may go along as they are: without those that the summary has. */
function keptTurns({ turns, policy, summary }: Scene): Turn[] {
  const through = isSummarizing(policy) ? (summary?.throughSeq ?? 0) : 0
  return turns.filter((turn) => turn.some(({ seq }) => seq > through))
}

/** How many turns may have to go, if what goes along beside them takes all that it may. */
function droppedAtMost(asked: Fitting, count: (text: string) => number): number {
  const fixed = asked.reserved + sizeOf(count, [...asked.system, ...asked.current])
  return fitParts({ ...asked, budget: fixed + (asked.budget - fixed) / 2 }, count).dropped.length
}

const firstSeqOf = (turns: readonly Turn[]): number | undefined =>
  turns.length > 0 ? Math.min(...turns.flat().map(({ seq }) => seq)) : undefined

const toPart = ({ id, message }: Turn[number]): Part => ({ kind: 'MESSAGE', message, messageId: id })

const asQuestion = (content: string): Turn[number] => ({
  id: null,
  seq: maxSeq,
  message: { role: 'user', content },
})

/** The definitions of tools as a model reads them; a text without any costs nothing. */
const toolTextOf = (tools: readonly AgentTool[]) =>
  tools.length > 0 ? JSON.stringify(tools.map(definitionOf)) : ''

const definitionOf = ({ name, description, parameters }: AgentTool) => ({ name, description, parameters })
