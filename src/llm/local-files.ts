import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { LlamaPackage, LoadPackage } from './local-engine.ts'
import { ProviderError } from './provider.ts'

const readTimeoutMs = 2_000

export type ModelFile = {
  /** The file's name without its ending. */
  name: string
  path: string
  /** In tokens; undefined where the file does not tell it. */
  contextLength: number | undefined
  /** Whether its head can be read. One that cannot is listed all the same: who asks for it is told. */
  isReadable: boolean
}

type Head = Omit<ModelFile, 'name' | 'path'> & { isEncoder: boolean }

/** The GGUF files of a folder, without those of models that only make vectors. Throws a `ProviderError`. */
export function createModelFiles(directory: string, load: LoadPackage): () => Promise<ModelFile[]> {
  // What is in a file does not change without its time.
  const known = new Map<string, Head>()

  async function read(llama: LlamaPackage, name: string) {
    const path = join(directory, `${name}.gguf`)
    const { mtimeMs, size } = await stat(path)
    const key = `${path} ${mtimeMs} ${size}`
    const found = known.get(key) ?? (await readHead(llama, path))
    known.set(key, found)
    return { name, path, ...found }
  }

  return async () => {
    const llama = await load()
    const files = await Promise.all((await namesIn(directory)).map((name) => read(llama, name)))
    return files.filter(({ isEncoder }) => !isEncoder)
  }
}

/** Of a model in several parts, the first stands for all. An id has no blanks. */
async function namesIn(directory: string): Promise<string[]> {
  const files = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw new ProviderError('connection', `The folder LOCAL_MODELS_DIR cannot be read (${error.code}).`, {
      isUnreached: true,
    })
  })
  return files
    .flatMap((file) => /^(\S+)\.gguf$/.exec(file)?.[1] ?? [])
    .filter((name) => !/-\d{5}-of-\d{5}$/.test(name) || name.includes('-00001-of-'))
    .sort()
}

async function readHead(llama: LlamaPackage, path: string): Promise<Head> {
  try {
    if (!(await isPlausible(path))) return unreadable
    const { metadata } = await llama.readGgufFileInfo(path, {
      sourceType: 'filesystem',
      readTensorInfo: false,
      logWarnings: false,
      signal: AbortSignal.timeout(readTimeoutMs),
    })
    const { architecture } = metadata.general
    const { context_length: length } = (metadata[architecture] ?? {}) as { context_length?: unknown }
    return {
      contextLength: typeof length === 'number' ? length : undefined,
      isEncoder: /bert/.test(architecture),
      isReadable: true,
    }
  } catch {
    return unreadable
  }
}

const unreadable = { contextLength: undefined, isEncoder: false, isReadable: false }

/** Whether it begins as a GGUF of a known version does: in anything else, the package reads on for ever. */
async function isPlausible(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(24), 0, 24, 0)
    const counts = [buffer.readBigUInt64LE(8), buffer.readBigUInt64LE(16)]
    return (
      bytesRead === 24 &&
      buffer.toString('latin1', 0, 4) === 'GGUF' &&
      [2, 3].includes(buffer.readUInt32LE(4)) &&
      counts.every((count) => count < 1_000_000n)
    )
  } finally {
    await file.close()
  }
}
