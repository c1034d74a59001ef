import { LRUCache } from 'lru-cache'
import { createBatch } from '../lib/batch.ts'
import type { PrismaClient } from './generated/prisma/client.ts'

type Args = { where?: Record<string, unknown>; select?: Record<string, unknown> }
type Operation = 'findUnique' | 'findUniqueOrThrow'

/** Reads of one model with one selection and the same conditions beside the id. */
type Kind = { model: string; args: object; where: object }

/** Kinds remembered; one that is forgotten in mid-batch only splits it. */
const maxKinds = 1_000

/**
 * The findUnique calls of one tenant, of which those of one turn of the event loop with one selection are one query:
 * relations under the rows of a list are asked for one by one. Prisma itself joins the calls of one tick whoever made
 * them, and sends them in the async context of the first: another tenant's call would run as this tenant.
 */
export function createUniqueReads(
  prisma: PrismaClient,
  tenantId: string,
  within: <T>(model: string, read: () => Promise<T>) => Promise<T>,
) {
  const kinds = new LRUCache<string, Kind>({ max: maxKinds })

  // One model stands for all in the types.
  const delegateOf = (model: string) => prisma[(model[0]?.toLowerCase() + model.slice(1)) as 'session']

  const readTogether = createBatch<Kind, string, { id: string }>(async ({ model, args, where }, ids) => {
    const wanted = { ...where, tenantId, id: { in: [...ids] } }
    const rows = await within(model, () => delegateOf(model).findMany({ ...args, where: wanted }))
    return new Map(rows.map((row) => [row.id, row]))
  })

  function readAlone(model: string, operation: Operation, { where = {}, ...args }: Args) {
    const delegate = delegateOf(model)
    // `tenantId_id: { tenantId, id }` is how findUnique spells a key of several columns.
    const parts = Object.entries(where).map(([key, value]) =>
      /^\w+_\w+$/.test(key) ? (value as object) : { [key]: value },
    )
    const find = operation === 'findUnique' ? delegate.findFirst : delegate.findFirstOrThrow
    return within(model, () => find({ ...args, where: Object.assign({}, ...parts) }))
  }

  return async (model: string, operation: Operation, args: Args): Promise<unknown> => {
    const { tenantId_id: key, ...where } = args.where as { tenantId_id?: { tenantId: string; id: string } }
    const isWhole = !args.select || args.select.id === true
    if (key?.tenantId !== tenantId || !isWhole) return readAlone(model, operation, args)
    const { where: _where, ...rest } = args
    const name = JSON.stringify([model, rest, where])
    const kind = kinds.get(name) ?? { model, args: rest, where }
    kinds.set(name, kind)
    const row = await readTogether(kind, key.id)
    // Prisma's own error says what was looked for.
    return row ?? (operation === 'findUnique' ? null : readAlone(model, operation, args))
  }
}
