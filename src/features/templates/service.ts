import { z } from 'zod'
import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Agent, Statement, Template } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { isForeignKeyViolation, isUniqueViolation } from '../../db/failures.ts'
import { check, jsonObject, modelId, modelParameters, text } from '../../lib/checks.ts'
import { contextPolicy } from '../../lib/context-policy.ts'
import { ForbiddenError, invalid, NotFoundError } from '../../lib/errors.ts'
import { encodeId, newId } from '../../lib/ids.ts'
import { type Page, type PageArgs, readPage } from '../../lib/paging.ts'
import { changeRecorded, recordUnlessOwn } from '../audit/record.ts'

/** Templates are open to everybody of the tenant; their author and admins change them. */
export type Templates = {
  /** A page of the tenant's templates, by name; `query` is Prisma's selection of what hangs on them. */
  page(viewer: Viewer, args: PageArgs, query: object): Promise<Page<Template>>
  /** The template with this id; throws `NotFoundError`. */
  require(viewer: Viewer, templateId: string): Promise<Template>
  /** Makes a template; its name must be free in the tenant. */
  create(viewer: Viewer, input: unknown): Promise<Template>
  /** Changes what is given; null clears where null is a value. Sessions made from it before stay as they are. */
  update(viewer: Viewer, templateId: string, input: unknown): Promise<Template>
  /** Deletes a template; the sessions made from it stay and name none. */
  remove(viewer: Viewer, templateId: string): Promise<{ id: string }>
}

export const templatePageSizes = { default: 50, max: 200 }

const columns = columnsOf('Template', 't')

const insertTemplate: Statement = {
  name: 'template-insert',
  text: `INSERT INTO templates AS t (tenant_id, id, author_id, name, title, agent_id, model, system_prompt,
      opening_messages, parameters, metadata, context_policy)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING ${columns}`,
}

// What is not given comes as null beside its name missing from `$4`.
const updateTemplate: Statement = {
  name: 'template-update',
  text: `UPDATE templates t SET updated_at = now(),
      name = CASE WHEN 'name' = ANY($3) THEN $4 ELSE t.name END,
      title = CASE WHEN 'title' = ANY($3) THEN $5 ELSE t.title END,
      agent_id = CASE WHEN 'agent' = ANY($3) THEN $6 ELSE t.agent_id END,
      model = CASE WHEN 'model' = ANY($3) THEN $7 ELSE t.model END,
      system_prompt = CASE WHEN 'systemPrompt' = ANY($3) THEN $8 ELSE t.system_prompt END,
      opening_messages = CASE WHEN 'openingMessages' = ANY($3) THEN $9 ELSE t.opening_messages END,
      parameters = CASE WHEN 'parameters' = ANY($3) THEN $10 ELSE t.parameters END,
      metadata = CASE WHEN 'metadata' = ANY($3) THEN $11 ELSE t.metadata END,
      context_policy = CASE WHEN 'contextPolicy' = ANY($3) THEN $12 ELSE t.context_policy END
    WHERE t.tenant_id = $1 AND t.id = $2 RETURNING ${columns}`,
}

// So many at a time that none of them is locked for long.
const releaseSessions: Statement = {
  name: 'template-release-sessions',
  text: `UPDATE sessions SET template_id = NULL WHERE tenant_id = $1 AND id IN (
      SELECT id FROM sessions WHERE tenant_id = $1 AND template_id = $2 LIMIT 500)
    RETURNING id`,
}

const deleteTemplate: Statement = {
  name: 'template-delete',
  text: 'DELETE FROM templates WHERE tenant_id = $1 AND id = $2 RETURNING id',
}

type Dependencies = {
  config: Config['sessions']
  /** Finds an active agent by key or id. */
  findAgent: (viewer: Viewer, keyOrId: string) => Promise<Agent>
  /** Throws unless the model can be used, with these parameters. */
  requireModel: (viewer: Viewer, modelId: string, parameters?: object | null) => Promise<void>
  /** Throws where the model, which was chosen before, does not take the parameters. */
  requireTaken: (modelId: string, parameters: object | null | undefined) => void
}

