import type { Message, Prisma } from '../../db/client.ts'
import { type OrderKey, type Page, type PageArgs, readPage } from '../../lib/paging.ts'

export const messagePageSizes = { default: 50, max: 200 }

export type MessagePageArgs = PageArgs & {
  role?: Message['role'] | null | undefined
  status?: Message['status'] | null | undefined
}

/** Conversation order: oldest first. */
const bySeq: readonly OrderKey[] = [{ field: 'seq', direction: 'asc', type: 'int' }]

/** One page of a session's messages. `prisma` may be that of a snapshot, to match other reads. */
export function readMessagePage(
  prisma: Prisma.TransactionClient,
  { tenantId, id: sessionId }: { tenantId: string; id: string },
  args: MessagePageArgs,
  query: object = {},
): Promise<Page<Message>> {
  const where = {
    tenantId,
    sessionId,
    ...(args.role ? { role: args.role } : {}),
    ...(args.status ? { status: args.status } : {}),
  }
  return readPage({
    args,
    sizes: messagePageSizes,
    order: bySeq,
    find: (page) => prisma.message.findMany({ ...query, ...page, where: { AND: [where, page.where] } }),
    count: () => prisma.message.count({ where }),
  })
}
