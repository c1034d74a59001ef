import type { ModelRequest, Provider, ProviderError } from '../../../../src/llm/provider.ts'
import { type Tell, toldParts } from '../../../../src/llm/told-parts.ts'

/**
 * A model that says what the bench tells it to: `bench:stream` reads on until it is ended, under the name that is the
 * last user message; `bench:reply` says one word at once.
 */
export type BenchProvider = {
  provider: Provider
  say(name: string, text: string): void
  end(name: string): void
  /** Resolves when the run of this name reads. */
  reading(name: string): Promise<void>
}

type Speech = { tell: Tell; end: () => void; begun: PromiseWithResolvers<void> }

const usage = { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0 }

export function createBenchProvider(): BenchProvider {
  const speeches = new Map<string, Speech>()
  const speechOf = (name: string) => {
    const known = speeches.get(name)
    if (known) return known
    const speech: Speech = { tell: () => {}, end: () => {}, begun: Promise.withResolvers<void>() }
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
  return {
    provider,
    say: (name, text) => speechOf(name).tell({ type: 'text-delta', text }),
    end: (name) => speechOf(name).end(),
    reading: (name) => speechOf(name).begun.promise,
  }
}

const questionOf = ({ messages }: ModelRequest) =>
  messages.findLast(({ role }) => role === 'user')?.content ?? ''

/** Resolves when it is ended. */
const speak = (speech: Speech, tell: Tell, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    Object.assign(speech, { tell, end: resolve })
    signal.addEventListener('abort', () => resolve(), { once: true })
    speech.begun.resolve()
  })
