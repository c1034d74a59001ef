import { z } from 'zod'
import { actsForTenant } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Config } from '../../config.ts'
import type { Prisma, Session } from '../../db/client.ts'
import { check, text } from '../../lib/checks.ts'
import { decodeIdOf } from '../../lib/ids.ts'
import { type OrderKey, type Page, type PageArgs, readPage } from '../../lib/paging.ts'
import { sessionNames } from './checks.ts'

export type SessionFilter = {
  userId?: string | null | undefined
  agent?: string | null | undefined
  isActive?: boolean | null | undefined
  recentlyActive?: boolean | null | undefined
  deleted?: boolean | null | undefined
  title?: string | null | undefined
  tags?: readonly string[] | null | undefined
  model?: string | null | undefined
  createdAfter?: Date | null | undefined
  createdBefore?: Date | null | undefined
  lastMessageAfter?: Date | null | undefined
  lastMessageBefore?: Date | null | undefined
}

export type SessionOrder = {
  field: 'LAST_MESSAGE_AT' | 'UPDATED_AT' | 'CREATED_AT' | 'TITLE' | 'MESSAGE_COUNT'
  direction: 'ASC' | 'DESC'
}

export type SessionPageArgs = PageArgs & { filter?: SessionFilter | null | undefined; orderBy: SessionOrder }

const orderKeys = {
  LAST_MESSAGE_AT: { field: 'lastMessageAt', type: 'date' },
  UPDATED_AT: { field: 'updatedAt', type: 'date' },
  CREATED_AT: { field: 'createdAt', type: 'date' },
  TITLE: { field: 'title', type: 'text', nullable: true },
  MESSAGE_COUNT: { field: 'messageCount', type: 'int' },
} as const

const orderOf = ({ field, direction }: SessionOrder): OrderKey[] => {
  const way = direction === 'ASC' ? 'asc' : 'desc'
  return [
    { ...orderKeys[field], direction: way },
    { field: 'id', type: 'uuid', direction: way },
  ]
}

/** What a filter looks for could stand in a session. */
const filterCheck = ({ titleMaxLength }: Config['sessions']) =>
  z.object({
    filter: z.object({ ...sessionNames, title: text({ max: titleMaxLength }).nullish() }).nullish(),
  })

/** A page of the sessions that the viewer may see. */
export async function readSessionPage(
  config: Config['sessions'],
  viewer: Viewer,
  { filter, orderBy, ...args }: SessionPageArgs,
  query: object,
): Promise<Page<Session>> {
  check(filterCheck(config), { filter })
  const where: Prisma.SessionWhereInput = { AND: [await visible(viewer), filterOf(filter ?? {})] }
  return readPage({
    args,
    sizes: { default: config.defaultPageSize, max: config.maxPageSize },
    order: orderOf(orderBy),
    find: (page) =>
      viewer.db.prisma.session.findMany({ ...query, ...page, where: { AND: [where, page.where] } }),
    count: () => viewer.db.prisma.session.count({ where }),
  })
}

/**
 * The ids of shared sessions are looked up first: most users have none, and then their own sessions are one range of
 * an index, which an OR with a sub-query would not be.
 */
async function visible(viewer: Viewer): Promise<Prisma.SessionWhereInput> {
  const { db, tenantId, userId } = viewer
  if (actsForTenant(viewer)) return { tenantId }
  const shared = await db.prisma.participant.findMany({
    where: { tenantId, userId },
    select: { sessionId: true },
  })
  if (shared.length === 0) return { tenantId, userId }
  return { tenantId, OR: [{ userId }, { id: { in: shared.map(({ sessionId }) => sessionId) } }] }
}

function filterOf(filter: SessionFilter): Prisma.SessionWhereInput {
  const day = new Date(Date.now() - 86_400_000)
  const where: Prisma.SessionWhereInput[] = [{ deletedAt: filter.deleted ? { not: null } : null }]
  if (filter.userId != null) where.push({ userId: filter.userId })
  if (filter.agent != null) where.push(agentFilter(filter.agent))
  if (filter.isActive != null) where.push({ isActive: filter.isActive })
  if (filter.recentlyActive === true) where.push({ lastMessageAt: { gt: day }, lastSeq: { gt: 0 } })
  if (filter.recentlyActive === false) where.push({ OR: [{ lastMessageAt: { lte: day } }, { lastSeq: 0 }] })
  if (filter.title != null) where.push({ title: { contains: escapeLike(filter.title), mode: 'insensitive' } })
  if (filter.tags?.length) where.push({ tags: { hasEvery: [...filter.tags] } })
  if (filter.model != null) where.push({ model: filter.model })
  const range = (after?: Date | null, before?: Date | null) => ({
    ...(after && { gte: after }),
    ...(before && { lt: before }),
  })
  where.push({ createdAt: range(filter.createdAfter, filter.createdBefore) })
  where.push({ lastMessageAt: range(filter.lastMessageAfter, filter.lastMessageBefore) })
  return { AND: where }
}

const agentFilter = (agent: string): Prisma.SessionWhereInput =>
  agent.startsWith('agent_')
    ? { agentId: decodeIdOf('Agent', agent, 'filter.agent') }
    : { agent: { key: agent } }

/** `contains` becomes LIKE, in which these have a meaning of their own. */
const escapeLike = (text: string) => text.replace(/[\\%_]/g, '\\$&')
