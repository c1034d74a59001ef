import type { Statement, TenantDatabase } from '../../db/client.ts'
import { newId } from '../../lib/ids.ts'
import type { Models } from '../../llm/registry.ts'
import { countUsed, type Used } from '../quotas/counting.ts'
import type { Quotas } from '../quotas/service.ts'

/** Makes vectors of texts, by the one model that is configured for it. */
export type Embedder = {
  /** `provider:name`. */
  readonly model: string
  /**
   * A vector of length 1 for each text, in order, as little-endian 32-bit floats. What that takes is the user's, whose
   * quotas hold. Throws a `QuotaError`, a `ProviderError`, or the signal's reason.
   */
  embed(payer: Payer, texts: readonly string[], signal: AbortSignal): Promise<Buffer[]>
}

/** Whose usage it is. */
export type Payer = { db: TenantDatabase; userId: string }

const recordUsage: Statement = {
  name: 'usage-record-embedding',
  text: `INSERT INTO usage_records (tenant_id, run_id, user_id, model, status, input_tokens, output_tokens,
      cached_input_tokens, cost, created_at, kind)
    VALUES ($1, $2, $3, $4, 'COMPLETED', $5, 0, 0, coalesce($6::numeric, 0), clock_timestamp(), 'EMBEDDING')`,
}

/** Null without a model; throws where its provider is not configured or makes no vectors. */
export function createEmbedder(models: Models, quotas: Quotas, modelId: string | undefined): Embedder | null {
  if (modelId === undefined) return null
  const { provider, model } = models.resolve(modelId)
  const { embed } = provider
  if (!embed) throw new Error(`EMBEDDING_MODEL: the provider ${provider.name} makes no embeddings.`)
  return {
    model: modelId,
    async embed({ db, userId }, texts, signal) {
      await quotas.require(db, userId)
      const { vectors, inputTokens } = await embed({ model, texts }, signal)
      const usage = { inputTokens, outputTokens: 0, cachedInputTokens: 0 }
      await record({ db, userId }, modelId, { usage, cost: models.prices.costOf(modelId, usage) })
      return vectors.map(toBytes)
    },
  }
}

const record = ({ db, userId }: Payer, model: string, used: Used) =>
  db.transaction(async (sql) => {
    const { tenantId } = db
    await sql(recordUsage, [tenantId, newId(), userId, model, used.usage.inputTokens, used.cost])
    await countUsed(sql, { tenantId, userId }, used)
  })

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
