import { onVisibleSession } from '../../auth/policy.ts'
import type { Message as MessageRow } from '../../db/client.ts'
import { actingFields } from '../../graphql/acting.ts'
import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idOf } from '../../graphql/ids.ts'
import { connectionOf, pageArgs, pageComplexity, rowPaths } from '../../graphql/paging.ts'
import { fieldNamesAt } from '../../graphql/selection.ts'
import { sameForAll } from '../../graphql/shared.ts'
import { ConflictError, ForbiddenError, NotFoundError, ValidationError } from '../../lib/errors.ts'

export const MessageRole = builder.enumType('MessageRole', {
  description: 'Who speaks in a message.',
  values: {
    USER: { description: 'A person, or a program in its place.' },
    ASSISTANT: { description: 'The model.' },
    SYSTEM: { description: 'An instruction to the model.' },
    TOOL: { description: 'The result of a tool call.' },
  } as const,
})

export const MessageStatus = builder.enumType('MessageStatus', {
  description: 'Whether a message is whole. In every state, `content` is what there is of it.',
  values: {
    STREAMING: { description: 'A reply that waits for its turn or is being written.' },
    COMPLETE: { description: 'Whole.' },
    CANCELLED: { description: 'A reply that somebody stopped.' },
    FAILED: { description: 'A reply that the model or its provider broke off.' },
    INTERRUPTED: { description: 'A reply whose server stopped.' },
  } as const,
})

export const FinishReason = builder.enumType('FinishReason', {
  description: 'Why a reply ended where it ends.',
  values: {
    STOP: { description: 'The model was done.' },
    LENGTH: { description: 'A limit of length was reached.' },
    TOOL_CALLS: { description: 'The model waits for the results of tools.' },
    CONTENT_FILTER: { description: 'The provider withheld text.' },
    CANCELLED: { description: 'Somebody stopped it.' },
    ERROR: { description: 'It failed.' },
    OTHER: { description: 'Something else, such as the stop of the server.' },
  } as const,
})

type ToolCallRow = { id: string; name: string; arguments: unknown }

const ToolCall = builder.objectRef<ToolCallRow>('ToolCall').implement({
  description: 'A call of a tool that the model asks for.',
  fields: (t) => ({
    id: t.exposeString('id', { description: 'Id of the call, made by the model; the result names it.' }),
    name: t.exposeString('name', { description: 'Name of the tool.' }),
    arguments: t.expose('arguments', { type: 'JSON', description: 'Arguments as the model wrote them.' }),
  }),
})

export const Message = builder.prismaNode('Message', {
  id: { resolve: ({ id }) => id },
  nullable: true,
  findUnique: (id, context) => {
    const viewer = viewerOf(context)
    return { tenantId_id: { tenantId: viewer.tenantId, id }, ...onVisibleSession(viewer) }
  },
  description: 'One turn of a session.',
  fields: (t) => ({
    seq: t.exposeInt('seq', {
      description: 'Its number in the session. Numbers are given from 1 on without gaps, and never twice.',
    }),
    role: t.expose('role', { type: MessageRole, description: 'Who speaks.' }),
    content: t.exposeString('content', {
      nullable: true,
      description: 'The text; null beside tool calls. Of a streaming reply, what is stored so far.',
    }),
    toolCalls: t.field({
      type: [ToolCall],
      description: 'Tool calls that the model asks for.',
      extensions: sameForAll,
      resolve: ({ toolCalls }) => toolCalls as ToolCallRow[],
    }),
    toolCallId: t.exposeString('toolCallId', {
      nullable: true,
      description: 'The call that a TOOL message answers.',
    }),
    agent: t.relation('agent', { nullable: true, description: 'The agent that wrote an assistant message.' }),
    author: t.relation('author', {
      nullable: true,
      description: 'The user who stored it; null for replies.',
    }),
    run: t.relation('run', { nullable: true, description: 'The run that it asks for or answers.' }),
    status: t.expose('status', { type: MessageStatus, description: 'Whether it is whole.' }),
    finishReason: t.expose('finishReason', {
      type: FinishReason,
      nullable: true,
      description: 'Why a reply ended; null before.',
    }),
    model: t.exposeString('model', { nullable: true, description: 'The model that writes or wrote it.' }),
    inputTokens: t.exposeInt('inputTokens', {
      nullable: true,
      description: 'Tokens that were sent to the model for it.',
    }),
    outputTokens: t.exposeInt('outputTokens', {
      nullable: true,
      description: 'Tokens that the model wrote.',
    }),
    cachedInputTokens: t.exposeInt('cachedInputTokens', {
      nullable: true,
      description: 'Those of the input that the provider had cached.',
    }),
    cost: t.expose('cost', {
      type: 'Decimal',
      nullable: true,
      description: 'US dollars; null where the price is not known.',
    }),
    metadata: t.expose('metadata', { type: 'JSON', description: 'Whatever the client keeps with it.' }),
    clientId: t.exposeString('clientId', {
      nullable: true,
      description: 'The key that the client made up for it.',
    }),
    editedAt: t.expose('editedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was stored in the place of an earlier version by an edit; null otherwise.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was stored.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it last changed.' }),
  }),
})

