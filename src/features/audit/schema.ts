import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { auditPageSizes, readAuditPage } from './list.ts'

const AuditEntry = builder.prismaObject('AuditEntry', {
  description:
    'Who did what of the things that others must be able to ask about. It holds nothing of what was said.',
  fields: (t) => ({
    at: t.expose('createdAt', { type: 'DateTime', description: 'When it was done.' }),
    action: t.exposeString('action', { description: 'The mutation, such as `eraseUser`.' }),
    actor: t.prismaField({
      type: 'User',
      nullable: true,
      description: 'Who did it; null where that user was erased since.',
      resolve: (query, { tenantId, actorId }, _args, context) =>
        viewerOf(context).db.prisma.user.findUnique({
          ...query,
          where: { tenantId_id: { tenantId, id: actorId } },
        }),
    }),
    actorRole: t.expose('actorRole', { type: 'UserRole', description: 'The role that it was done in.' }),
    target: t.exposeString('target', {
      nullable: true,
      description: 'What it was done to: a global id, or the name of a model.',
    }),
  }),
})

const AuditFilter = builder.inputType('AuditFilter', {
  description: 'Which entries to list; all conditions hold together.',
  fields: (t) => ({
    action: t.string({ description: 'Only this mutation.' }),
    actorId: t.id({ description: 'Only what this user did.' }).validate(idOf('User')),
  }),
})

builder.queryField('auditLog', (t) =>
  t.field({
    type: connectionOf('AuditEntry', AuditEntry, 'entry'),
    authScopes: { admin: true },
    description:
      'What was done in the tenant that others must be able to ask about (people let in and out, exports, erasures, ' +
      "changes of agents and models, tokens revoked, what was changed or deleted of another's), for admins; the newest first. " +
      'Entries are kept for 365 days (AUDIT_DAYS).',
    complexity: pageComplexity(auditPageSizes),
    args: {
      ...pageArgs(t.arg, auditPageSizes),
      filter: t.arg({ type: AuditFilter, description: 'Which entries to list; all by default.' }),
    },
    resolve: (_root, { filter, ...args }, context) => readAuditPage(viewerOf(context), args, filter ?? {}),
  }),
)
