import { z } from 'zod'
import type { Viewer } from '../../auth/viewer.ts'
import type { Prisma, User } from '../../db/client.ts'
import { findByPart } from '../../db/text-parts.ts'
import { check, text } from '../../lib/checks.ts'
import { escapeLike } from '../../lib/like.ts'
import { type OrderKey, type Page, type PageArgs, readPage } from '../../lib/paging.ts'

export type UserPageArgs = PageArgs & { search?: string | null | undefined }

export const userPageSizes = { default: 50, max: 200 }

/** As they were first seen, the newest first: ids rise with time. */
const newestFirst: readonly OrderKey[] = [{ field: 'id', direction: 'desc', type: 'uuid' }]

const input = z.object({ search: text({ max: 200 }).nullish() })

/** A page of the tenant's users; `query` is Prisma's selection of what hangs on them. */
export async function readUserPage(
  { db, tenantId }: Viewer,
  { search: asked, ...args }: UserPageArgs,
  query: object,
): Promise<Page<User>> {
  const { search } = check(input, { search: asked })
  const where = { tenantId, ...(search ? await searching(db, search) : {}) }
  return readPage({
    args,
    sizes: userPageSizes,
    order: newestFirst,
    find: (page) => db.prisma.user.findMany({ ...query, ...page, where: { AND: [where, page.where] } }),
    count: () => db.prisma.user.count({ where }),
  })
}

const named = {
  table: 'users',
  id: 'id',
  text: `coalesce(t.name, '') || E'\\n' || coalesce(t.email, '') || E'\\n' || t.external_id`,
}

async function searching(db: Viewer['db'], search: string): Promise<Prisma.UserWhereInput> {
  const ids = await findByPart(db, 'user-found', named, search)
  return { OR: matching(search), ...(ids ? { id: { in: ids } } : {}) }
}

function matching(search: string): Prisma.UserWhereInput[] {
  // `contains` becomes LIKE, in which these have a meaning of their own.
  const contains = { contains: escapeLike(search), mode: 'insensitive' } as const
  return [{ name: contains }, { email: contains }, { externalId: contains }]
}
