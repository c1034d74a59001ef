import { builder } from '../../graphql/builder.ts'
import { viewerOf } from '../../graphql/context.ts'
import { idsOf } from '../../graphql/ids.ts'
import { sameForAll } from '../../graphql/shared.ts'
import { type ContextPolicy, contextPolicyKinds } from '../../lib/context-policy.ts'
import type { Preview, PreviewPart } from './service.ts'

const descriptions: Record<ContextPolicy['kind'], string> = {
  FULL: 'The whole conversation, as far as the model has room for it.',
  LAST_MESSAGES: 'The last `messages` messages, in whole turns.',
  TOKEN_BUDGET: 'The newest turns that fit into `tokens`, together with all else.',
  SUMMARIZE:
    'A summary of the older turns, which the model makes in the background, and the newer ones as they are.',
  HIERARCHICAL: 'What is remembered, a summary of the older turns, and the newer ones as they are.',
  RETRIEVAL: 'The last `keepLast` messages, and passages of older ones and of other sessions of the person.',
}

const ContextPolicyKind = builder.enumType('ContextPolicyKind', {
  description: 'How to choose what of a conversation a model is sent.',
  values: Object.fromEntries(
    contextPolicyKinds.map((kind) => [kind, { description: descriptions[kind] }]),
  ) as Record<ContextPolicy['kind'], { description: string }>,
})

const settings = {
  messages: 'How many earlier messages go along, with LAST_MESSAGES; 1 to 10,000.',
  tokens:
    'The most tokens that are sent in all, with TOKEN_BUDGET, SUMMARIZE, HIERARCHICAL and RETRIEVAL; from 50 on. ' +
    'For the last three 8,000 where it is left out.',
  keepLast:
    'How many of the last messages are not summarised, or go along beside passages; 1 to 1,000, 10 where it is left out.',
  passages: 'How many passages go along, with RETRIEVAL; 1 to 20, 5 where it is left out.',
}
const memories =
  'Whether what is remembered of the person and in the session goes along; where it is left out, with HIERARCHICAL ' +
  'and with agents whose model has the tools of memory.'

builder.objectRef<ContextPolicy>('ContextPolicy').implement({
  description: 'What of a conversation a model is sent. The system prompt and the question always are.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ContextPolicyKind, description: 'How to choose.' }),
    messages: t.exposeInt('messages', { nullable: true, description: settings.messages }),
    tokens: t.exposeInt('tokens', { nullable: true, description: settings.tokens }),
    keepLast: t.exposeInt('keepLast', { nullable: true, description: settings.keepLast }),
    passages: t.exposeInt('passages', { nullable: true, description: settings.passages }),
    memories: t.exposeBoolean('memories', { nullable: true, description: memories }),
  }),
})

builder.inputType('ContextPolicyInput', {
  description: 'What of a conversation a model is sent. The system prompt and the question always are.',
  fields: (t) => ({
    kind: t.field({ type: ContextPolicyKind, required: true, description: 'How to choose.' }),
    messages: t.int({ description: settings.messages }),
    tokens: t.int({ description: settings.tokens }),
    keepLast: t.int({ description: settings.keepLast }),
    passages: t.int({ description: settings.passages }),
    memories: t.boolean({ description: memories }),
  }),
})

for (const type of ['Agent', 'Session', 'Template'] as const)
  builder.prismaObjectFields(type, (t) => ({
    contextPolicy: t.field({
      type: 'ContextPolicy',
      nullable: true,
      description:
        'What of a conversation the model is sent. That of a send goes over that of the session, and that over that of ' +
        'the agent; where none is set it is FULL.',
      extensions: sameForAll,
      resolve: ({ contextPolicy }) => contextPolicy as ContextPolicy | null,
    }),
  }))

const ContextPartKind = builder.enumType('ContextPartKind', {
  description: 'What a part of a context is.',
  values: {
    SYSTEM_PROMPT: { description: 'The system prompt, and the instructions that stand in the conversation.' },
    TOOLS: { description: 'The definitions of the tools that the model may call.' },
    MEMORY: { description: 'What is remembered.' },
    SUMMARY: { description: 'A summary of older turns.' },
    PASSAGE: { description: 'A passage of an older message, or those of documents.' },
    MESSAGE: { description: 'A message of the conversation.' },
    QUESTION: { description: 'The message that is to be answered.' },
  } as const,
})

type ContextPart = {
  kind: PreviewPart['kind'] | 'TOOLS'
  role: 'SYSTEM' | 'USER' | 'ASSISTANT' | 'TOOL' | null
  content: string
  tokens: number
  messageId: string | null
}

