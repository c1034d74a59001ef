import type { ModelPart, ModelRequest, Provider } from '../../src/llm/provider.ts'
import type { Api } from './api.ts'

/** A call of the model as the test sees and plays it. */
export type RecordedCall = {
  readonly request: ModelRequest
  readonly signal: AbortSignal
  /** Resolves when the server has given up on the call. */
  readonly aborted: Promise<void>
  tell(...parts: ModelPart[]): void
}

export type RecordingProvider = {
  provider: Provider
  readonly calls: readonly RecordedCall[]
  /** The call at this place, had already or yet to come. */
  call(index: number): Promise<RecordedCall>
}

export const recordedModel = 'recorded:model'
export const say = (text: string): ModelPart => ({ type: 'text-delta', text })
export const end: ModelPart = { type: 'end', finishReason: 'stop' }

/** A model that says what the test wants, when it wants it, and remembers all that it was asked. */
export function createRecordingProvider(): RecordingProvider {
  const calls: RecordedCall[] = []
  const waiting: (() => void)[] = []
  return {
    calls,
    async call(index) {
      while (calls.length <= index) await new Promise<void>((resolve) => waiting.push(resolve))
      return calls[index] as RecordedCall
    },
    provider: {
      name: 'recorded',
      list: async () => [{ name: 'model', capabilities: ['TEXT', 'TOOLS'] }],
      async *stream(request, signal) {
        const parts: ModelPart[] = [{ type: 'start' }]
        let wake = () => {}
        const aborted = new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
        calls.push({
          request,
          signal,
          aborted,
          tell(...told) {
            parts.push(...told)
            wake()
          },
        })
        for (const resolve of waiting.splice(0)) resolve()
        for (;;) {
          const part = parts.shift()
          if (part) yield part
          if (part?.type === 'end' || part?.type === 'error') return
          if (signal.aborted) return yield { type: 'end', finishReason: 'cancelled' }
          if (parts.length > 0) continue
          const told = new Promise<void>((resolve) => {
            wake = resolve
          })
          await Promise.race([told, aborted])
        }
      },
    },
  }
}

/** Sends a message that the model answers with this text; gives the call and the payload. */
export async function answered(
  model: RecordingProvider,
  api: Api,
  sessionId: string,
  content: string,
  reply: string,
) {
  const index = model.calls.length
  const sending = api.sendMessage({ sessionId, content, wait: true })
  const call = await model.call(index)
  call.tell(say(reply), end)
  return { call, sent: await sending }
}
