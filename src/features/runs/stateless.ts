import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Session, Statement } from '../../db/client.ts'
import { isUniqueViolation } from '../../db/failures.ts'
import { check, clientKey, modelId, modelParameters, text } from '../../lib/checks.ts'
import type { ContextPolicy } from '../../lib/context-policy.ts'
import { digestOf } from '../../lib/digest.ts'
import { ConflictError, invalid, ValidationError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { tools } from '../agents/checks.ts'
import type { Draft } from '../messages/append.ts'
import { linksOf, toolCall } from '../messages/links.ts'
import type { Quotas } from '../quotas/service.ts'
import type { Changes } from '../sessions/changes.ts'
import { insertSession, type OpeningMessage } from '../sessions/insert.ts'
import type { Templates } from '../templates/service.ts'
import { fillIn } from '../templates/variables.ts'
import type { Engine } from './engine.ts'
import type { Sent, SettingsOfSession, Turns } from './turn.ts'

/**
 * Runs outside of any conversation. Each has a session of its own for its place, as the order, the lock, the lease and
 * the live feed of a run hang on one; it is marked as stateless, and is no session to anybody. The same `clientId` gives the same run as long as
 * it is kept, other arguments under it are a `ConflictError`.
 */
export type StatelessRuns = {
  /** Has a conversation that comes whole with the call answered. */
  complete(viewer: Viewer, input: unknown): Promise<Sent>
  /** Has what a template says answered, with values for its variables. */
  executeTemplate(viewer: Viewer, input: unknown): Promise<Sent>
}

const findByClientId: Statement = {
  name: 'stateless-run-by-client-id',
  text: `SELECT r.id, s.client_digest AS "clientDigest" FROM sessions s
    JOIN runs r ON r.tenant_id = s.tenant_id AND r.session_id = s.id
    WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.is_stateless AND s.client_id = $3`,
}

type Given = {
  settings: SettingsOfSession
  messages: readonly Draft[]
  model: string | null | undefined
  parameters: object | null | undefined
  tools?: Parameters<Turns['store']>[3]['tools']
}

type Dependencies = {
  config: Config['sessions']
  templates: Templates
  quotas: Quotas
  turns: Turns
  changes: Changes
  engine: Engine
}

export function createStatelessRuns(dependencies: Dependencies): StatelessRuns {
  const { config, templates, quotas, turns, changes, engine } = dependencies
  const content = text({ max: config.messageMaxLength })
  const options = {
    clientId: clientKey.nullish(),
    model: modelId.nullish(),
    parameters: modelParameters.nullish(),
  }
  const completeInput = z.object({
    ...options,
    messages: z
      .array(
        z.object({
          role: z.enum(['USER', 'ASSISTANT', 'SYSTEM', 'TOOL']),
          content: content.nullish(),
          toolCalls: z.array(toolCall).max(32, 'has more than 32 entries').nullish(),
          toolCallId: text({ min: 1, max: 255 }).nullish(),
        }),
      )
      .min(1, 'is empty; 1 to 100 messages are allowed')
      .max(100, 'has too many entries; 1 to 100 messages are allowed'),
    systemPrompt: content.nullish(),
    tools: tools.nullish(),
  })
  const executeInput = z.object({
    ...options,
    templateId: z.uuid(),
    variables: z
      .record(z.string(), z.union([content, z.number(), z.boolean()], 'is neither text, number nor boolean'))
      .nullish(),
    input: text({ min: 1, max: config.messageMaxLength }).nullish(),
  })

  async function repeated(
    { db, tenantId, userId }: Viewer,
    clientId: string,
    digest: string,
  ): Promise<Sent | null> {
    type Found = { id: string; clientDigest: string }
    const [known] = await db.sql<Found>(findByClientId, [tenantId, userId, clientId])
    if (!known) return null
    if (known.clientDigest !== digest)
      throw new ConflictError(`clientId: ${JSON.stringify(clientId)} was used before with other arguments.`)
    const include = { userMessage: true, assistantMessage: true }
    const found = await db.prisma.run.findFirst({ where: { tenantId, id: known.id }, include })
    if (!found) return null
    const { userMessage, assistantMessage, ...run } = found
    return { userMessage, assistantMessage, run }
  }

  /** Stores all of a run in one transaction, and has it answered. */
  async function start(
    viewer: Viewer,
    given: Given,
    key: { clientId: string; clientDigest: string } | undefined,
  ) {
    const { settings, messages } = given
    const asked = messages.findLastIndex(({ role }) => role === 'USER')
    const question = messages[asked]
    if (!question) throw invalid('messages', 'has no USER message; one is needed that can be answered')
    turns.count(viewer, viewer)
    // What an agent does with long conversations is not for one that comes whole.
    const contextPolicy = (settings.contextPolicy ?? { kind: 'FULL' }) as ContextPolicy
    const [settled] = await Promise.all([
      turns.settle(viewer, settings, { ...given, contextPolicy, content: question.content }),
      quotas.require(viewer.db, viewer.userId),
    ])
    const { tenantId, userId } = viewer
    const place = {
      ...{ tenantId, id: newId(), userId, ...settings, ...key },
      ...{ title: null, titleSource: null, metadata: {}, tags: [], isStateless: true },
    }
    const sent = await changes.commit(viewer.db, place.id, async (sql) => {
      const session: Session = await insertSession(sql, place)
      return turns.store(sql, viewer, session, {
        question: { content: question.content ?? '' },
        before: messages.slice(0, asked),
        after: messages.slice(asked + 1),
        ...settled,
        contextPolicy,
        tools: given.tools,
      })
    })
    await engine.offer(sent)
    return sent
  }

  /** The run that is there under the key, or the one that `make` describes. */
  async function once(
    viewer: Viewer,
    clientId: string | null | undefined,
    input: unknown,
    make: () => Promise<Given>,
  ) {
    const key = clientId ? { clientId, clientDigest: digestOf(input) } : undefined
    const find = () => (key ? repeated(viewer, key.clientId, key.clientDigest) : null)
    const earlier = await find()
    if (earlier) return earlier
    try {
      return await start(viewer, await make(), key)
    } catch (error) {
      const twin = isUniqueViolation(error) ? await find() : null
      if (twin) return twin
      throw error
    }
  }

  return {
    async complete(viewer, asked) {
      const { clientId, ...input } = check(completeInput, asked)
      const { messages, systemPrompt, model, parameters, tools } = input
      return once(viewer, clientId, { complete: input }, async () => {
        checkConversation(messages)
        const settings = {
          agentId: null,
          model: null,
          systemPrompt: systemPrompt ?? null,
          parameters: {},
          contextPolicy: null,
        }
        const drafts = messages.map((message) => ({
          ...{ id: newId(), role: message.role, content: message.content ?? null },
          toolCalls: (message.toolCalls ?? []) as Draft['toolCalls'],
          toolCallId: message.toolCallId ?? null,
          authorId: message.role === 'ASSISTANT' ? null : viewer.userId,
        }))
        // Without any of its own it has none: there is no agent to take them from.
        return { settings, messages: drafts, model, parameters, tools: tools ?? [] }
      })
    },
    async executeTemplate(viewer, asked) {
      const { clientId, ...given } = check(executeInput, asked)
      const { templateId, variables, input, model, parameters } = given
      return once(viewer, clientId, { executeTemplate: given }, async () => {
        const template = await templates.require(viewer, templateId)
        const opening = template.openingMessages as OpeningMessage[]
        const texts = fillIn(
          [template.systemPrompt ?? '', ...opening.map((message) => message.content)],
          variables ?? {},
        )
        const [systemPrompt = '', ...contents] = texts
        requireLength(texts, config.messageMaxLength)
        requireTexts(contents)
        const roles = [...opening.map(({ role }) => role), ...(input ? (['USER'] as const) : [])]
        if (roles.at(-1) !== 'USER')
          throw invalid('input', 'is missing; the opening messages of the template end with none of a user')
        const { agentId } = template
        const drafts = [...contents, ...(input ? [input] : [])].map((text, index) => {
          const role = roles[index] ?? 'USER'
          const isByAgent = role === 'ASSISTANT'
          return { id: newId(), role, content: text, isByAgent, authorId: isByAgent ? null : viewer.userId }
        })
        const settings = {
          ...{ agentId, model: template.model, parameters: template.parameters },
          contextPolicy: template.contextPolicy,
          systemPrompt: template.systemPrompt === null ? null : systemPrompt,
        }
        return { settings, messages: drafts, model, parameters }
      })
    },
  }
}

type Conversation = Parameters<typeof linksOf>[0]

/** Throws a `ValidationError` unless a model can answer this: every result has its call, and somebody was last to ask. */
function checkConversation(messages: Conversation): void {
  const { faults, unknown } = linksOf(messages)
  for (const [index, id] of unknown)
    faults.push({
      path: `messages.${index}.toolCallId`,
      message: `${JSON.stringify(id)} is no tool call of an earlier message`,
    })
  const last = messages.at(-1)?.role
  if (last !== 'USER' && last !== 'TOOL')
    faults.push({ path: 'messages', message: `ends with ${last}; the last one is of a USER or a TOOL` })
  if (faults.length > 0) throw new ValidationError(faults)
}

/** Values can make a text longer than it may be. */
function requireLength(texts: readonly string[], max: number): void {
  const longest = Math.max(...texts.map((text) => [...text].length))
  if (longest > max)
    throw invalid('variables', `make a text of ${longest} characters; at most ${max} are allowed`)
}

/** A model can answer nothing that was not said. */
function requireTexts(contents: readonly string[]): void {
  const faults = contents.flatMap((content, index) =>
    content.trim()
      ? []
      : { path: 'variables', message: `leave opening message ${index + 1} empty; some text is needed` },
  )
  if (faults.length > 0) throw new ValidationError(faults)
}
