import type { ModelRequest, Provider, ProviderError } from '../../../../src/llm/provider.ts'
import { type Tell, toldParts } from '../../../../src/llm/told-parts.ts'

/**
 * A model that says what the bench tells it to: `bench:stream` reads on until it is ended, under the name that is the
 * last user message; `bench:reply` says one word at once.
 */
export type BenchProvider = {
  provider: Provider
  /** Resolves when the run of this name reads. */
  reading(name: string): Promise<Speech>
}

export type Speech = { say(text: string): void; end(): void }

const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0 }

export function createBenchProvider(): BenchProvider {
  const speeches = new Map<string, PromiseWithResolvers<Speech>>()
  const speechOf = (name: string) => {
    const known = speeches.get(name)
    if (known) return known
    const speech = Promise.withResolvers<Speech>()
    speeches.set(name, speech)
    return speech
  }
  const provider: Provider = {
    name: 'bench',
    list: async () => [
      { name: 'stream', capabilities: ['TEXT'] },
      { name: 'reply', capabilities: ['TEXT'] },
    ],
    stream(request, signal) {
      const name = questionOf(request)
      const answer = async (tell: Tell) => {
        tell({ type: 'start' })
        if (request.model === 'reply') tell({ type: 'text-delta', text: 'Done.' })
        else await speak(speechOf(name), tell, signal).finally(() => speeches.delete(name))
        tell({ type: 'usage', usage })
        tell({ type: 'end', finishReason: 'stop' })
      }
      return toldParts(signal, answer, (error) => error as ProviderError)
    },
  }
  return { provider, reading: (name) => speechOf(name).promise }
}

const questionOf = ({ messages }: ModelRequest) =>
  messages.findLast(({ role }) => role === 'user')?.content ?? ''

/** Resolves when it is ended. */
const speak = (speech: PromiseWithResolvers<Speech>, tell: Tell, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    speech.resolve({ say: (text) => tell({ type: 'text-delta', text }), end: resolve })
  })
