import type { ModelPart, ModelRequest, Provider } from '../../../../src/llm/provider.ts'

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

type Speech = { texts: string[]; isEnded: boolean; wake: () => void; begun: PromiseWithResolvers<void> }

export function createBenchProvider(): BenchProvider {
  const speeches = new Map<string, Speech>()
  const speechOf = (name: string) => {
    const known = speeches.get(name)
    if (known) return known
    const speech = { texts: [], isEnded: false, wake: () => {}, begun: Promise.withResolvers<void>() }
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
      if (request.model === 'reply') return reply()
      const name = questionOf(request)
      return speak(speechOf(name), signal, () => speeches.delete(name))
    },
  }
  return {
    provider,
    say(name, text) {
      const speech = speechOf(name)
      speech.texts.push(text)
      speech.wake()
    },
    end(name) {
      const speech = speechOf(name)
      speech.isEnded = true
      speech.wake()
    },
    reading: (name) => speechOf(name).begun.promise,
  }
}

const questionOf = ({ messages }: ModelRequest) =>
  messages.findLast(({ role }) => role === 'user')?.content ?? ''

async function* reply(): AsyncGenerator<ModelPart> {
  yield { type: 'start' }
  yield { type: 'text-delta', text: 'Done.' }
  yield* ending('stop')
}

async function* speak(speech: Speech, signal: AbortSignal, onEnd: () => void): AsyncGenerator<ModelPart> {
  const wake = () => speech.wake()
  signal.addEventListener('abort', wake)
  try {
    yield { type: 'start' }
    speech.begun.resolve()
    while (!signal.aborted) {
      for (const text of speech.texts.splice(0)) yield { type: 'text-delta', text }
      if (speech.isEnded) break
      if (speech.texts.length > 0 || signal.aborted) continue
      await new Promise<void>((resolve) => {
        speech.wake = resolve
      })
    }
    yield* ending(signal.aborted ? 'cancelled' : 'stop')
  } finally {
    signal.removeEventListener('abort', wake)
    onEnd()
  }
}

function* ending(finishReason: 'stop' | 'cancelled'): Generator<ModelPart> {
  yield { type: 'usage', usage: { inputTokens: 1, outputTokens: 1, cachedInputTokens: 0 } }
  yield { type: 'end', finishReason }
}
