import { z } from 'zod'
import { storable } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { plausible, type UncheckedMessage } from './document.ts'
import { argumentsOf, type Found, parse } from './found.ts'
import { type Branch, threadTo } from './thread.ts'

/**
 * A conversation as LibreChat's export dialog writes it to JSON: messages in a flat list that names each one's parent,
 * or nested as `children`. Where it has branches, the one that ends in the last message of the file is read.
 */
const conversation = z.object({
  title: z.string().nullish(),
  endpoint: z.string().nullish(),
  options: z.object({ promptPrefix: z.string().nullish() }).nullish(),
  messages: z.array(z.unknown()).nullish(),
  messagesTree: z.array(z.unknown()).nullish(),
})

const part = z.object({
  type: z.string(),
  text: z.union([z.string(), z.object({ value: z.string() })]).nullish(),
  tool_call: z
    .object({
      id: z.string().nullish(),
      name: z.string(),
      args: z.unknown().optional(),
      output: z.string().nullish(),
    })
    .nullish(),
})

const message = z.object({
  isCreatedByUser: z.boolean(),
  text: z.string().nullish(),
  content: z.array(part).nullish(),
  createdAt: z.string().nullish(),
  model: z.string().nullish(),
  endpoint: z.string().nullish(),
  tokenCount: z.number().nullish(),
  promptTokens: z.number().nullish(),
  error: z.boolean().nullish(),
  unfinished: z.boolean().nullish(),
  finish_reason: z.string().nullish(),
})

type LibreChatMessage = z.output<typeof message>

const place = z.object({
  messageId: z.string().min(1),
  parentMessageId: z.string().nullish(),
  children: z.array(z.unknown()).nullish(),
})

/** The parent of a first message. */
const noParent = '00000000-0000-0000-0000-000000000000'

export const isLibreChat = (value: object) => 'conversationId' in value || 'messagesTree' in value

export function readLibreChat(value: unknown, path: string): Found {
  const { title, endpoint, options, messages, messagesTree } = parse(conversation, value, path)
  const list = messages ?? messagesTree
  if (!list) throw invalid(`${path}.messages`, 'is missing; it lists the messages of the conversation')
  const { branches, lastId } = collect(list, `${path}.${messages ? 'messages' : 'messagesTree'}`)
  const thread = lastId === null ? [] : threadTo(branches, lastId)
  const kept = thread.flatMap(({ node, path: place }, at) =>
    toMessages(parse(message, node, place), endpoint, `call_${at}`).map((each) => ({ message: each, place })),
  )
  const prompt = options?.promptPrefix
  return {
    title: title || null,
    createdAt: kept[0]?.message.createdAt ?? null,
    systemPrompt: prompt ? storable(prompt) : null,
    messages: kept.map(({ message }) => message),
    pathOf: (index) => kept[index]?.place ?? path,
  }
}

type Pending = { value: unknown; path: string; parentId: string | null }

/** Every message by its id. They may be nested deeper than functions can call each other, hence a list of what is next. */
function collect(list: readonly unknown[], path: string) {
  const branches = new Map<string, Branch<unknown>>()
  let lastId: string | null = null
  const next = pendingOf(list, path, null)
  for (let pending = next.pop(); pending; pending = next.pop()) {
    const { messageId, parentMessageId, children } = parse(place, pending.value, pending.path)
    if (branches.has(messageId)) throw invalid(`${pending.path}.messageId`, 'is that of an earlier message')
    const namedParent = parentMessageId && parentMessageId !== noParent ? parentMessageId : null
    const parentId = pending.parentId ?? namedParent
    branches.set(messageId, { node: pending.value, parentId, path: pending.path })
    lastId = messageId
    for (const child of pendingOf(children ?? [], `${path}.${messageId}.children`, messageId))
      next.push(child)
  }
  return { branches, lastId }
}

/** In reverse, for a list that is taken from its end. */
const pendingOf = (values: readonly unknown[], path: string, parentId: string | null): Pending[] =>
  values.map((value, index) => ({ value, path: `${path}.${index}`, parentId })).reverse()

/** `fallbackId`: what the ids of those of its calls begin with that have none. */
function toMessages(
  from: LibreChatMessage,
  conversationEndpoint: string | null | undefined,
  fallbackId: string,
): UncheckedMessage[] {
  const createdAt = from.createdAt ? (plausible(new Date(from.createdAt))?.toISOString() ?? null) : null
  const parts = from.content ?? []
  const text = storable(from.text || parts.map(textOf).join(''))
  if (from.isCreatedByUser) return text.trim() ? [{ role: 'USER', content: text, createdAt }] : []
  const endpoint = from.endpoint ?? conversationEndpoint ?? 'librechat'
  const reply = { role: 'ASSISTANT' as const, model: modelOf(endpoint, from.model), createdAt }
  const pieces = parts.some(({ tool_call }) => tool_call)
    ? parts.flatMap((each, index) => piecesOf(each, `${fallbackId}_${index}`, reply))
    : [{ ...reply, content: text }]
  const last = pieces.at(-1)
  if (last?.role === 'ASSISTANT') Object.assign(last, endingOf(from))
  return pieces
}

/** Text, or a call and its result; reasoning is neither. */
function piecesOf(
  from: z.output<typeof part>,
  fallbackId: string,
  reply: UncheckedMessage,
): UncheckedMessage[] {
  const content = storable(textOf(from))
  if (!from.tool_call) return content.trim() ? [{ ...reply, content }] : []
  const { name, args, output } = from.tool_call
  const id = from.tool_call.id || fallbackId
  const call: UncheckedMessage = {
    ...reply,
    toolCalls: [{ id: storable(id), name: storable(name), arguments: argumentsOf(args) }],
    finishReason: 'TOOL_CALLS',
  }
  if (output == null) return [call]
  const result = { role: 'TOOL' as const, toolCallId: storable(id), content: storable(output) }
  return [call, { ...result, createdAt: reply.createdAt }]
}

const textOf = ({ type, text }: z.output<typeof part>): string =>
  type === 'text' ? ((typeof text === 'string' ? text : text?.value) ?? '') : ''

const finishReasons = new Map<string, UncheckedMessage['finishReason']>([
  ['stop', 'STOP'],
  ['length', 'LENGTH'],
  ['incomplete', 'LENGTH'],
  ['content_filter', 'CONTENT_FILTER'],
])

function endingOf(from: LibreChatMessage): Partial<UncheckedMessage> {
  const tokens = { inputTokens: tokensOf(from.promptTokens), outputTokens: tokensOf(from.tokenCount) }
  if (from.error) return { ...tokens, status: 'FAILED', finishReason: 'ERROR' }
  if (from.unfinished) return { ...tokens, status: 'INTERRUPTED', finishReason: 'OTHER' }
  return { ...tokens, status: 'COMPLETE', finishReason: finishReasons.get(from.finish_reason ?? '') ?? null }
}

const tokensOf = (count: number | null | undefined) =>
  count != null && Number.isInteger(count) && count >= 0 && count < 2 ** 31 ? count : null

/** As models are named here: the provider in lower case before a colon. */
const modelOf = (endpoint: string, model: string | null | undefined) =>
  model ? `${endpoint.toLowerCase().replace(/[^a-z0-9]+/g, '-')}:${storable(model)}` : null
