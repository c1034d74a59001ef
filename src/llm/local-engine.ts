import { ProviderError } from './provider.ts'

/**
 * What is used of node-llama-cpp, which is installed by those alone who want it: its binaries for graphics cards take
 * hundreds of megabytes.
 */
export type LlamaPackage = {
  getLlama(options: { build: 'never'; logLevel: 'error'; maxThreads?: number }): Promise<Llama>
  LlamaChat: new (options: { contextSequence: Sequence }) => Chat
  readGgufFileInfo(
    path: string,
    options: { sourceType: 'filesystem'; readTensorInfo: false; logWarnings: false; signal: AbortSignal },
  ): Promise<{ metadata: { general: { architecture: string } } & Record<string, unknown> }>
}

export type Llama = {
  loadModel(options: { modelPath: string }): Promise<LlamaModel>
  dispose(): Promise<void>
}

export type LlamaModel = {
  readonly tokenizer: unknown
  readonly trainContextSize: number
  createContext(options: {
    contextSize: { max: number }
    sequences: number
  }): Promise<{ readonly contextSize: number; getSequence(): Sequence }>
  dispose(): Promise<void>
}

/** A place for one conversation at a time; what it holds of the last one is not read again. */
export type Sequence = {
  readonly tokenMeter: {
    getState(): object
    diff(before: object): { usedInputTokens: number; usedOutputTokens: number }
  }
}

export type HistoryItem =
  | { type: 'system' | 'user'; text: string }
  | { type: 'model'; response: readonly string[] }

export type Chat = {
  readonly chatWrapper: {
    generateContextState(options: { chatHistory: readonly HistoryItem[] }): {
      contextText: { tokenize(tokenizer: unknown): readonly unknown[] }
    }
  }
  generateResponse(
    history: readonly HistoryItem[],
    options: {
      signal: AbortSignal
      stopOnAbortSignal: true
      onResponseChunk(chunk: { type?: string | undefined; text: string }): void
      maxTokens: number
      temperature?: number
      topP?: number
      topK?: number
      seed?: number
      customStopTriggers?: readonly string[]
    },
  ): Promise<{ metadata: { stopReason: string } }>
}

export type LoadPackage = () => Promise<LlamaPackage>

/** Throws a `ProviderError` where the package is not there. */
export async function loadInstalled(packageName = 'node-llama-cpp'): Promise<LlamaPackage> {
  try {
    return (await import(packageName)) as LlamaPackage
  } catch (error) {
    throw new ProviderError(
      'connection',
      'Local models need the package node-llama-cpp, which is not installed: npm install node-llama-cpp@3.22.1',
      { cause: error, isUnreached: true },
    )
  }
}
