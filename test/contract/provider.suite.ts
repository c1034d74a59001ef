import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type ModelMessage,
  type ModelPart,
  type ModelRequest,
  type Provider,
  ProviderError,
  type ProviderErrorKind,
} from '../../src/llm/provider.ts'

/** A provider, and the means to bring it into each situation that the contract speaks of. */
export type ProviderSubject = {
  provider: Provider
  /** Its vendor sends a call at once, not in pieces. */
  callsComeWhole?: boolean
  /** A model that `list` has. */
  model: string
  /** Each prepares one answer and gives the user message that asks for it. */
  situations: {
    says(text: string): string
    calls(tool: string, input: Record<string, unknown>): string
    fails(kind: ProviderErrorKind): string
    failsAfterText(): string
    stallsAtOnce(): string
    stallsAfterText(): string
    reachesLimit(): string
  }
  stop(): Promise<void>
}

const kinds = ['unauthorized', 'rate-limited', 'overloaded', 'invalid', 'connection'] as const

/** What every provider guarantees; see `src/llm/provider.ts`. */
export function providerSuite(name: string, create: () => Promise<ProviderSubject>): void {
  const setUp = async () => {
    const subject = await create()
    onTestFinished(() => subject.stop())
    return { ...subject, ask: requestFor(subject.model) }
  }

  describe(`provider contract: ${name}`, () => {
    it('lists its models by their names without the provider', async () => {
      const { provider, model } = await setUp()
      const models = await provider.list()
      expect(models.map((listed) => listed.name)).toContain(model)
      for (const listed of models) {
        expect(listed.name.startsWith(`${provider.name}:`)).toBe(false)
        expect(listed.capabilities.length).toBeGreaterThan(0)
      }
    })

    it('delivers a reply whole, in order, with its usage and one end', async () => {
      const { provider, situations, ask } = await setUp()
      const text = 'Grüße, 世界! 😀👩‍👩‍👧 e\u0301 שלום\n\n  and `code`.'
      const parts = await collect(provider.stream(ask(situations.says(text)), neverAborted()))
      expectWellFormed(parts)
      expect(textOf(parts)).toBe(text)
      expect(parts[0]).toEqual({ type: 'start' })
      expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
      const usage = parts.find((part) => part.type === 'usage')?.usage
      expect(usage).toBeDefined()
      expect(usage?.inputTokens).toBeGreaterThan(0)
      expect(usage?.outputTokens).toBeGreaterThan(0)
      expect(usage?.cachedInputTokens).toBeLessThanOrEqual(usage?.inputTokens ?? 0)
    })

    it('delivers no half of a character', async () => {
      const { provider, situations, ask } = await setUp()
      const parts = await collect(provider.stream(ask(situations.says('😀🚀𠮷'.repeat(30))), neverAborted()))
      expect(textOf(parts)).toBe('😀🚀𠮷'.repeat(30))
      for (const part of parts) if (part.type === 'text-delta') expect(part.text.isWellFormed()).toBe(true)
    })

    it('delivers a tool call in pieces and whole, and takes the result', async () => {
      const { provider, situations, ask, callsComeWhole = false } = await setUp()
      const input = { city: 'Tromsø', days: [1, 2], deep: { quote: 'a "}" b' } }
      const question = situations.calls('get_weather', input)
      const parts = await collect(provider.stream(ask(question), neverAborted()))
      expectWellFormed(parts)
      const call = parts.find((part) => part.type === 'tool-call')?.call
      expect(call).toMatchObject({ name: 'get_weather', arguments: input })
      const id = call?.id ?? ''
      expect(parts).toContainEqual({ type: 'tool-call-start', id, name: 'get_weather' })
      const pieces = parts.flatMap((part) =>
        part.type === 'tool-call-delta' && part.id === id ? [part.text] : [],
      )
      expect(pieces.length).toBeGreaterThan(callsComeWhole ? 0 : 1)
      expect(JSON.parse(pieces.join(''))).toEqual(input)
      expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'tool-calls' })

      situations.says('It is cold there.')
      const answer = await collect(
        provider.stream(
          ask(
            question,
            { role: 'assistant', content: '', toolCalls: call ? [call] : [] },
            { role: 'tool', content: 'minus 4 degrees', toolCallId: id },
          ),
          neverAborted(),
        ),
      )
      expectWellFormed(answer)
      expect(textOf(answer)).not.toBe('')
      expect(answer.at(-1)).toEqual({ type: 'end', finishReason: 'stop' })
    })

    it('says when the output limit ended the reply', async () => {
      const { provider, situations, ask } = await setUp()
      const request = { ...ask(situations.reachesLimit()), parameters: { maxOutputTokens: 3 } }
      const parts = await collect(provider.stream(request, neverAborted()))
      expectWellFormed(parts)
      expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'length' })
    })

    it.each(kinds)('tells a failure of kind %s as one error part', async (kind) => {
      const { provider, situations, ask } = await setUp()
      const stream = provider.stream(ask(situations.fails(kind)), neverAborted())
      const parts = await collect(stream)
      expect(parts).toEqual([{ type: 'error', error: expect.any(ProviderError) }])
      expect(errorOf(parts).kind).toBe(kind)
      expect(errorOf(parts).message).not.toBe('')
    })

    it('keeps the text that came before a failure', async () => {
      const { provider, situations, ask } = await setUp()
      const parts = await collect(provider.stream(ask(situations.failsAfterText()), neverAborted()))
      expectWellFormed(parts)
      expect(textOf(parts)).not.toBe('')
      expect(parts.at(-1)?.type).toBe('error')
    })

    it('ends as cancelled where the signal had aborted before', async () => {
      const { provider, situations, ask } = await setUp()
      const parts = await collect(provider.stream(ask(situations.says('never')), AbortSignal.abort()))
      expect(parts).toEqual([{ type: 'end', finishReason: 'cancelled' }])
    })

    it('ends as cancelled where nothing came yet', async () => {
      const { provider, situations, ask } = await setUp()
      const stopping = new AbortController()
      const parts = collect(provider.stream(ask(situations.stallsAtOnce()), stopping.signal))
      setImmediate(() => stopping.abort())
      expect((await within(1_000, parts)).at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
    })

    it('ends as cancelled in the middle of a reply, with its text kept', async () => {
      const { provider, situations, ask } = await setUp()
      const stopping = new AbortController()
      const parts: ModelPart[] = []
      const read = async () => {
        for await (const part of provider.stream(ask(situations.stallsAfterText()), stopping.signal)) {
          parts.push(part)
          if (part.type === 'text-delta') stopping.abort()
        }
      }
      await within(2_000, read())
      expectWellFormed(parts)
      expect(parts.filter((part) => part.type === 'text-delta')).toHaveLength(1)
      expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
    })

    it('ends as cancelled where the signal aborts after the last word', async () => {
      const { provider, situations, ask } = await setUp()
      const stopping = new AbortController()
      const parts: ModelPart[] = []
      for await (const part of provider.stream(ask(situations.says('one')), stopping.signal)) {
        parts.push(part)
        if (part.type === 'text-delta') stopping.abort()
      }
      expect(textOf(parts)).toBe('one')
      expect(parts.at(-1)).toEqual({ type: 'end', finishReason: 'cancelled' })
    })

    it('does not throw before it is read, and gives nothing after the end', async () => {
      const { provider, situations, ask } = await setUp()
      const parts = provider.stream(ask(situations.fails('invalid')), neverAborted())[Symbol.asyncIterator]()
      expect((await parts.next()).value).toMatchObject({ type: 'error' })
      expect(await parts.next()).toEqual({ done: true, value: undefined })
      expect(await parts.next()).toEqual({ done: true, value: undefined })
    })
  })
}