const MessageOrder = builder.enumType('MessageOrder', {
  description: 'How to order messages.',
  values: {
    SEQ_ASC: { description: 'Oldest first, as the conversation went.' },
    SEQ_DESC: { description: 'Newest first.' },
  } as const,
})

const MessageConnection = connectionOf('Message', Message, 'message')

builder.prismaObjectFields('Session', (t) => ({
  messages: t.field({
    type: MessageConnection,
    description: 'The messages of the conversation, oldest first; `last: 50` gives the latest.',
    complexity: pageComplexity(({ services }) => services.limits.messagePages),
    args: {
      ...pageArgs(t.arg, { default: '50 (MESSAGE_DEFAULT_PAGE_SIZE)', max: '200 (MESSAGE_MAX_PAGE_SIZE)' }),
      role: t.arg({ type: MessageRole, description: 'Only of this role.' }),
      status: t.arg({ type: MessageStatus, description: 'Only in this state.' }),
      author: t.arg.id({ description: 'Only those that this user stored.' }),
      replaced: t.arg.boolean({
        required: true,
        defaultValue: false,
        description: 'Lists those that edits and regenerations took out of the conversation instead.',
      }),
      orderBy: t.arg({
        type: MessageOrder,
        required: true,
        defaultValue: 'SEQ_ASC',
        description: 'In which order.',
      }),
    },
    resolve: (session, args, context, info) => {
      const observed = context.services.live.observedPage(session, args)
      if (observed) return observed
      // What hangs on the messages is read for all of them at once, whichever session of a list they are of.
      const fields = fieldNamesAt(info, rowPaths)
      return context.services.messages.page(viewerOf(context), session.id, args, fields)
    },
  }),
  lastMessage: t.field({
    type: Message,
    nullable: true,
    description: 'The latest message of the conversation.',
    resolve: (session, _args, context) => context.services.messages.last(viewerOf(context), session.id),
  }),
}))

builder.queryField('message', (t) =>
  t.prismaField({
    type: Message,
    nullable: true,
    description: 'One message, or null where it does not exist or is not visible.',
    args: {
      id: t.arg.id({ required: true, description: 'The id of the message.' }).validate(idOf('Message')),
    },
    resolve: (query, _root, { id }, context) => {
      const viewer = viewerOf(context)
      const where = { tenantId: viewer.tenantId, id, ...onVisibleSession(viewer) }
      return viewer.db.prisma.message.findFirst({ ...query, where })
    },
  }),
)

const ToolCallInput = builder.inputType('ToolCallInput', {
  description: 'A call of a tool, as a model asked for it.',
  fields: (t) => ({
    id: t.string({ required: true, description: 'Id of the call; a TOOL message answers it by this id.' }),
    name: t.string({ required: true, description: 'Name of the tool.' }),
    arguments: t.field({ type: 'JSONObject', required: true, description: 'Arguments of the call.' }),
  }),
})

const MessageInput = builder.inputType('MessageInput', {
  description: 'A message to store.',
  fields: (t) => ({
    role: t.field({ type: MessageRole, required: true, description: 'Who speaks.' }),
    content: t.string({
      description:
        'The text, at most 10,000 characters (CHAT_MESSAGE_MAX_LENGTH); optional beside tool calls.',
    }),
    toolCalls: t.field({ type: [ToolCallInput], description: 'Tool calls; with the role ASSISTANT only.' }),
    toolCallId: t.string({
      description: 'The call that this answers; needed with the role TOOL and only there.',
    }),
    metadata: t.field({ type: 'JSONObject', description: 'Anything to keep with it; at most 16 KiB.' }),
    clientId: t.string({
      description:
        'A key that the client makes up: repeated with the same content it gives the same message. Of messages that are stored together, all have one or none.',
    }),
  }),
})

const AddMessagesPayload = builder.objectRef<{ messages: MessageRow[] }>('AddMessagesPayload').implement({
  description: 'The messages are stored, in the order in which they were given.',
  fields: (t) => ({
    messages: t.field({
      type: [Message],
      description: 'The stored messages.',
      resolve: ({ messages }) => messages,
    }),
  }),
})

builder.mutationField('addMessages', (t) =>
  t.fieldWithInput({
    type: AddMessagesPayload,
    description: 'Stores messages at the end of a session, all or none, and has nothing answered.',
    errors: { types: [ValidationError, NotFoundError, ForbiddenError, ConflictError] },
    typeOptions: { description: 'What to store, and where.' },
    argOptions: { description: 'What to store, and where.' },
    input: {
      sessionId: t.input.id({ required: true, description: 'The session.' }).validate(idOf('Session')),
      messages: t.input.field({
        type: [MessageInput],
        required: true,
        description: '1 to 100 messages, oldest first.',
      }),
      ...actingFields(t.input),
    },
    resolve: async (_root, { input: { sessionId, messages, ...author } }, context) => ({
      messages: await context.services.messages.add(viewerOf(context), sessionId, messages, author),
    }),
  }),
)
