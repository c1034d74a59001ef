import type { Message } from '../../db/client.ts'
import { storable } from '../../lib/checks.ts'
import type { TurnEnd } from '../../lib/turn.ts'
import type { ModelPart, ModelUsage, ProviderError, ToolCall } from '../../llm/provider.ts'
import type { Feed, ReplyPlace } from '../../realtime/feed.ts'
import type { ReplyEvent } from '../../realtime/feed-events.ts'
import { noUsage } from './ending.ts'

/**
 * A reply in the making: takes the model's parts, joins text that comes within a moment into one event, and knows at
 * any time what was said so far. What the log cannot take now is told with what comes next; the reply goes on.
 */
export type Reply = {
  take(part: ModelPart): void
  /** Tells the text that still waits; resolves when the log has it, or is away. */
  flush(): Promise<void>
  /** What was said so far, told or about to be. */
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
  place: ReplyPlace
  coalesceMs: number
  maxTextBytes: number
  atTurnEnd: TurnEnd
  onFull: () => void
  /** Another node has the run, or it was ended. */
  onOvertaken: () => void
}

export function createReply(options: Options): Reply {
  const { feed, place, coalesceMs, maxTextBytes, atTurnEnd, onFull, onOvertaken } = options
  const { messageId } = place
  let text = ''
  let waiting = ''
  let bytes = 0
  let flushedAtMs = 0
  let timer: NodeJS.Timeout | undefined
  /** Events that the log does not have yet, after the `count` ones that it has. */
  let queue: ReplyEvent[] = []
  let count = 0
  let telling: Promise<void> | undefined
  let isFlushDue = false
  let isFlushPlanned = false
  const toolCalls: ToolCall[] = []
  let usage = noUsage
  let finishReason: Message['finishReason'] = null
  let error: ProviderError | null = null

  /** Tells all that is there; without anything, it keeps the log informed of how far the reply is. */
  async function tellAll() {
    try {
      do {
        if (isFlushDue) queueText()
        const batch = queue
        queue = []
        const told = await feed.tell(place, { count, textLength: text.length }, batch).catch((error) => {
          queue = [...batch, ...queue]
          throw error
        })
        if (told === 'overtaken') return onOvertaken()
        queue = [...batch.slice(Math.max(told - count, 0)), ...queue]
        const isRefused = told <= count && batch.length > 0
        count = told
        if (isRefused) return
      } while (queue.length > 0 || isFlushDue)
    } catch {
      // The log is away: what is in the queue waits for the next call.
    } finally {
      telling = undefined
    }
  }

  const tell = () => {
    telling ??= tellAll()
    return telling
  }

  function queueText() {
    isFlushDue = false
    if (waiting === '') return
    queue.push({ type: 'TextDelta', messageId, offset: text.length, text: waiting })
    text += waiting
    waiting = ''
    flushedAtMs = performance.now()
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    isFlushDue = true
    return tell()
  }

  function flushPlanned() {
    isFlushPlanned = false
    void flush()
  }

  function say(event: ReplyEvent) {
    queueText()
    queue.push(event)
    void tell()
  }

  function takeText(given: string) {
    if (finishReason === 'LENGTH') return
    const more = storable(given)
    if (more === '') return
    bytes += Buffer.byteLength(more)
    if (bytes > maxTextBytes) {
      finishReason = 'LENGTH'
      onFull()
      return
    }
    waiting += more
    // The first word goes out with this turn, and so does one after a pause; only a dense stream waits to be joined.
    if (isFlushPlanned || timer !== undefined) return
    if (performance.now() - flushedAtMs < coalesceMs) timer = setTimeout(() => void flush(), coalesceMs)
    else {
      isFlushPlanned = true
      atTurnEnd(flushPlanned)
    }
  }

  return {
    take(part) {
      if (part.type === 'text-delta') takeText(part.text)
      else if (part.type === 'tool-call-start')
        say({ type: 'ToolCallStarted', messageId, toolCallId: part.id, name: part.name })
      else if (part.type === 'tool-call-delta')
        say({ type: 'ToolCallDelta', messageId, toolCallId: part.id, text: part.text })
      else if (part.type === 'tool-call') {
        const call = storable(part.call)
        const { id, name, arguments: values } = call
        toolCalls.push(call)
        say({ type: 'ToolCallFinished', messageId, toolCallId: id, name, arguments: values as never })
      } else if (part.type === 'usage') usage = part.usage
      else if (part.type === 'end') finishReason ??= finishReasons[part.finishReason]
      else if (part.type === 'error') error = part.error
    },
    flush,
    get text() {
      return text
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
