import { once } from 'node:events'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type DemoScript, readDirectives } from './demo-directives.ts'
import { composeReply, composeSummary, composeTitle, tokenize, variantOf } from './demo-replies.ts'
import {
  type FinishReason,
  type ModelInfo,
  type ModelPart,
  type ModelRequest,
  type Provider,
  ProviderError,
} from './provider.ts'
import { isSummaryRequest } from './summary-request.ts'
import { questionToTitle } from './title-request.ts'

const chat: ModelInfo = { name: 'chat', contextWindow: 128_000, capabilities: ['TEXT', 'TOOLS'] }

/**
 * The built-in model `demo:chat`: needs no key and no network, and says the same words to the same request. What
 * a message may ask of it, down to failures and stalls, stands in the table of `demo-directives.ts`.
 *
 * It counts as tokens what `tokenize` cuts: for the input all contents, for the output the pieces sent. A stopped
 * reply tells its usage too.
 */
export function createDemoProvider({ tokensPerSecond }: { tokensPerSecond: number }): Provider {
  return {
    name: 'demo',
    list: async () => [chat],
    async *stream(request, signal) {
      const inputTokens = request.messages.flatMap(({ content }) => tokenize(content)).length
      let outputTokens = 0
      const usage = (): ModelPart => ({
        type: 'usage',
        usage: { inputTokens, outputTokens, cachedInputTokens: 0 },
      })
      try {
        for await (const part of play(request, tokensPerSecond, signal)) {
          if (part.type === 'end') yield usage()
          yield part
          if (isPiece(part)) outputTokens += 1
        }
      } catch (error) {
        if (error instanceof ProviderError) {
          yield { type: 'error', error }
          return
        }
        if (!signal.aborted) throw error
        if (outputTokens > 0) yield usage()
        yield { type: 'end', finishReason: 'cancelled' }
      }
    },
  }
}

/** Throws a `ProviderError` where the script wants a failure, and an abort error once `signal` aborts. */
async function* play(
  request: ModelRequest,
  tokensPerSecond: number,
  signal: AbortSignal,
): AsyncGenerator<ModelPart> {
  signal.throwIfAborted()
  if (request.model !== chat.name)
    throw new ProviderError(
      'invalid',
      `The demo provider has no model "${request.model}", only "${chat.name}".`,
    )
  const script = scriptOf(request.messages)
  const { maxOutputTokens = Number.POSITIVE_INFINITY } = request.parameters
  await breakOff(script, 0, signal)
  yield { type: 'start' }
  const untilDue = createPace(rateOf(script, tokensPerSecond), signal)
  let sent = 0
  let finishReason: FinishReason = script.toolCalls.length > 0 ? 'tool-calls' : 'stop'
  for (const part of partsOf(request, script)) {
    if (isPiece(part)) {
      await breakOff(script, sent, signal)
      if (sent >= maxOutputTokens) {
        finishReason = 'length'
        break
      }
      await untilDue(sent)
      sent += 1
    }
    yield part
  }
  await breakOff(script, Number.POSITIVE_INFINITY, signal)
  signal.throwIfAborted()
  yield { type: 'end', finishReason }
}

/** What the last user message asks; once its tools have answered, all but the pace is done with. */
function scriptOf(messages: ModelRequest['messages']): DemoScript {
  const untitled = questionToTitle(messages)
  if (untitled !== null) return { repeat: composeTitle(untitled), toolCalls: [], misread: [] }
  // What stands in a conversation that is to be summarised asks for nothing.
  if (isSummaryRequest(messages))
    return { repeat: composeSummary(messages.at(-1)?.content ?? ''), toolCalls: [], misread: [] }
  const last = messages.findLastIndex(({ role }) => role === 'user')
  const script = readDirectives(messages[last]?.content ?? '')
  const isAnswered = messages.slice(last + 1).some(({ role }) => role === 'tool')
  return isAnswered ? { pace: script.pace, toolCalls: [], misread: [] } : script
}

function rateOf({ pace }: DemoScript, tokensPerSecond: number): number {
  if (pace === undefined) return tokensPerSecond
  return 'share' in pace ? tokensPerSecond * pace.share : pace.tokensPerSecond
}

function* partsOf(request: ModelRequest, script: DemoScript): Generator<ModelPart> {
  for (const text of tokenize(cutAtStop(composeReply(request, script), request.parameters.stop ?? [])))
    yield { type: 'text-delta', text }
  const variant = variantOf(request).toString(36)
  for (const [index, { name, arguments: input }] of script.toolCalls.entries()) {
    const id = `call_${variant}_${index + 1}`
    yield { type: 'tool-call-start', id, name }
    for (const text of JSON.stringify(input).match(/.{1,8}/gu) ?? [])
      yield { type: 'tool-call-delta', id, text }
    yield { type: 'tool-call', call: { id, name, arguments: input } }
  }
}

function cutAtStop(text: string, stop: readonly string[]): string {
  const ends = stop.map((word) => text.indexOf(word)).filter((end) => end >= 0)
  return text.slice(0, Math.min(text.length, ...ends))
}

async function breakOff({ failure, stall }: DemoScript, sent: number, signal: AbortSignal): Promise<void> {
  if (failure && sent >= failure.afterWords)
    throw new ProviderError(failure.kind, `The demo model failed as it was asked to (${failure.kind}).`)
  if (!stall || sent < stall.afterWords) return
  signal.throwIfAborted()
  await once(signal, 'abort')
  signal.throwIfAborted()
}

/** Counts from the start, so that the pace holds on the whole where a timer or the reader is late. */
function createPace(tokensPerSecond: number, signal: AbortSignal) {
  const startedAt = performance.now()
  return async (sent: number) => {
    const waitMs = startedAt + (sent * 1_000) / tokensPerSecond - performance.now()
    if (waitMs >= 1) await setTimeout(waitMs, undefined, { signal })
    // Without a turn of the event loop a fast reply would keep everybody else, and its own abort, waiting.
    else await setImmediate(undefined, { signal })
  }
}

function isPiece(part: ModelPart): boolean {
  return part.type === 'text-delta' || part.type === 'tool-call-delta'
}
