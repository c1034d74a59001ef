import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'

export const Agent = builder.prismaNode('Agent', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => ({ tenantId_id: { tenantId: viewerOf(context).tenantId, id } }),
  description: 'A named way to answer: model, system prompt, parameters and tools.',
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Short name, unique in the tenant: `primary`.' }),
    name: t.exposeString('name', { description: 'Name for people.' }),
    description: t.exposeString('description', { nullable: true, description: 'What it is for.' }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'Model id (`provider:name`); null for the default of the installation.',
    }),
    systemPrompt: t.exposeString('systemPrompt', {
      nullable: true,
      description: 'What the model is told first.',
    }),
    parameters: t.expose('parameters', {
      type: 'JSON',
      description: 'Model parameters, such as `temperature`.',
    }),
    isActive: t.exposeBoolean('isActive', { description: 'Whether new sessions may choose it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
})

builder.queryField('agents', (t) =>
  t.prismaField({
    type: [Agent],
    description: 'The agents of the tenant, by name.',
    resolve: (query, _root, _args, context) => {
      const { db, tenantId } = viewerOf(context)
      return db.prisma.agent.findMany({
        ...query,
        where: { tenantId },
        orderBy: [{ name: 'asc' }, { id: 'asc' }],
      })
    },
  }),
)