const ContextPart = builder.objectRef<ContextPart>('ContextPart').implement({
  description: 'One part of what a model would be sent; but for the tools, one message.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ContextPartKind, description: 'What it is.' }),
    role: t.field({
      type: 'MessageRole',
      nullable: true,
      description: 'As whose words the model gets it; null for tools.',
      resolve: ({ role }) => role,
    }),
    content: t.exposeString('content', { description: 'The text; of tools, their definitions as JSON.' }),
    tokens: t.exposeInt('tokens', { description: 'What it takes of the limit.' }),
    message: t.prismaField({
      type: 'Message',
      nullable: true,
      description: 'The message that it is, or is taken from.',
      resolve: async (_query, { messageId }, _args, context) =>
        messageId === null ? null : context.services.previews.messageOf(viewerOf(context), messageId),
    }),
  }),
})

const DropReason = builder.enumType('ContextDropReason', {
  description: 'Why turns are left out of a context.',
  values: {
    MESSAGES: {
      description: 'The policy takes no more messages: `messages` of LAST_MESSAGES, `keepLast` of RETRIEVAL.',
    },
    ROOM: { description: 'There is no more room, by the tokens of the policy or the window of the model.' },
  } as const,
})

const ContextDropped = builder.objectRef<Preview['dropped']>('ContextDropped').implement({
  description:
    'What is left out of a context; it is stored all the same. What a summary tells of does not count as left out.',
  fields: (t) => ({
    turns: t.exposeInt('turns', { description: 'Turns, the oldest ones.' }),
    tokens: t.exposeInt('tokens', { description: 'Tokens that they have.' }),
    reason: t.expose('reason', {
      type: DropReason,
      nullable: true,
      description: 'Why the newest of them, and so all before it, are left out; null where none are.',
    }),
  }),
})

const TokenCount = builder.enumType('TokenCount', {
  description: 'How tokens were counted.',
  values: {
    TOKENIZER: { description: 'With the tokenizer of the model.' },
    MEASURED_RATIO: { description: 'By characters per token, as the provider has counted earlier requests.' },
    DEFAULT_RATIO: { description: 'By four characters per token.' },
  } as const,
})

const ContextPreview = builder.objectRef<Preview>('ContextPreview').implement({
  description: 'What a model would be sent, message by message.',
  fields: (t) => ({
    parts: t.field({
      type: [ContextPart],
      description:
        'In the order in which the model gets them; those with the role SYSTEM as one message. The tools come last.',
      resolve: ({ parts, tools, toolTokens }) => [...parts.map(partOf), ...toolsPart(tools, toolTokens)],
    }),
    totalTokens: t.exposeInt('totalTokens', { description: 'All of it.' }),
    limit: t.exposeInt('limit', {
      nullable: true,
      description:
        'The most that may be sent, by the policy or the model; null where nothing is known of one.',
    }),
    dropped: t.field({
      type: ContextDropped,
      description: 'The turns that are left out.',
      resolve: ({ dropped }) => dropped,
    }),
    countedBy: t.expose('countedBy', { type: TokenCount, description: 'How the tokens were counted.' }),
  }),
})

const roles = { system: 'SYSTEM', user: 'USER', assistant: 'ASSISTANT', tool: 'TOOL' } as const

const partOf = ({ kind, message, tokens, messageId }: PreviewPart): ContextPart => ({
  kind,
  role: roles[message.role],
  content: message.content,
  tokens,
  messageId,
})

const toolsPart = (tools: Preview['tools'], tokens: number): ContextPart[] =>
  tools.length > 0
    ? [{ kind: 'TOOLS', role: null, content: JSON.stringify(tools), tokens, messageId: null }]
    : []

builder.prismaObjectFields('Session', (t) => ({
  contextPreview: t.field({
    type: ContextPreview,
    complexity: { field: 100, multiplier: 1 },
    description:
      'Exactly what the next send would carry to the model, for who may send. Queued messages are not part of it yet.',
    args: {
      content: t.arg.string({ description: 'The message that would be sent.' }),
      model: t.arg.string({ description: 'As `sendMessage` takes it.' }),
      parameters: t.arg({ type: 'JSONObject', description: 'As `sendMessage` takes them.' }),
      contextPolicy: t.arg({ type: 'ContextPolicyInput', description: 'As `sendMessage` takes it.' }),
      documentIds: t.arg
        .idList({ description: 'As `sendMessage` takes them.' })
        .validate(idsOf('Document').nullish()),
    },
    resolve: ({ id }, args, context) => context.services.previews.preview(viewerOf(context), id, args),
  }),
}))
