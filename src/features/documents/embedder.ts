import type { Statement, TenantDatabase } from '../../db/client.ts'
import { newId } from '../../lib/ids.ts'
import { ProviderError } from '../../llm/provider.ts'
import type { Models } from '../../llm/registry.ts'
import { createTokenCounters } from '../../llm/tokens.ts'
import { countUsed, type Used } from '../quotas/counting.ts'
import type { Quotas } from '../quotas/service.ts'

/** Makes vectors of texts, by the one model that is configured for it. */
export type Embedder = {
  /** `provider:name`. */
  readonly model: string
  /**
   * A vector of length 1 for each text, in order. What that takes is the user's, whose quotas hold. Asks once more where
   * the provider was not reached. Throws a `QuotaError`, a `ProviderError`, or the signal's reason.
   */
  embed(payer: Payer, texts: readonly string[], signal: AbortSignal): Promise<Vector[]>
}

export type Vector = readonly number[]

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
  const counters = createTokenCounters()
  /** Where the provider does not tell it, so that it is not had for nothing. */
  const estimate = async (texts: readonly string[]) => {
    const { count } = await counters.of(modelId)
    return texts.reduce((sum, text) => sum + count(text), 0)
  }
  return {
    model: modelId,
    async embed({ db, userId }, texts, signal) {
      await quotas.require(db, userId)
      const ask = () => embed({ model, texts }, signal)
      const { vectors, inputTokens } = await ask().catch((error: unknown) => {
        // Servers close connections that were idle, at times while a request is on its way.
        if (error instanceof ProviderError && error.isUnreached) return ask()
        throw error
      })
      const usage = {
        inputTokens: inputTokens || (await estimate(texts)),
        outputTokens: 0,
        cachedInputTokens: 0,
      }
      await record({ db, userId }, modelId, { usage, cost: models.prices.costOf(modelId, usage) })
      return vectors.map(withLengthOne)
    },
  }
}

const record = ({ db, userId }: Payer, model: string, used: Used) =>
  db.transaction(async (sql) => {
    const { tenantId } = db
    await sql(recordUsage, [tenantId, newId(), userId, model, used.usage.inputTokens, used.cost])
    await countUsed(sql, { tenantId, userId }, used)
  })

function withLengthOne(vector: Vector): Vector {
  const length = Math.hypot(...vector) || 1
  return vector.map((value) => value / length)
}
