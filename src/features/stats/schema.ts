import type { Agent } from '../../db/client.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { encodeId } from '../../lib/ids.ts'
import type { UserStats as Stats } from './service.ts'

const AgentSessionCount = builder
  .objectRef<{ agent: Agent | null; count: number }>('AgentSessionCount')
  .implement({
    description: 'How many sessions a user has with one agent.',
    fields: (t) => ({
      agent: t.prismaField({
        type: 'Agent',
        nullable: true,
        description: 'The agent; null for sessions without one.',
        resolve: (_query, { agent }) => agent,
      }),
      count: t.exposeInt('count', { description: 'The number of sessions.' }),
    }),
  })

const UserStats = builder.objectRef<Stats>('UserStats').implement({
  description: 'What a user has, and has used. Deleted sessions count for usage only.',
  fields: (t) => ({
    userId: t.id({
      description: 'The id of the user.',
      resolve: ({ userId }) => encodeId('User', userId),
    }),
    totalSessions: t.exposeInt('totalSessions', { description: 'Sessions that it owns.' }),
    activeSessions: t.exposeInt('activeSessions', { description: 'Those whose `isActive` is set.' }),
    totalMessages: t.expose('totalMessages', {
      type: 'NonNegativeInt',
      description: 'Messages in its sessions.',
    }),
    sessionsByAgent: t.field({
      type: [AgentSessionCount],
      description: 'Its sessions by agent, the most used one first; agents without any are left out.',
      resolve: ({ sessionsByAgent }) => sessionsByAgent,
    }),
    mostRecentSession: t.prismaField({
      type: 'Session',
      nullable: true,
      description: 'Its session with the latest activity.',
      resolve: (query, { userId }, _args, context) => {
        const { db, tenantId } = viewerOf(context)
        return db.prisma.session.findFirst({
          ...query,
          where: { tenantId, userId, deletedAt: null, isStateless: false },
          orderBy: [{ lastMessageAt: 'desc' }, { id: 'desc' }],
        })
      },
    }),
    oldestSession: t.prismaField({
      type: 'Session',
      nullable: true,
      description: 'Its session that was made first.',
      resolve: (query, { userId }, _args, context) => {
        const { db, tenantId } = viewerOf(context)
        return db.prisma.session.findFirst({
          ...query,
          where: { tenantId, userId, deletedAt: null, isStateless: false },
          orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
        })
      },
    }),
    tokens: t.expose('tokens', {
      type: 'NonNegativeInt',
      description: 'Tokens of all runs that it asked for, input and output together.',
    }),
    cost: t.expose('cost', {
      type: 'Decimal',
      description: 'US dollars of these runs; those of models whose price is not known count as nothing.',
    }),
  }),
})

builder.queryField('userStats', (t) =>
  t.field({
    type: UserStats,
    description: 'What a user has, and has used.',
    args: {
      userId: t.arg
        .id({ description: 'Another user than the viewer; for admins and services only.' })
        .validate(idOf('User').nullish()),
    },
    resolve: (_root, { userId }, context) => context.services.stats.ofUser(viewerOf(context), userId),
  }),
)
