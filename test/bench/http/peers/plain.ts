/**
 * What the documentation of Yoga, Pothos and Prisma leads to: relay connections by the plugin, an interactive
 * transaction for a write, no authentication and no limits.
 */
import { createServer } from 'node:http'
import SchemaBuilder from '@pothos/core'
import PrismaPlugin from '@pothos/plugin-prisma'
import RelayPlugin from '@pothos/plugin-relay'
import { PrismaPg } from '@prisma/adapter-pg'
import { createYoga } from 'graphql-yoga'
import type PrismaTypes from '../../../../src/db/generated/pothos.ts'
import { getDatamodel } from '../../../../src/db/generated/pothos.ts'
import { PrismaClient } from '../../../../src/db/generated/prisma/client.ts'
import { benchTenant, listenAsPeer } from './peer.ts'

const prisma = new PrismaClient({
  adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 10 }),
})
const builder = new SchemaBuilder<{
  PrismaTypes: PrismaTypes
  Scalars: { DateTime: { Input: Date; Output: Date }; ID: { Input: string; Output: string } }
}>({
  plugins: [RelayPlugin, PrismaPlugin],
  relay: {},
  prisma: { client: prisma, dmmf: getDatamodel() },
  // The plugins of the product's builder extend these options for every builder of the program.
} as never)
builder.scalarType('DateTime', { serialize: (value) => value.toISOString() })

builder.prismaObject('Agent', { fields: (t) => ({ name: t.exposeString('name') }) })
builder.prismaObject('Message', {
  fields: (t) => ({
    id: t.exposeID('id'),
    seq: t.exposeInt('seq'),
    role: t.exposeString('role'),
    content: t.exposeString('content', { nullable: true }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
})
builder.prismaObject('Session', {
  fields: (t) => ({
    id: t.exposeID('id'),
    title: t.exposeString('title', { nullable: true }),
    messageCount: t.exposeInt('messageCount'),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime' }),
    agent: t.relation('agent', { nullable: true }),
    messages: t.relation('messages', {
      args: { last: t.arg.int({ required: true }) },
      query: ({ last }) => ({ orderBy: { seq: 'asc' as const }, take: -last }),
    }),
  }),
})

const tenantId = benchTenant
builder.queryType({
  fields: (t) => ({
    sessions: t.prismaConnection({
      type: 'Session',
      cursor: 'tenantId_id',
      args: { userId: t.arg.id({ required: true }) },
      resolve: (query, _root, { userId }) =>
        prisma.session.findMany({
          ...query,
          where: { tenantId, userId, deletedAt: null },
          orderBy: [{ lastMessageAt: 'desc' }, { id: 'desc' }],
        }),
      totalCount: (_root, { userId }) =>
        prisma.session.count({ where: { tenantId, userId, deletedAt: null } }),
    }),
    session: t.prismaField({
      type: 'Session',
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      resolve: (query, _root, { id }) =>
        prisma.session.findUnique({ ...query, where: { tenantId_id: { tenantId, id } } }),
    }),
  }),
})
builder.mutationType({
  fields: (t) => ({
    addMessage: t.prismaField({
      type: 'Message',
      args: { sessionId: t.arg.id({ required: true }), content: t.arg.string({ required: true }) },
      resolve: (query, _root, { sessionId, content }) =>
        prisma.$transaction(async (tx) => {
          const session = await tx.session.update({
            where: { tenantId_id: { tenantId, id: sessionId } },
            data: { messageCount: { increment: 1 }, lastSeq: { increment: 1 }, lastMessageAt: new Date() },
          })
          const data = { tenantId, sessionId, seq: session.lastSeq, role: 'USER' as const, content }
          return tx.message.create({ ...query, data })
        }),
    }),
  }),
})

const yoga = createYoga({ schema: builder.toSchema(), graphiql: false, logging: 'warn' })
listenAsPeer(createServer(yoga))
