import type { Message, Prisma, TenantDatabase } from '../../db/client.ts'
import { decodeIdOf } from '../../lib/ids.ts'
import { type OrderKey, type Page, type PageArgs, type PageSizes, readPage } from '../../lib/paging.ts'

export type MessagePageArgs = PageArgs & {
  role?: Message['role'] | null | undefined
  status?: Message['status'] | null | undefined
  /** A global id. */
  author?: string | null | undefined
  /** Those that left the conversation, instead of those in it. */
  replaced?: boolean | null | undefined
  orderBy?: MessageOrder | null | undefined
}

export type MessageOrder = 'SEQ_ASC' | 'SEQ_DESC'

export const messageOrders: Record<MessageOrder, readonly OrderKey[]> = {
  SEQ_ASC: [{ field: 'seq', direction: 'asc', type: 'int' }],
  SEQ_DESC: [{ field: 'seq', direction: 'desc', type: 'int' }],
}

/** Whether a page is of the conversation as it is. */
export const isPlain = ({ role, status, author, replaced }: MessagePageArgs): boolean =>
  !role && !status && author == null && !replaced

/** One page of a session's messages; `prisma` is that of a snapshot, where the page is to match other reads. */
export function readMessagePage(
  db: TenantDatabase,
  sessionId: string,
  args: MessagePageArgs,
  sizes: PageSizes,
  prisma: Prisma.TransactionClient = db.prisma,
): Promise<Page<Message>> {
  const where = {
    tenantId: db.tenantId,
    sessionId,
    replacedAt: args.replaced ? { not: null } : null,
    ...(args.role ? { role: args.role } : {}),
    ...(args.status ? { status: args.status } : {}),
    ...(args.author != null ? { authorId: decodeIdOf('User', args.author, 'author') } : {}),
  }
  return readPage({
    args,
    sizes,
    order: messageOrders[args.orderBy ?? 'SEQ_ASC'],
    find: (page) => prisma.message.findMany({ ...page, where: { AND: [where, page.where] } }),
    // Asked for later, when a snapshot is over.
    count: () => db.prisma.message.count({ where }),
  })
}
