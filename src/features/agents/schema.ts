import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { text } from '../../lib/checks.ts'
import { invalid } from '../../lib/errors.ts'
import type { AgentTool } from './checks.ts'

const AgentToolRef = builder.objectRef<AgentTool>('AgentTool').implement({
  description: 'A tool that the model may ask to have called.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Unique in the agent.' }),
    description: t.exposeString('description', { description: 'What it does, for the model.' }),
    parameters: t.expose('parameters', { type: 'JSON', description: 'JSON schema of its arguments.' }),
    requiresApproval: t.exposeBoolean('requiresApproval', {
      description: 'Whether a person must approve each call before it is made.',
    }),
  }),
})

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
    tools: t.field({
      type: [AgentToolRef],
      description: 'What the model may ask to have called.',
      resolve: ({ tools }) => tools as unknown as AgentTool[],
    }),
    memoryTools: t.exposeBoolean('memoryTools', {
      description: 'Whether the model may save, read and delete memories by itself.',
    }),
    maxActiveSessionsPerUser: t.exposeInt('maxActiveSessionsPerUser', {
      nullable: true,
      description: 'Active sessions that a user may have with it; null for the limit of the installation.',
    }),
    isActive: t.exposeBoolean('isActive', { description: 'Whether new sessions may choose it.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
})

builder.prismaObjectFields('Session', (t) => ({
  agent: t.field({
    type: Agent,
    nullable: true,
    description: 'The agent that answers, if one was chosen.',
    resolve: (session, _args, context) => context.services.agents.of(viewerOf(context), session),
  }),
}))

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

builder.queryField('agent', (t) =>
  t.prismaField({
    type: Agent,
    nullable: true,
    description: 'One agent, active or not, by its id or its key; null where there is none.',
    args: {
      id: t.arg.id({ description: 'The id of the agent.' }).validate(idOf('Agent').nullish()),
      key: t.arg
        .string({ description: 'The key of the agent, such as `primary`.' })
        .validate(text({ max: 100 }).nullish()),
    },
    resolve: (query, _root, { id, key }, context) => {
      if ((id == null) === (key == null)) throw invalid('', 'Give either the id or the key of the agent.')
      const { db, tenantId } = viewerOf(context)
      return db.prisma.agent.findFirst({
        ...query,
        where: { tenantId, ...(id ? { id } : { key: key ?? '' }) },
      })
    },
  }),
)
