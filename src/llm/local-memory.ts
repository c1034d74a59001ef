import { createGate } from '../lib/async.ts'
import type { Llama, LlamaModel, LoadPackage, Sequence } from './local-engine.ts'
import type { ModelFile } from './local-files.ts'
import { ProviderError } from './provider.ts'

export type LocalSettings = {
  /** The most that a model is given, in tokens; memory grows with it. */
  contextTokens: number
  /** Replies that one model writes at a time; each has a context of its own. */
  parallel: number
  /** Threads for all models together; 0 for what fits the machine. */
  threads: number
}

export type LoadedModel = { model: LlamaModel; contextSize: number }

/** The models that are in memory. Each is loaded once, however many want it. */
export type LocalMemory = {
  has(name: string): boolean
  /** Throws a `ProviderError` where the file is no model, or too large for the machine. */
  load(file: ModelFile): Promise<void>
  /** Does the task with a place of the model, loading it where it is not there; waits in line for one. */
  use<T>(file: ModelFile, task: (loaded: LoadedModel, sequence: Sequence) => Promise<T>): Promise<T>
  /** Lets go of it once the replies that it is writing are done. */
  unload(name: string): Promise<void>
  close(): Promise<void>
}

type Resident = LoadedModel & {
  idle: Sequence[]
  gate: ReturnType<typeof createGate>
  tasks: Set<Promise<unknown>>
}

export function createLocalMemory(loadPackage: LoadPackage, settings: LocalSettings): LocalMemory {
  const { contextTokens, parallel, threads } = settings
  const residents = new Map<string, Promise<Resident>>()
  let engine: Promise<Llama> | undefined

  const start = async () => {
    const { getLlama } = await loadPackage()
    return getLlama({ build: 'never', logLevel: 'error', ...(threads > 0 && { maxThreads: threads }) })
  }

  async function bring({ name, path }: ModelFile): Promise<Resident> {
    engine ??= start()
    const llama = await engine
    try {
      const model = await llama.loadModel({ modelPath: path })
      const context = await model.createContext({
        contextSize: { max: Math.min(contextTokens, model.trainContextSize) },
        sequences: parallel,
      })
      return {
        model,
        contextSize: context.contextSize,
        idle: Array.from({ length: parallel }, () => context.getSequence()),
        gate: createGate(parallel),
        tasks: new Set(),
      }
    } catch (error) {
      const isTooLarge = error instanceof Error && error.name === 'InsufficientMemoryError'
      throw isTooLarge
        ? new ProviderError('overloaded', `There is not enough memory for "${name}" now.`, { cause: error })
        : new ProviderError('invalid', `"${name}" is not a model that can be loaded.`, { cause: error })
    }
  }

  function residentOf(file: ModelFile): Promise<Resident> {
    const known = residents.get(file.name)
    if (known) return known
    const coming = bring(file)
    residents.set(file.name, coming)
    coming.catch(() => residents.delete(file.name))
    return coming
  }

  async function dispose(resident: Resident): Promise<void> {
    while (resident.tasks.size > 0) await Promise.allSettled(resident.tasks)
    await resident.model.dispose()
  }

  async function unload(name: string): Promise<void> {
    const leaving = residents.get(name)
    residents.delete(name)
    const resident = await leaving?.catch(() => undefined)
    if (resident) await dispose(resident)
  }

  return {
    has: (name) => residents.has(name),
    load: async (file) => void (await residentOf(file)),
    async use(file, task) {
      const resident = await residentOf(file)
      const done = resident.gate(async () => {
        const sequence = resident.idle.pop() as Sequence
        try {
          return await task(resident, sequence)
        } finally {
          resident.idle.push(sequence)
        }
      })
      resident.tasks.add(done)
      try {
        return await done
      } finally {
        resident.tasks.delete(done)
      }
    },
    unload,
    async close() {
      await Promise.all([...residents.keys()].map(unload))
      await (await engine?.catch(() => undefined))?.dispose()
    },
  }
}