export async function collect(stream: AsyncIterable<ModelPart>): Promise<ModelPart[]> {
  const parts: ModelPart[] = []
  for await (const part of stream) parts.push(part)
  return parts
}

export const requestFor =
  (model: string) =>
  (question: string, ...rest: ModelMessage[]): ModelRequest => ({
    model,
    messages: [{ role: 'user', content: question }, ...rest],
    parameters: {},
    tools: [],
  })

export function textOf(parts: readonly ModelPart[]): string {
  return parts.map((part) => (part.type === 'text-delta' ? part.text : '')).join('')
}

export function errorOf(parts: readonly ModelPart[]): ProviderError {
  const last = parts.at(-1)
  if (last?.type !== 'error')
    throw new Error(`the stream ended with ${JSON.stringify(last)}, not with an error`)
  return last.error
}

export const neverAborted = () => new AbortController().signal

/** The order that the contract promises, as one expression over the names of the parts. */
function expectWellFormed(parts: readonly ModelPart[]): void {
  const order = parts.map(({ type }) => type).join(' ')
  expect(order).toMatch(/^(start( (text-delta|thinking|tool-call(-start|-delta)?))*( usage)? )?(end|error)$/)
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`not done within ${timeoutMs} ms`)), timeoutMs)
    onTestFinished(() => clearTimeout(timer))
  })
  return Promise.race([work, late])
}
