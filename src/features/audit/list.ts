import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { AuditEntry } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { type OrderKey, type Page, type PageArgs, readPage } from '../../lib/paging.ts'

export type AuditFilter = { action?: string | null | undefined; actorId?: string | null | undefined }

export const auditPageSizes = { default: 50, max: 200 }

/** As they were written, the newest first: ids rise with time. */
const newestFirst: readonly OrderKey[] = [{ field: 'id', direction: 'desc', type: 'uuid' }]

const input = z.object({
  filter: z.object({ action: text({ max: 100 }).nullish(), actorId: z.uuid().nullish() }),
})

/** A page of what was done in the viewer's tenant; that it is for admins is settled by the schema. */
export function readAuditPage(
  { db, tenantId }: Viewer,
  args: PageArgs,
  asked: AuditFilter,
): Promise<Page<AuditEntry>> {
  const { action, actorId } = check(input, { filter: asked }).filter
  const where = { tenantId, ...(action ? { action } : {}), ...(actorId ? { actorId } : {}) }
  return readPage({
    args,
    sizes: auditPageSizes,
    order: newestFirst,
    find: (page) => db.prisma.auditEntry.findMany({ ...page, where: { AND: [where, page.where] } }),
    count: () => db.prisma.auditEntry.count({ where }),
  })
}
