import { knownUsers } from '../../auth/policy.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'

export const UserRole = builder.enumType('UserRole', {
  description: 'What a token may do within its tenant.',
  values: {
    USER: { description: 'Acts for itself.' },
    ADMIN: { description: 'Sees and steers the whole tenant.' },
    SERVICE: { description: 'A program of the tenant; may name the user it acts for.' },
  } as const,
})

export const Tenant = builder.prismaNode('Tenant', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => ({ id, AND: { id: viewerOf(context).tenantId } }),
  description: 'A customer of the installation: people, agents and sessions that nobody else sees.',
  fields: (t) => ({
    slug: t.exposeString('slug', { description: 'Short unique name, as tokens carry it.' }),
    name: t.exposeString('name', { description: 'Name for people.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
})

export const User = builder.prismaNode('User', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => {
    const viewer = viewerOf(context)
    return { tenantId_id: { tenantId: viewer.tenantId, id }, ...knownUsers(viewer) }
  },
  description: 'A person or program that signs in. It appears with the first token that names it.',
  fields: (t) => ({
    externalId: t.exposeString('externalId', { description: 'The `sub` of its tokens.' }),
    name: t.exposeString('name', { nullable: true, description: 'Name, as the last token said.' }),
    email: t.exposeString('email', { nullable: true, description: 'Address, as the last token said.' }),
    role: t.expose('role', { type: UserRole, description: 'Role, as the last token said.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was first seen.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When its record last changed.' }),
  }),
})

const ViewerRef = builder.objectType('Viewer', {
  description: 'Who is asking, as the token proves.',
  fields: (t) => ({
    user: t.prismaField({
      type: User,
      description: 'The record of the user.',
      resolve: (query, { db, tenantId, userId }) =>
        db.prisma.user.findFirstOrThrow({ ...query, where: { tenantId, id: userId } }),
    }),
    tenant: t.prismaField({
      type: Tenant,
      description: 'The tenant that everything the viewer sees belongs to.',
      resolve: (query, { db, tenantId }) =>
        db.prisma.tenant.findFirstOrThrow({ ...query, where: { id: tenantId } }),
    }),
    role: t.expose('role', { type: UserRole, description: 'What the token lets the viewer do.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'When the token expires; live operations end then.',
    }),
  }),
})

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    description: 'Who is asking.',
    resolve: (_root, _args, context) => viewerOf(context),
  }),
)
