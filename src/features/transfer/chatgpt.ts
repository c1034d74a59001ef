import { z } from 'zod'
import { storable } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import { plausible, type UncheckedMessage } from './document.ts'
import { argumentsOf, type Found, parse } from './found.ts'
import { threadTo } from './thread.ts'

/**
 * A conversation of ChatGPT's data export (`conversations.json`): a tree of messages under `mapping`, of which the one
 * that ends in `current_node` is what its user saw last. Only that one is read.
 */
const conversation = z.object({
  title: z.string().nullish(),
  create_time: z.number().nullish(),
  current_node: z.string('is missing; it names the last message of the conversation'),
  mapping: z.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'is not an object of messages by their ids',
  ),
})

const node = z.object({
  parent: z.string().nullish(),
  message: z
    .object({
      author: z.object({
        role: z.enum(['user', 'assistant', 'system', 'tool']),
        name: z.string().nullish(),
      }),
      create_time: z.number().nullish(),
      content: z.object({
        parts: z.array(z.unknown()).nullish(),
        text: z.unknown().optional(),
        result: z.unknown().optional(),
      }),
      status: z.string().nullish(),
      recipient: z.string().nullish(),
      metadata: z
        .object({
          model_slug: z.string().nullish(),
          is_visually_hidden_from_conversation: z.boolean().nullish(),
          finish_details: z.object({ type: z.string().nullish() }).nullish(),
        })
        .nullish(),
    })
    .nullish(),
})

type ChatGptMessage = NonNullable<z.output<typeof node>['message']>

export const isChatGpt = (value: object) => 'mapping' in value

export function readChatGpt(value: unknown, path: string): Found {
  const { title, create_time, current_node, mapping } = parse(conversation, value, path)
  const branches = new Map(
    Object.entries(mapping).map(([id, inner]) => [
      id,
      { node: inner, parentId: parentOf(inner), path: `${path}.mapping.${id}` },
    ]),
  )
  if (!branches.has(current_node))
    throw invalid(`${path}.current_node`, 'names a message that mapping does not have')
  const thread = threadTo(branches, current_node).flatMap((branch) => {
    const { message } = parse(node, branch.node, branch.path)
    return message ? [{ message, path: `${branch.path}.message` }] : []
  })
  const kept = toMessages(thread)
  return {
    title: title || null,
    createdAt: timeOf(create_time),
    systemPrompt: null,
    messages: kept.map(({ message }) => message),
    pathOf: (index) => kept[index]?.path ?? path,
  }
}

const parentOf = (value: unknown): string | null =>
  typeof value === 'object' && value !== null && 'parent' in value && typeof value.parent === 'string'
    ? value.parent
    : null

type Placed<Message> = { message: Message; path: string }

type Call = { id: string; result: { tool: string | null; message: UncheckedMessage } | null }

/**
 * A message to another recipient than `all` is a call of that tool. What a tool says next is its result, with what the same
 * tool goes on to say: a call has one result.
 */
function toMessages(thread: readonly Placed<ChatGptMessage>[]): Placed<UncheckedMessage>[] {
  let call: Call | null = null
  return thread.flatMap(({ message, path }, index): Placed<UncheckedMessage>[] => {
    if (message.metadata?.is_visually_hidden_from_conversation) return []
    const { role, name: tool = null } = message.author
    const content = textOf(message.content)
    const common = { content, createdAt: timeOf(message.create_time) }
    if (role === 'tool') {
      if (!call) return []
      const { result } = call
      if (result) {
        if (result.tool === tool) result.message.content = `${result.message.content}\n${content}`
        return []
      }
      const given: UncheckedMessage = { ...common, role: 'TOOL', toolCallId: call.id }
      call.result = { tool, message: given }
      return [{ path, message: given }]
    }
    if (!content.trim()) return []
    if (call?.result) call = null
    if (role === 'user') return [{ path, message: { ...common, role: 'USER' } }]
    if (role === 'system') return [{ path, message: { ...common, role: 'SYSTEM' } }]
    const reply = { ...common, ...replyOf(message), role: 'ASSISTANT' as const }
    const { recipient } = message
    if (!recipient || recipient === 'all') return [{ path, message: reply }]
    call = { id: `call_${index}`, result: null }
    const toolCalls = [{ id: call.id, name: storable(recipient), arguments: argumentsOf(content) }]
    return [{ path, message: { ...reply, content: null, toolCalls, finishReason: 'TOOL_CALLS' } }]
  })
}

const finishReasons = new Map<string, UncheckedMessage['finishReason']>([
  ['stop', 'STOP'],
  ['max_tokens', 'LENGTH'],
  ['interrupted', 'CANCELLED'],
])

function replyOf({ status, metadata }: ChatGptMessage): Partial<UncheckedMessage> {
  const model = metadata?.model_slug
  return {
    status: status === 'in_progress' ? 'STREAMING' : 'COMPLETE',
    finishReason: finishReasons.get(metadata?.finish_details?.type ?? '') ?? null,
    model: model ? `openai:${storable(model)}` : null,
  }
}

/** Texts stand in `parts`, `text` or `result`; a part that is no text is told by its kind. Reasoning has none of them. */
function textOf({ parts, text, result }: ChatGptMessage['content']): string {
  const pieces =
    parts?.map(pieceOf).filter(Boolean) ?? [text, result].filter((each) => typeof each === 'string')
  return storable(pieces.join('\n'))
}

function pieceOf(part: unknown): string {
  if (typeof part === 'string') return part
  if (typeof part !== 'object' || part === null) return ''
  if ('text' in part && typeof part.text === 'string') return part.text
  if ('content_type' in part && part.content_type === 'image_asset_pointer') return '[image]'
  return ''
}

/** Seconds since 1970, with fractions. */
const timeOf = (seconds: number | null | undefined) =>
  seconds == null ? null : (plausible(new Date(seconds * 1000))?.toISOString() ?? null)
