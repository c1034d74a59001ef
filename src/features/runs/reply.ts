import type { Message } from '../../db/client.ts'
import { storable } from '../../lib/checks.ts'
import type { ModelPart, ModelUsage, ProviderError, ToolCall } from '../../llm/provider.ts'
import type { Feed, FeedEvent } from '../../realtime/feed.ts'
import { noUsage } from './ending.ts'

/**
 * A reply in the making: takes the model's parts, joins text that comes within a moment into one event, and knows at
 * any time what was told so far.
 */
export type Reply = {
  take(part: ModelPart): Promise<void>
  /** Tells the text that still waits. */
  flush(): Promise<void>
  /** The text that subscribers were told. */
  readonly text: string
  readonly toolCalls: readonly ToolCall[]
  readonly usage: ModelUsage
  readonly finishReason: Message['finishReason']
  readonly error: ProviderError | null
}

const finishReasons = {
  stop: 'STOP',
  length: 'LENGTH',
  'tool-calls': 'TOOL_CALLS',
  'content-filter': 'CONTENT_FILTER',
  cancelled: 'CANCELLED',
  other: 'OTHER',
} as const

type Options = {
  feed: Feed
  sessionId: string
  messageId: string
  coalesceMs: number
  maxTextBytes: number
  onFull: () => void
}

export function createReply({
  feed,
  sessionId,
  messageId,
  coalesceMs,
  maxTextBytes,
  onFull,
}: Options): Reply {
  let told = ''
  let waiting = ''
  let bytes = 0
  let flushedAtMs = 0
  let timer: NodeJS.Timeout | undefined
  let telling = Promise.resolve()
  const toolCalls: ToolCall[] = []
  let usage = noUsage
  let finishReason: Message['finishReason'] = null
  let error: ProviderError | null = null

  const tell = (event: FeedEvent) => {
    telling = telling.then(() => feed.publish(sessionId, [event]))
    return telling
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    if (waiting === '') return telling
    const event: FeedEvent = { type: 'TextDelta', messageId, offset: told.length, text: waiting }
    told += waiting
    waiting = ''
    flushedAtMs = performance.now()
    return tell(event)
  }

  async function takeText(given: string) {
    if (finishReason === 'LENGTH') return
    const text = storable(given)
    if (text === '') return
    bytes += Buffer.byteLength(text)
    if (bytes > maxTextBytes) {
      finishReason = 'LENGTH'
      onFull()
      return
    }
    waiting += text
    // The first word goes out at once, and so does one after a pause; only a dense stream is joined.
    if (performance.now() - flushedAtMs >= coalesceMs) await flush()
    else timer ??= setTimeout(() => void flush().catch(() => {}), coalesceMs)
  }

  return {
    async take(part) {
      if (part.type === 'text-delta') return takeText(part.text)
      await flush()
      if (part.type === 'tool-call-start')
        await tell({ type: 'ToolCallStarted', messageId, toolCallId: part.id, name: part.name })
      else if (part.type === 'tool-call-delta')
        await tell({ type: 'ToolCallDelta', messageId, toolCallId: part.id, text: part.text })
      else if (part.type === 'tool-call') {
        const call = storable(part.call)
        const { id, name, arguments: values } = call
        toolCalls.push(call)
        await tell({ type: 'ToolCallFinished', messageId, toolCallId: id, name, arguments: values as never })
      } else if (part.type === 'usage') usage = part.usage
      else if (part.type === 'end') finishReason ??= finishReasons[part.finishReason]
      else if (part.type === 'error') error = part.error
    },
    flush,
    get text() {
      return told
    },
    toolCalls,
    get usage() {
      return usage
    },
    get finishReason() {
      return finishReason
    },
    get error() {
      return error
    },
  }
}
