import { LRUCache } from 'lru-cache'
import type { Viewer } from '../../auth/viewer.ts'
import type { Statement } from '../../db/client.ts'
import type { ModelParameters } from '../../llm/provider.ts'
import { recordAction } from '../audit/record.ts'

/** What a tenant wants of a model; a model without a row is allowed and has no defaults. */
export type ModelSetting = { parameters: ModelParameters; isAllowed: boolean }

export type ModelSettings = {
  /** By model id. Kept in memory, so that a send costs no round trip for it. */
  of(viewer: Viewer): Promise<ReadonlyMap<string, ModelSetting>>
  /** Changes what is given. */
  set(viewer: Viewer, model: string, changes: Partial<ModelSetting>): Promise<void>
  /** Settings of this tenant are to be read anew; without one, those of all. */
  forget(tenantId?: string): void
}

/** How long another node's change may go unnoticed where its word of it was lost. */
const knownForMs = 60_000

const findSettings: Statement = {
  name: 'model-settings',
  text: `SELECT s.model, s.parameters, s.is_allowed AS "isAllowed" FROM model_settings s WHERE s.tenant_id = $1`,
}

const upsertSetting: Statement = {
  name: 'model-setting-upsert',
  text: `INSERT INTO model_settings AS s (tenant_id, model, parameters, is_allowed)
    VALUES ($1, $2, coalesce($3::jsonb, '{}'), coalesce($4::boolean, true))
    ON CONFLICT (tenant_id, model) DO UPDATE SET parameters = coalesce($3::jsonb, s.parameters),
      is_allowed = coalesce($4::boolean, s.is_allowed), updated_at = now()`,
}

export function createModelSettings(): ModelSettings {
  const known = new LRUCache<string, Promise<Map<string, ModelSetting>>>({ max: 10_000, ttl: knownForMs })

  async function read({ db, tenantId }: Viewer) {
    const rows = await db.sql<ModelSetting & { model: string }>(findSettings, [tenantId])
    return new Map(rows.map(({ model, ...setting }) => [model, setting]))
  }

  return {
    of(viewer) {
      const { tenantId } = viewer
      const found = known.get(tenantId)
      if (found) return found
      const reading = read(viewer)
      known.set(tenantId, reading)
      reading.catch(() => {
        if (known.peek(tenantId) === reading) known.delete(tenantId)
      })
      return reading
    },
    async set(viewer, model, { parameters, isAllowed }) {
      const { db, tenantId } = viewer
      await db.transaction(async (sql) => {
        await sql(upsertSetting, [tenantId, model, parameters ?? null, isAllowed ?? null])
        await recordAction(sql, viewer, { action: 'setModelDefaults', target: model })
      })
      known.delete(tenantId)
    },
    forget: (tenantId) => void (tenantId === undefined ? known.clear() : known.delete(tenantId)),
  }
}
