import { queryFromInfo } from '@pothos/plugin-prisma'
import type { Template as TemplateRow } from '../../db/client.ts'
import { actingFields, actorOf } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity } from '../../graphql/paging.ts'
import { ForbiddenError, ModelUnavailableError, NotFoundError, ValidationError } from '../../lib/errors.ts'
import { encodeId } from '../../lib/ids.ts'
import { templatePageSizes } from './service.ts'

type OpeningMessageRow = { role: 'USER' | 'ASSISTANT' | 'SYSTEM'; content: string }

const OpeningMessageRole = builder.enumType('OpeningMessageRole', {
  description: 'Who speaks in an opening message.',
  values: {
    USER: { description: 'The owner of the session.' },
    ASSISTANT: { description: 'The agent, such as with a greeting.' },
    SYSTEM: { description: 'An instruction to the model.' },
  } as const,
})

const OpeningMessage = builder.objectRef<OpeningMessageRow>('OpeningMessage').implement({
  description: 'A message that sessions made from a template begin with.',
  fields: (t) => ({
    role: t.expose('role', { type: OpeningMessageRole, description: 'Who speaks.' }),
    content: t.exposeString('content', { description: 'The text.' }),
  }),
})

const Template = builder.prismaNode('Template', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => ({ tenantId_id: { tenantId: viewerOf(context).tenantId, id } }),
  description: 'A session prepared for a common task; everybody of the tenant may begin one from it.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, unique in the tenant.' }),
    title: t.exposeString('title', { nullable: true, description: 'Title of the sessions made from it.' }),
    agent: t.relation('agent', { nullable: true, description: 'The agent that answers in them.' }),
    model: t.exposeString('model', { nullable: true, description: 'Model id (`provider:name`) of them.' }),
    systemPrompt: t.exposeString('systemPrompt', { nullable: true, description: 'System prompt of them.' }),
    openingMessages: t.field({
      type: [OpeningMessage],
      description: 'What they begin with, oldest first.',
      resolve: ({ openingMessages }) => openingMessages as OpeningMessageRow[],
    }),
    parameters: t.expose('parameters', { type: 'JSON', description: 'Model parameters of them.' }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Metadata of them.' }),
    author: t.relation('author', { description: 'Who made it, and may change it beside admins.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
})

builder.prismaObjectField('Session', 'template', (t) =>
  t.relation('template', {
    nullable: true,
    description: 'The template that it was made from; null where there was none, or it was deleted.',
  }),
)

builder.queryField('template', (t) =>
  t.prismaField({
    type: Template,
    nullable: true,
    description: 'One template, or null where it does not exist.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the template.' }).validate(idOf('Template')),
    },
    resolve: (query, _root, { id }, context) => {
      const { db, tenantId } = viewerOf(context)
      return db.prisma.template.findFirst({ ...query, where: { tenantId, id } })
    },
  }),
)

const TemplateConnection = connectionOf('Template', Template, 'template')

builder.queryField('templates', (t) =>
  t.field({
    type: TemplateConnection,
    description: 'The templates of the tenant, by name.',
    complexity: pageComplexity(templatePageSizes),
    args: pageArgs(t.arg, templatePageSizes),
    resolve: (_root, args, context, info) => {
      const paths = [['nodes'], ['edges', 'node']]
      const query = queryFromInfo({ context, info, typeName: 'Template', paths })
      return context.services.templates.page(viewerOf(context), args, query)
    },
  }),
)

const OpeningMessageInput = builder.inputType('OpeningMessageInput', {
  description: 'A message that sessions made from a template begin with.',
  fields: (t) => ({
    role: t.field({ type: OpeningMessageRole, required: true, description: 'Who speaks.' }),
    content: t.string({
      required: true,
      description: 'The text, 1 to 10,000 characters (CHAT_MESSAGE_MAX_LENGTH).',
    }),
  }),
})

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0]

const settings = (t: InputFields) => ({
  title: t.string({ description: 'Title of the sessions, at most 255 characters (CHAT_TITLE_MAX_LENGTH).' }),
  agent: t.string({ description: 'The agent that answers; its key, such as `primary`, or its id.' }),
  model: t.string({ description: 'Model id (`provider:name`), over that of the agent.' }),
  systemPrompt: t.string({ description: 'What the model is told first, over that of the agent.' }),
  openingMessages: t.field({
    type: [OpeningMessageInput],
    description: 'What the sessions begin with, oldest first; at most 20.',
  }),
  parameters: t.field({ type: 'JSONObject', description: 'Model parameters, over those of the agent.' }),
  contextPolicy: t.field({
    type: 'ContextPolicyInput',
    description: 'What of a conversation the model is sent, over that of the agent.',
  }),
  metadata: t.field({ type: 'JSONObject', description: 'Metadata of the sessions; at most 16 KiB.' }),
})

const templatePayload = (name: string, description: string) =>
  builder.objectRef<TemplateRow>(name).implement({
    description,
    fields: (t) => ({
      template: t.field({ type: Template, description: 'As it is now.', resolve: (template) => template }),
    }),
  })

builder.mutationField('createTemplate', (t) =>
  t.fieldWithInput({
    type: templatePayload('CreateTemplatePayload', 'The template was made.'),
    description: 'Makes a template that everybody of the tenant may use.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ModelUnavailableError] },
    typeOptions: { description: 'The new template.' },
    argOptions: { description: 'The new template.' },
    input: {
      name: t.input.string({
        required: true,
        description: 'Its name, 1 to 100 characters, unique in the tenant.',
      }),
      ...settings(t.input),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input }, context) =>
      context.services.templates.create(await actorOf(context, input), input),
  }),
)

const templateId = (t: InputFields) =>
  t.id({ required: true, description: 'The template.' }).validate(idOf('Template'))

builder.mutationField('updateTemplate', (t) =>
  t.fieldWithInput({
    type: templatePayload('UpdateTemplatePayload', 'The template was changed.'),
    description:
      'Changes a template, for its author and admins: what is left out stays, null clears. Sessions made before stay.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ModelUnavailableError] },
    typeOptions: { description: 'What to change.' },
    argOptions: { description: 'What to change.' },
    input: {
      templateId: templateId(t.input),
      name: t.input.string({ description: 'Its name, 1 to 100 characters, unique in the tenant.' }),
      ...settings(t.input),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input: { templateId, ...changes } }, context) =>
      context.services.templates.update(await actorOf(context, changes), templateId, changes),
  }),
)

const DeleteTemplatePayload = builder.objectRef<{ id: string }>('DeleteTemplatePayload').implement({
  description: 'The template is gone; the sessions made from it stay.',
  fields: (t) => ({
    templateId: t.id({ description: 'The template.', resolve: ({ id }) => encodeId('Template', id) }),
  }),
})

builder.mutationField('deleteTemplate', (t) =>
  t.fieldWithInput({
    type: DeleteTemplatePayload,
    description: 'Deletes a template, for its author and admins.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError] },
    typeOptions: { description: 'The template to delete.' },
    argOptions: { description: 'The template to delete.' },
    input: { templateId: templateId(t.input), ...actingFields(t.input) },
    resolve: async (_root, { input }, context) =>
      context.services.templates.remove(await actorOf(context, input), input.templateId),
  }),
)
