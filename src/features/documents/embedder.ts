import type { Models } from '../../llm/registry.ts'

/** Makes vectors of texts, by the one model that is configured for it. */
export type Embedder = {
  /** `provider:name`. */
  readonly model: string
  /**
   * A vector of length 1 for each text, in order, as little-endian 32-bit floats. Throws a `ProviderError`, or the
   * signal's reason.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Buffer[]>
}

/** Null without a model; throws where its provider is not configured or makes no vectors. */
export function createEmbedder(models: Models, modelId: string | undefined): Embedder | null {
  if (modelId === undefined) return null
  const { provider, model } = models.resolve(modelId)
  const { embed } = provider
  if (!embed) throw new Error(`EMBEDDING_MODEL: the provider ${provider.name} makes no embeddings.`)
  return {
    model: modelId,
    embed: async (texts, signal) => (await embed({ model, texts }, signal)).map(toBytes),
  }
}

function toBytes(vector: readonly number[]): Buffer {
  const length = Math.hypot(...vector) || 1
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value / length, index * 4)
  return bytes
}

/** The cosine of two vectors of length 1; null where they are of different models. */
export function cosine(one: Buffer, other: Buffer): number | null {
  if (one.length !== other.length) return null
  const [a, b] = [floatsOf(one), floatsOf(other)]
  let sum = 0
  for (let index = 0; index < a.length; index += 1) sum += (a[index] as number) * (b[index] as number)
  return sum
}

/** Buffers of a pool may begin anywhere; floats begin at multiples of four. */
const floatsOf = (bytes: Buffer) =>
  bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    : new Float32Array(new Uint8Array(bytes).buffer)