export function createTemplates({ config, findAgent, requireModel, requireTaken }: Dependencies): Templates {
  const checks = createTemplateChecks(config)

  async function require({ db, tenantId }: Viewer, id: string): Promise<Template> {
    const template = await db.prisma.template.findFirst({ where: { tenantId, id } })
    if (!template) throw new NotFoundError('template')
    return template
  }

  async function requireOwn(viewer: Viewer, id: string): Promise<Template> {
    const template = await require(viewer, id)
    if (template.authorId !== viewer.userId && !actsForTenant(viewer))
      throw new ForbiddenError('Only its author and admins can change a template.')
    return template
  }

  /** The values of the columns that both statements name in this order. */
  async function valuesOf(viewer: Viewer, input: z.output<typeof checks.update>) {
    if (input.model) await requireModel(viewer, input.model, input.parameters)
    return [
      input.name ?? null,
      input.title ?? null,
      input.agent ? (await findAgent(viewer, input.agent)).id : null,
      input.model ?? null,
      input.systemPrompt ?? null,
      JSON.stringify(input.openingMessages ?? []),
      input.parameters ?? {},
      input.metadata ?? {},
      input.contextPolicy ?? null,
    ]
  }

  return {
    page: ({ db, tenantId }, args, query) =>
      readPage({
        args,
        sizes: templatePageSizes,
        order: [{ field: 'name', direction: 'asc', type: 'text' }],
        find: (page) =>
          db.prisma.template.findMany({ ...query, ...page, where: { AND: [{ tenantId }, page.where] } }),
        count: () => db.prisma.template.count({ where: { tenantId } }),
      }),
    require,
    async create(viewer, asked) {
      const input = check(checks.create, asked)
      const values = [viewer.tenantId, newId(), viewer.userId, ...(await valuesOf(viewer, input))]
      const [template] = await named(input.name, viewer.db.sql<Template>(insertTemplate, values))
      if (!template) throw new Error('The template was not stored.')
      return template
    },
    async update(viewer, templateId, asked) {
      const input = check(checks.update, asked)
      const { model, authorId } = await requireOwn(viewer, templateId)
      if (input.model === undefined && model) requireTaken(model, input.parameters)
      const given = Object.entries(input).flatMap(([name, value]) => (value === undefined ? [] : name))
      const values = [viewer.tenantId, templateId, given, ...(await valuesOf(viewer, input))]
      const done = { action: 'updateTemplate', target: encodeId('Template', templateId) }
      const stored = changeRecorded(viewer, authorId, done, async (sql) => {
        const [template] = await sql<Template>(updateTemplate, values)
        if (!template) throw new NotFoundError('template')
        return template
      })
      return named(input.name, stored)
    },
    async remove(viewer, templateId) {
      const template = await requireOwn(viewer, templateId)
      const key = [viewer.tenantId, templateId]
      for (;;) {
        const { length } = await viewer.db.sql(releaseSessions, key)
        if (length === 0 && (await isDeleted(viewer, template))) return { id: templateId }
      }
    },
  }
}

function createTemplateChecks(config: Config['sessions']) {
  const name = text({ min: 1, max: 100 })
  const content = text({ min: 1, max: config.messageMaxLength })
  const settings = {
    title: text({ min: 1, max: config.titleMaxLength }).nullish(),
    agent: text({ min: 1, max: 100 }).nullish(),
    model: modelId.nullish(),
    systemPrompt: text({ max: config.messageMaxLength }).nullish(),
    openingMessages: z
      .array(z.object({ role: z.enum(['USER', 'ASSISTANT', 'SYSTEM']), content }))
      .max(20, 'has more than 20 entries')
      .nullish(),
    parameters: modelParameters.nullish(),
    contextPolicy: contextPolicy.nullish(),
    metadata: jsonObject({ maxBytes: config.metadataMaxBytes }).nullish(),
  }
  return {
    create: z.object({ name, ...settings }),
    update: z.object({
      // A template always has a name: null leaves it.
      name: name.nullish().transform((value) => value ?? undefined),
      ...settings,
    }),
  }
}

/** Deletes a template; gives false where a session has been made from it meanwhile. Throws where it is gone already. */
async function isDeleted(viewer: Viewer, { id, authorId }: Template): Promise<boolean> {
  try {
    await viewer.db.transaction(async (sql) => {
      const [gone] = await sql(deleteTemplate, [viewer.tenantId, id])
      if (!gone) throw new NotFoundError('template')
      const target = encodeId('Template', id)
      await recordUnlessOwn(sql, viewer, authorId, { action: 'deleteTemplate', target })
    })
    return true
  } catch (error) {
    if (!isForeignKeyViolation(error)) throw error
    return false
  }
}

/** Tells a name that is taken from other failures. */
async function named<Result>(name: string | undefined, stored: Promise<Result>): Promise<Result> {
  try {
    return await stored
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw invalid('name', `${JSON.stringify(name)} is taken by another template`)
  }
}
