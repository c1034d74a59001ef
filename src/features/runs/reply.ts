import type { Message } from '../../db/client.ts'
import type { Soon } from '../../lib/async.ts'
import { storable } from '../../lib/checks.ts'
import type { TurnEnd } from '../../lib/turn.ts'
import type { ModelPart, ModelUsage, ProviderError, ToolCall } from '../../llm/provider.ts'
import type { Feed, ReplyPlace } from '../../realtime/feed.ts'
import type { ToldReplyEvent } from '../../realtime/feed-events.ts'
import { noUsage } from './settling.ts'

/**
 * A reply in the making: takes the model's parts, joins text that comes within a moment into one event, and pieces of a
 * tool call's arguments likewise, and knows at any time what was said so far. What the log cannot take now is told with
 * what comes next; the reply goes on.
 */
export type Reply = {
  take(part: ModelPart): void
  /** Tells the text that still waits; over when the log has it, or is away. */
  flush(): Soon<void>
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
  /** Of the text and the arguments of tool calls together. */
  maxTextBytes: number
  atTurnEnd: TurnEnd
  onFull: () => void
  /** Another node has the run, or it was ended. */
  onOvertaken: () => void
  /** The log may have lost what was told: until it is stored, it is in this process alone. */
  onLogLost: () => void
}

export function createReply(options: Options): Reply {
  const { feed, place, coalesceMs, maxTextBytes, atTurnEnd, onFull, onOvertaken, onLogLost } = options
  const { messageId, fence } = place
  const tellFeed = feed.teller(place, onLogLost)
  let text = ''
  let waiting = ''
  /** Arguments that wait to be told; then no text does. */
  let piece: { toolCallId: string; text: string } | null = null
  /** Of the arguments that were told of each call. */
  const argumentBytes = new Map<string, number>()
  let bytes = 0
  let flushedAtMs = 0
  let timer: NodeJS.Timeout | undefined
  /** Events that the log does not have yet, after the `count` ones that it has. */
  let queue: ToldReplyEvent[] = []
  let count = 0
  let telling: Promise<void> | undefined
  let isTelling = false
  let isFlushDue = false
  let isFlushPlanned = false
  const toolCalls: ToolCall[] = []
  let usage = noUsage
  let finishReason: Message['finishReason'] = null
  let error: ProviderError | null = null

  /** Tells all that is there; without anything, it keeps the log informed of how far the reply is. */
  function tell(): Soon<void> {
    // What comes while something is told is told by whoever tells.
    if (isTelling) return telling
    isTelling = true
    const soon = tellAll()
    if (soon === undefined) isTelling = false
    else
      telling = soon.finally(() => {
        isTelling = false
        telling = undefined
      })
    return telling
  }

  /** Without a promise, and so without a turn for each word, where the log is in this process. */
  function tellAll(): Promise<void> | undefined {
    let mayGoOn = true
    while (mayGoOn) {
      if (isFlushDue) queueWaiting()
      const batch = queue
      queue = []
      const told = tellFeed({ count, textLength: text.length }, batch)
      if (told instanceof Promise)
        return told.then(
          (told) => (took(batch, told) ? tellAll() : undefined),
          () => {
            // The log is away: what is in the queue waits for the next call.
            queue = [...batch, ...queue]
          },
        )
      mayGoOn = took(batch, told)
    }
  }

  /** Keeps what the log did not take; gives whether more is to be told now. */
  function took(batch: ToldReplyEvent[], told: number | 'overtaken'): boolean {
    if (told === 'overtaken') {
      onOvertaken()
      return false
    }
    const takenCount = Math.max(told - count, 0)
    const isRefused = told <= count && batch.length > 0
    if (takenCount < batch.length) queue = [...batch.slice(takenCount), ...queue]
    count = told
    return !isRefused && (queue.length > 0 || isFlushDue)
  }

  function queueWaiting() {
    isFlushDue = false
    if (waiting === '' && piece === null) return
    if (piece) add({ type: 'ToolCallDelta', fence, messageId, ...piece })
    else add({ type: 'TextDelta', fence, messageId, offset: text.length, text: waiting })
    text += waiting
    waiting = ''
    piece = null
    flushedAtMs = performance.now()
  }

  function flush(): Soon<void> {
    clearTimeout(timer)
    timer = undefined
    isFlushDue = true
    return tell()
  }

  function flushPlanned() {
    isFlushPlanned = false
    void flush()
  }

  function say(event: ToldReplyEvent) {
    queueWaiting()
    add(event)
    void tell()
  }

  /** What a first push makes is for seventeen. */
  function add(event: ToldReplyEvent) {
    if (queue.length === 0) queue = [event]
    else queue.push(event)
  }

  /** False where the reply is full, from then on. */
  function hasRoomFor(moreBytes: number): boolean {
    if (finishReason === 'LENGTH') return false
    bytes += moreBytes
    if (bytes <= maxTextBytes) return true
    finishReason = 'LENGTH'
    onFull()
    return false
  }

  /** The first word goes out with this turn, and so does one after a pause; only a dense stream waits to be joined. */
  function planFlush() {
    if (isFlushPlanned || timer !== undefined) return
    if (performance.now() - flushedAtMs < coalesceMs) timer = setTimeout(() => void flush(), coalesceMs)
    else {
      isFlushPlanned = true
      atTurnEnd(flushPlanned)
    }
  }

  function takeText(given: string) {
    const more = storable(given)
    if (more === '' || !hasRoomFor(Buffer.byteLength(more))) return
    if (piece) queueWaiting()
    waiting += more
    planFlush()
  }

  function takeArguments(toolCallId: string, more: string) {
    const moreBytes = Buffer.byteLength(more)
    if (!hasRoomFor(moreBytes)) return
    argumentBytes.set(toolCallId, (argumentBytes.get(toolCallId) ?? 0) + moreBytes)
    if (piece?.toolCallId !== toolCallId) queueWaiting()
    piece = { toolCallId, text: (piece?.text ?? '') + more }
    planFlush()
  }

  function takeCall(call: ToolCall) {
    const { id, name, arguments: values } = call
    // Some providers give the arguments only here.
    const untold = Buffer.byteLength(JSON.stringify(values) ?? '') - (argumentBytes.get(id) ?? 0)
    if (!hasRoomFor(Math.max(untold, 0))) return
    toolCalls.push(call)
    say({ type: 'ToolCallFinished', fence, messageId, toolCallId: id, name, arguments: values as never })
  }

  return {
    take(part) {
      if (part.type === 'text-delta') takeText(part.text)
      else if (part.type === 'tool-call-start')
        say({ type: 'ToolCallStarted', fence, messageId, toolCallId: part.id, name: part.name })
      else if (part.type === 'tool-call-delta') takeArguments(part.id, part.text)
      else if (part.type === 'tool-call') takeCall(storable(part.call))
      else if (part.type === 'usage') usage = part.usage
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
