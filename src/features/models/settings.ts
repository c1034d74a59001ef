import { LRUCache } from 'lru-cache'
import type { Viewer } from '../../auth/viewer.ts'
import type { Statement, TenantDatabase } from '../../db/client.ts'
import { LimitError } from '../../lib/errors.ts'
import type { ModelParameters } from '../../llm/provider.ts'
import { type Action, recordAction } from '../audit/record.ts'

/** What a tenant wants of a model; `isAllowed` null: as it has it for all of which it says nothing. */
export type ModelSetting = { parameters: ModelParameters; isAllowed: boolean | null }

/** What a tenant wants of all models. */
export type TenantModels = {
  /** Whether only those models may be used that are allowed by name. */
  readonly onlyAllowed: boolean
  allows(model: string): boolean
  /** Empty where none were set. */
  parametersOf(model: string): ModelParameters
}

export type ModelSettings = {
  /** Kept in memory, so that a send costs no round trip for it. */
  of(db: TenantDatabase): Promise<TenantModels>
  /** Changes what is given; throws a `LimitError` where the tenant has settings of too many models. */
  set(viewer: Viewer, model: string, changes: Partial<ModelSetting>): Promise<void>
  setOnlyAllowed(viewer: Viewer, onlyAllowed: boolean): Promise<void>
  /** Settings of this tenant are to be read anew; without one, those of all. */
  forget(tenantId?: string): void
}

/** How long another node's change may go unnoticed where its word of it was lost. */
const knownForMs = 60_000

/** All of them are kept in memory, and names of models can be made up. */
const maxSettings = 500

/** The row for all models that have nothing of their own; no id of a model looks like it. */
const everyOther = '*'

const findSettings: Statement = {
  name: 'model-settings',
  text: `SELECT s.model, s.parameters, s.is_allowed AS "isAllowed" FROM model_settings s WHERE s.tenant_id = $1`,
}

// Two at one moment would count without each other.
const lockSettings: Statement = {
  name: 'model-settings-lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('model settings of ' || $1::text, 0))`,
}

const upsertSetting: Statement = {
  name: 'model-setting-upsert',
  text: `INSERT INTO model_settings AS s (tenant_id, model, parameters, is_allowed)
    VALUES ($1, $2, coalesce($3::jsonb, '{}'), $4)
    ON CONFLICT (tenant_id, model) DO UPDATE SET parameters = coalesce($3::jsonb, s.parameters),
      is_allowed = CASE WHEN $5 THEN $4 ELSE s.is_allowed END, updated_at = now()
    RETURNING xmax = 0 AS "isNew"`,
}

const dropEmpty: Statement = {
  name: 'model-setting-drop-empty',
  text: `DELETE FROM model_settings WHERE tenant_id = $1 AND model = $2 AND parameters = '{}' AND is_allowed IS NULL`,
}

const countSettings: Statement = {
  name: 'model-settings-count',
  text: `SELECT count(*)::int AS count FROM model_settings WHERE tenant_id = $1 AND model <> '${everyOther}'`,
}

export function createModelSettings(): ModelSettings {
  const known = new LRUCache<string, Promise<TenantModels>>({ max: 10_000, ttl: knownForMs })

  async function read(db: TenantDatabase): Promise<TenantModels> {
    const rows = await db.sql<ModelSetting & { model: string }>(findSettings, [db.tenantId])
    const settings = new Map(rows.map(({ model, ...setting }) => [model, setting]))
    const onlyAllowed = settings.get(everyOther)?.isAllowed === false
    return {
      onlyAllowed,
      allows: (model) => settings.get(model)?.isAllowed ?? !onlyAllowed,
      parametersOf: (model) => settings.get(model)?.parameters ?? {},
    }
  }

  async function change(viewer: Viewer, model: string, changes: Partial<ModelSetting>, done: Action) {
    const { db, tenantId } = viewer
    const { parameters = null, isAllowed } = changes
    await db.transaction(async (sql) => {
      await sql(lockSettings, [tenantId])
      const values = [tenantId, model, parameters, isAllowed ?? null, isAllowed !== undefined]
      const [stored] = await sql<{ isNew: boolean }>(upsertSetting, values)
      await sql(dropEmpty, [tenantId, model])
      const [held] = await sql<{ count: number }>(countSettings, [tenantId])
      if (stored?.isNew && (held?.count ?? 0) > maxSettings)
        throw new LimitError(
          `The tenant has settings of ${maxSettings} models; clear some before you set others.`,
          maxSettings,
        )
      await recordAction(sql, viewer, done)
    })
    known.delete(tenantId)
  }

  return {
    of(db) {
      const { tenantId } = db
      const found = known.get(tenantId)
      if (found) return found
      const reading = read(db)
      known.set(tenantId, reading)
      reading.catch(() => {
        if (known.peek(tenantId) === reading) known.delete(tenantId)
      })
      return reading
    },
    set: (viewer, model, changes) =>
      change(viewer, model, changes, { action: 'setModelDefaults', target: model }),
    setOnlyAllowed: (viewer, onlyAllowed) =>
      change(
        viewer,
        everyOther,
        { isAllowed: onlyAllowed ? false : null },
        { action: 'setModelPolicy', target: null },
      ),
    forget: (tenantId) => void (tenantId === undefined ? known.clear() : known.delete(tenantId)),
  }
}
