import { type HistoryItem, type LlamaPackage, loadInstalled, type Sequence } from './local-engine.ts'
import { createModelFiles, type ModelFile } from './local-files.ts'
import { createLocalMemory, type LoadedModel, type LocalSettings } from './local-memory.ts'
import {
  type FinishReason,
  type ModelMessage,
  type ModelRequest,
  type Provider,
  ProviderError,
} from './provider.ts'
import { type Tell, toldParts } from './told-parts.ts'

/**
 * Models in GGUF files of a folder, run within this process by llama.cpp; `local:name` is the file `name.gguf`. They are
 * offered no tools: results of tools that another model called are shown to them as text.
 */
export function createLocalProvider(
  { directory, ...settings }: { directory: string } & LocalSettings,
  loadPackage = loadInstalled,
): Provider {
  const files = createModelFiles(directory, loadPackage)
  const memory = createLocalMemory(loadPackage, settings)

  /** Only what the folder has is looked for in it. */
  async function find(name: string): Promise<ModelFile> {
    const file = (await files()).find((each) => each.name === name)
    if (!file)
      throw new ProviderError('invalid', `There is no model "${name}" in the folder of local models.`)
    if (!file.isReadable) throw new ProviderError('invalid', `"${name}" is not a model that can be loaded.`)
    return file
  }

  return {
    name: 'local',
    async list() {
      return (await files()).map(({ name, contextLength }) => ({
        name,
        capabilities: ['TEXT'],
        isLoaded: memory.has(name),
        ...(contextLength && { contextWindow: Math.min(contextLength, settings.contextTokens) }),
      }))
    },
    stream(request, signal) {
      const answer = async (tell: Tell) => {
        const { LlamaChat } = await loadPackage()
        await memory.use(await find(request.model), (loaded, sequence) =>
          generate({ LlamaChat, loaded, sequence, request, signal, tell }),
        )
      }
      return toldParts(signal, answer, (error) => toProviderError(error, request.model))
    },
    store: {
      load: async (name, signal) => unlessAborted(memory.load(await find(name)), signal),
      unload: (name, signal) => unlessAborted(memory.unload(name), signal),
    },
    close: () => memory.close(),
  }
}

type Generation = {
  LlamaChat: LlamaPackage['LlamaChat']
  loaded: LoadedModel
  sequence: Sequence
  request: ModelRequest
  signal: AbortSignal
  tell: Tell
}

async function generate({ LlamaChat, loaded, sequence, request, signal, tell }: Generation): Promise<void> {
  signal.throwIfAborted()
  const { maxOutputTokens = Number.POSITIVE_INFINITY, stop, ...parameters } = request.parameters
  const history = request.messages.map(toHistoryItem)
  const chat = new LlamaChat({ contextSequence: sequence })
  const { contextText } = chat.chatWrapper.generateContextState({ chatHistory: history })
  const inputTokens = contextText.tokenize(loaded.model.tokenizer).length
  // Past its context llama.cpp would forget the beginning, without a word. A few tokens begin and end a reply.
  const room = loaded.contextSize - inputTokens - 8
  if (room < 1)
    throw new ProviderError(
      'invalid',
      `The conversation has ${inputTokens} tokens; "${request.model}" has room for ${loaded.contextSize}.`,
    )
  tell({ type: 'start' })
  const before = sequence.tokenMeter.getState()
  const { metadata } = await chat.generateResponse(history, {
    signal,
    stopOnAbortSignal: true,
    onResponseChunk({ type, text }) {
      if (type === 'segment') tell({ type: 'thinking' })
      else if (text) tell({ type: 'text-delta', text })
    },
    maxTokens: Math.min(maxOutputTokens, room),
    ...parameters,
    ...(stop && { customStopTriggers: stop }),
  })
  const { usedInputTokens, usedOutputTokens } = sequence.tokenMeter.diff(before)
  const cachedInputTokens = Math.max(0, inputTokens - usedInputTokens)
  tell({ type: 'usage', usage: { inputTokens, outputTokens: usedOutputTokens, cachedInputTokens } })
  tell({ type: 'end', finishReason: finishReasonOf(metadata.stopReason) })
}

const finishReasonOf = (reason: string): FinishReason => (reason === 'maxTokens' ? 'length' : 'stop')

function toHistoryItem(message: ModelMessage): HistoryItem {
  const { content } = message
  if (message.role === 'assistant') return { type: 'model', response: content ? [content] : [] }
  if (message.role === 'tool') return { type: 'user', text: `The result of a tool:\n${content}` }
  return { type: message.role, text: content }
}

function toProviderError(error: unknown, model: string): ProviderError {
  if (error instanceof ProviderError) return error
  return new ProviderError('connection', `"${model}" broke off its answer.`, { cause: error })
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    const giveUp = () => reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    // The signal may last as long as the process.
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}
